//! Text that was never laid out on paper, put into pages.
//!
//! Paragraphs come one after another and are parted by an empty line. A page ends where the file says so; text that never says so
//! is cut between paragraphs, so that no page outgrows its limit.

use crate::document::{EmptyReason, Page, TextEngine, clean_text};
use crate::error::ParseError;
use crate::formats::Output;
use crate::limits::{MAX_PAGES, truncate};

/// Bytes from which a page is ended at the next paragraph: about a hundred printed pages.
const LONG_PAGE: usize = 256 * 1024;

/// Most bytes of one paragraph; a file without any break is cut into pieces of this size.
const MAX_PARAGRAPH: usize = 1024 * 1024;

/// Puts paragraphs into pages.
pub(super) struct Flow<'o> {
    out: &'o mut dyn Output,
    /// Of the page that is being filled.
    number: u32,
    text: String,
}

impl<'o> Flow<'o> {
    /// Begins with page 1.
    pub(super) fn new(out: &'o mut dyn Output) -> Self {
        Self {
            out,
            number: 1,
            text: String::new(),
        }
    }

    /// Where facts and warnings go.
    pub(super) fn out(&mut self) -> &mut dyn Output {
        self.out
    }

    /// Adds a paragraph; its lines stay lines. Empty ones are passed over.
    pub(super) fn paragraph(&mut self, text: &str) -> Result<(), ParseError> {
        let mut rest = text.trim_end().trim_matches(['\n', '\r']);
        while !rest.trim().is_empty() {
            let piece = truncate(rest, MAX_PARAGRAPH);
            if !self.text.is_empty() && self.text.len() + piece.len() > LONG_PAGE {
                self.end_page()?;
            }
            if !self.text.is_empty() {
                self.text.push_str("\n\n");
            }
            self.text.push_str(&clean_text(piece));
            rest = &rest[piece.len()..];
        }
        Ok(())
    }

    /// Ends the page, also one without text: the file says that there is one.
    pub(super) fn end_page(&mut self) -> Result<(), ParseError> {
        if self.number > MAX_PAGES {
            return Err(ParseError::LimitExceeded(format!(
                "more than {MAX_PAGES} pages"
            )));
        }
        let text = std::mem::take(&mut self.text);
        let is_empty = text.is_empty();
        self.out.page(Page {
            text,
            engine: if is_empty {
                TextEngine::None
            } else {
                TextEngine::Text
            },
            score: if is_empty { 0.0 } else { 1.0 },
            empty_reason: is_empty.then_some(EmptyReason::Blank),
            ..Page::empty(self.number, (0.0, 0.0))
        })?;
        self.out.progress(self.number, None)?;
        self.number += 1;
        Ok(())
    }

    /// Pages that have ended.
    pub(super) fn pages(&self) -> u32 {
        self.number - 1
    }

    /// Ends the page if it has any text.
    pub(super) fn break_page(&mut self) -> Result<(), ParseError> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.end_page()
    }

    /// Ends the last page. A document without any text has one blank page.
    pub(super) fn finish(mut self) -> Result<(), ParseError> {
        if !self.text.is_empty() || self.number == 1 {
            self.end_page()?;
        }
        Ok(())
    }
}
