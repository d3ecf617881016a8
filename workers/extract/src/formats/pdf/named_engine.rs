//! The first text engine: pdf-extract, the package this project was asked to use.
//!
//! It knows neither time nor memory: it recurses into forms that draw themselves, inflates whatever it is given, and panics on fonts
//! it does not expect. So it works on a document that was made safe while loading (pictures and oversized streams emptied), page by
//! page, each page measured first ([`super::page_cost`]) and read inside `catch_unwind`. What it cannot read costs its vote, nothing
//! more.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId, Stream};
use pdf_extract::{ConvertToFmt, PlainTextOutput, output_doc_page};

use super::compose::rejoined;
use super::glyph::GlyphText;
use super::inflate::inflates_beyond;
use super::limits::{
    NAMED_MAX_FILE_BYTES, NAMED_MAX_PAGES, NAMED_MAX_STREAM_BYTES, NAMED_MAX_TEXT_BYTES,
};
use super::page_cost::PageCosts;

/// pdf-extract, ready to read the pages of one document.
pub(super) struct PdfExtract {
    document: Document,
    pages: Vec<ObjectId>,
    costs: PageCosts,
}

impl PdfExtract {
    /// Loads the document. The error says why pdf-extract has no vote.
    pub(super) fn open(
        bytes: &[u8],
        password: &str,
        page_count: usize,
    ) -> Result<Self, &'static str> {
        if bytes.len() > NAMED_MAX_FILE_BYTES {
            return Err("the file is too large for it");
        }
        if page_count > NAMED_MAX_PAGES {
            return Err("the document has too many pages for it");
        }
        let load = AssertUnwindSafe(|| load(bytes, password));
        let document = catch_unwind(load)
            .map_err(|_| "it panicked while loading")?
            .ok_or("it cannot load the file")?;
        let pages: Vec<ObjectId> = document.page_iter().take(page_count + 1).collect();
        if pages.len() != page_count {
            return Err("it finds other pages in the file");
        }
        Ok(Self {
            document,
            pages,
            costs: PageCosts::default(),
        })
    }

    /// The text of the page with this 1-based number; `None` when it cannot or must not be read.
    pub(super) fn page(&mut self, number: u32) -> Option<String> {
        let page = *self.pages.get(number as usize - 1)?;
        let document = &self.document;
        let costs = &mut self.costs;
        let read = AssertUnwindSafe(|| {
            if !costs.allows(document, page) {
                return None;
            }
            let mut text = BoundedText::default();
            output_doc_page(document, &mut PlainTextOutput::new(&mut text), number).ok()?;
            Some(text.0)
        });
        let text = catch_unwind(read).ok().flatten()?;
        Some(rejoined(&cleaned(&text)))
    }
}

fn load(bytes: &[u8], password: &str) -> Option<Document> {
    let options = LoadOptions {
        filter: Some(made_safe),
        ..LoadOptions::with_password(password)
    };
    let mut document = Document::load_mem_with_options(bytes, options).ok()?;
    if document.is_encrypted() {
        return None;
    }
    if document.was_encrypted() {
        // lopdf does not call the filter for these.
        document.objects.values_mut().for_each(empty_if_unsafe);
    }
    Some(document)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature is lopdf's")]
fn made_safe(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    empty_if_unsafe(object);
    // lopdf keeps what this returns for objects out of object streams, which are never streams, and what it passed for all others.
    let kept = if object.as_stream().is_ok() {
        Object::Null
    } else {
        object.clone()
    };
    Some((id, kept))
}

/// Empties pictures (pdf-extract reads them as text) and streams that would inflate beyond measure.
fn empty_if_unsafe(object: &mut Object) {
    let Object::Stream(stream) = object else {
        return;
    };
    if is_picture(&stream.dict) || is_oversized(stream) {
        // lopdf loads streams that are quite empty once more.
        stream.set_content(b" ".to_vec());
        stream.dict.remove(b"Filter");
    }
}

fn is_picture(dict: &Dictionary) -> bool {
    dict.get(b"Subtype")
        .and_then(Object::as_name)
        .is_ok_and(|name| name == b"Image")
}

fn is_oversized(stream: &Stream) -> bool {
    /// Most bytes that one byte can stand for after any chain of filters but DEFLATE alone: LZW inside ASCII-85.
    const WORST_RATIO: u64 = 4 * 2_731;
    let Ok(filters) = stream.filters() else {
        return false;
    };
    if filters.iter().all(|filter| *filter == b"FlateDecode") {
        return inflates_beyond(&stream.content, filters.len(), NAMED_MAX_STREAM_BYTES);
    }
    let packs = filters
        .iter()
        .any(|filter| matches!(*filter, b"FlateDecode" | b"LZWDecode"));
    packs && stream.content.len() as u64 * WORST_RATIO > 16 * NAMED_MAX_STREAM_BYTES
}

/// Takes text up to a limit and then reports an error, which stops pdf-extract.
#[derive(Default)]
struct BoundedText(String);

impl fmt::Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > NAMED_MAX_TEXT_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

impl<'t> ConvertToFmt for &'t mut BoundedText {
    type Writer = &'t mut BoundedText;

    fn convert(self) -> Self::Writer {
        self
    }
}

/// The text without ligatures, control characters, spaces at line ends and runs of empty lines.
fn cleaned(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut empty_lines = 0;
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        if !clean.is_empty() {
            clean.push_str(if empty_lines > 0 { "\n\n" } else { "\n" });
        }
        empty_lines = 0;
        line.chars()
            .for_each(|c| GlyphText::clean(c.encode_utf8(&mut [0; 4])).push_to(&mut clean));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::super::pdf_writer::{Content, PdfWriter};
    use super::*;

    fn one_page(code: &str, resources: &str) -> Vec<u8> {
        let mut content = Content::default();
        content.text(72.0, 700.0, 12.0, "Visible text").raw(code);
        PdfWriter::new().page_with(&content, "", resources).finish()
    }

    #[test]
    fn a_page_is_read() {
        let mut engine =
            PdfExtract::open(&one_page("", ""), "", 1).unwrap_or_else(|reason| panic!("{reason}"));
        assert_eq!(engine.page(1).as_deref(), Some("Visible text"));
        assert_eq!(engine.page(2), None);
    }

    #[test]
    fn a_panic_costs_the_page_and_nothing_else() {
        // An operator without its operands panics pdf-extract.
        let mut engine = PdfExtract::open(&one_page("1 0 0 cm\n", ""), "", 1)
            .unwrap_or_else(|reason| panic!("{reason}"));
        assert_eq!(engine.page(1), None);
    }

    #[test]
    fn other_page_counts_and_other_files_have_no_vote() {
        assert!(PdfExtract::open(&one_page("", ""), "", 2).is_err());
        assert!(PdfExtract::open(b"no file at all", "", 1).is_err());
    }

    #[test]
    fn text_is_cleaned() {
        assert_eq!(cleaned("  \n\n o\u{FB03}ce \n\n\n\nend\n"), "office\n\nend");
    }
}
