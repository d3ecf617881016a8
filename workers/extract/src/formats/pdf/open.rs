//! Opening a file: passwords, damage, and what to call each failure.
//!
//! hayro opens most files, broken cross-references included. What it refuses is given to lopdf once, which knows the owner's password
//! of older encryption and a few more kinds of damage; the document that lopdf writes is then read like any other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};
use lopdf::{Document, LoadOptions};

use super::limits::NAMED_MAX_FILE_BYTES;
use crate::error::ParseError;

/// An open document.
pub(super) struct Opened {
    /// The document, as hayro sees it.
    pub(super) pdf: Pdf,
    /// Its bytes; written anew when lopdf had to help.
    pub(super) bytes: Arc<Vec<u8>>,
    /// What opens `bytes`; empty for files that are not encrypted.
    pub(super) password: String,
}

/// Opens `bytes`, with `password` if the file needs one.
pub(super) fn open(bytes: Vec<u8>, password: Option<&str>) -> Result<Opened, ParseError> {
    let bytes = Arc::new(bytes);
    let given = password.unwrap_or_default();
    let first = match load(&bytes, given) {
        // A password for a file that needs none, or only the empty one.
        Err(LoadPdfError::Decryption(_)) if !given.is_empty() => {
            load(&bytes, "").map(|pdf| (pdf, ""))
        }
        other => other.map(|pdf| (pdf, given)),
    };
    let error = match first {
        Ok((pdf, password)) if !pdf.pages().is_empty() => {
            return Ok(Opened {
                pdf,
                bytes,
                password: password.to_owned(),
            });
        }
        Ok(_) => LoadPdfError::Invalid,
        Err(error) => error,
    };
    rewritten(&bytes, given).ok_or_else(|| name(error, &bytes, password))
}

fn load(bytes: &Arc<Vec<u8>>, password: &str) -> Result<Pdf, LoadPdfError> {
    let load = AssertUnwindSafe(|| Pdf::new_with_password(Arc::clone(bytes), password));
    catch_unwind(load).unwrap_or(Err(LoadPdfError::Invalid))
}

/// The document as lopdf understands it.
fn rewritten(bytes: &[u8], password: &str) -> Option<Opened> {
    if bytes.len() > NAMED_MAX_FILE_BYTES {
        return None;
    }
    let rewrite = AssertUnwindSafe(|| {
        let mut document =
            Document::load_mem_with_options(bytes, LoadOptions::with_password(password)).ok()?;
        if document.is_encrypted() {
            return None;
        }
        let mut written = Vec::new();
        document.save_to(&mut written).ok()?;
        Some(written)
    });
    let bytes = Arc::new(catch_unwind(rewrite).ok()??);
    let pdf = load(&bytes, "")
        .ok()
        .filter(|pdf| !pdf.pages().is_empty())?;
    Some(Opened {
        pdf,
        bytes,
        password: String::new(),
    })
}

fn name(error: LoadPdfError, bytes: &[u8], password: Option<&str>) -> ParseError {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            if password.is_some_and(|password| !password.is_empty()) {
                ParseError::WrongPassword
            } else {
                ParseError::PasswordNeeded
            }
        }
        LoadPdfError::Decryption(DecryptionError::UnsupportedAlgorithm) => {
            ParseError::NotSupported("the encryption of this PDF".to_owned())
        }
        LoadPdfError::Decryption(
            DecryptionError::MissingIDEntry | DecryptionError::InvalidEncryption,
        ) => ParseError::Damaged("the encryption entries of the PDF are broken".to_owned()),
        LoadPdfError::Invalid if has_header(bytes) => {
            ParseError::Damaged("no page of the PDF can be found".to_owned())
        }
        LoadPdfError::Invalid => ParseError::Damaged("this is not a PDF".to_owned()),
    }
}

fn has_header(bytes: &[u8]) -> bool {
    /// Readers accept this much in front of the header (ISO 32000-1, annex H).
    const REACH: usize = 1024;
    let head = &bytes[..bytes.len().min(REACH)];
    head.windows(5).any(|window| window == b"%PDF-")
}

#[cfg(test)]
mod tests {
    use super::super::pdf_writer::{Content, PdfWriter};
    use super::*;

    fn file() -> Vec<u8> {
        let mut content = Content::default();
        content.text(72.0, 700.0, 12.0, "Hello");
        PdfWriter::new().page(&content).finish()
    }

    #[test]
    fn a_plain_file_opens_with_and_without_a_password() {
        assert_eq!(open(file(), None).ok().unwrap().pdf.pages().len(), 1);
        assert_eq!(
            open(file(), Some("unneeded"))
                .ok()
                .unwrap()
                .pdf
                .pages()
                .len(),
            1
        );
    }

    #[test]
    fn a_file_without_its_cross_references_opens() {
        let mut bytes = file();
        let xref = bytes
            .windows(4)
            .rposition(|window| window == b"xref")
            .unwrap();
        bytes.truncate(xref - 4);
        assert_eq!(open(bytes, None).ok().unwrap().pdf.pages().len(), 1);
    }

    #[test]
    fn damage_is_named() {
        let message = |bytes: &[u8]| open(bytes.to_vec(), None).err().unwrap().to_string();
        assert_eq!(message(b""), "the file is damaged: this is not a PDF");
        assert_eq!(
            message(b"GIF89a and so on"),
            "the file is damaged: this is not a PDF"
        );
        assert_eq!(
            message(b"%PDF-1.7\n%%EOF"),
            "the file is damaged: no page of the PDF can be found"
        );
    }
}
