//! Opening a file: passwords, damage, and what to call each failure.
//!
//! hayro opens most files, broken cross-references included. What it gives up on is looked through for anything that can still be
//! read ([`super::salvage`]). A password may be the user's or the owner's; a file whose user's password is empty opens without one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use hayro_syntax::{DecryptionError, LoadPdfError, Pdf};

use super::limits::NAMED_MAX_FILE_BYTES;
use super::owner_password::user_password;
use super::salvage::salvage;
use super::text_layer::is_unreadable;
use crate::error::ParseError;

/// An open document.
pub(super) struct Opened {
    /// The document, as hayro sees it.
    pub(super) pdf: Pdf,
    /// Its bytes; others than those of the file when only parts of it could be saved.
    pub(super) bytes: Arc<Vec<u8>>,
    /// What opens `bytes`; empty for files that are not encrypted.
    pub(super) password: String,
    /// Whether only parts of the file could be saved.
    pub(super) is_salvaged: bool,
}

impl Opened {
    /// The document, opened once more: without anything that was kept while reading it.
    pub(super) fn again(&self) -> Result<Pdf, ParseError> {
        load(&self.bytes, &self.password)
            .map_err(|error| name(error, &self.bytes, Some(&self.password)))
    }
}

/// Opens `bytes`, with `password` if the file needs one.
pub(super) fn open(bytes: Vec<u8>, password: Option<&str>) -> Result<Opened, ParseError> {
    let bytes = Arc::new(bytes);
    let given = password.unwrap_or_default().to_owned();
    let error = match try_password(&bytes, given.clone()) {
        Ok(opened) if is_lost(&opened.pdf) => return Ok(salvaged(&bytes).unwrap_or(opened)),
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    if let LoadPdfError::Decryption(_) = error
        && !given.is_empty()
    {
        // A password for a file that needs none but the empty one, or that of the owner.
        let others = [Some(String::new()), user_password_of(&bytes, &given)];
        for other in others.into_iter().flatten() {
            if let Ok(opened) = try_password(&bytes, other) {
                return Ok(opened);
            }
        }
    }
    let rest = if error == LoadPdfError::Invalid {
        salvaged(&bytes)
    } else {
        None
    };
    rest.ok_or_else(|| name(error, &bytes, password))
}

fn try_password(bytes: &Arc<Vec<u8>>, password: String) -> Result<Opened, LoadPdfError> {
    let pdf = load(bytes, &password)?;
    if pdf.pages().is_empty() {
        return Err(LoadPdfError::Invalid);
    }
    Ok(Opened {
        pdf,
        bytes: Arc::clone(bytes),
        password,
        is_salvaged: false,
    })
}

fn user_password_of(bytes: &[u8], owner_password: &str) -> Option<String> {
    if bytes.len() > NAMED_MAX_FILE_BYTES {
        return None;
    }
    catch_unwind(|| user_password(bytes, owner_password)).ok()?
}

fn load(bytes: &Arc<Vec<u8>>, password: &str) -> Result<Pdf, LoadPdfError> {
    let load = AssertUnwindSafe(|| Pdf::new_with_password(Arc::clone(bytes), password));
    catch_unwind(load).unwrap_or(Err(LoadPdfError::Invalid))
}

/// A document made of what is left of a broken one, if any page is left.
fn salvaged(bytes: &[u8]) -> Option<Opened> {
    let bytes = Arc::new(salvage(bytes)?);
    let opened = try_password(&bytes, String::new()).ok()?;
    Some(Opened {
        is_salvaged: true,
        ..opened
    })
}

/// Whether nothing that the pages hold can be decoded. Only asked of short documents: a long one is never quite lost.
fn is_lost(pdf: &Pdf) -> bool {
    const SHORT: usize = 8;
    pdf.pages().len() <= SHORT && pdf.pages().iter().all(is_unreadable)
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
