//! One page after the other: both engines, the choice between them, or a picture for character recognition.

use std::sync::Arc;

use hayro::RenderCache;
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::page::Page as PdfPage;
use hayro_interpret::{InterpreterCache, InterpreterSettings};

use super::cmaps;
use super::compose::PageText;
use super::device::PageContent;
use super::limits::{
    MAX_TEXT_BYTES, RASTER_MAX_DRAW_CALLS, RASTER_MAX_SOURCE_PIXELS, REOPEN_BYTES,
};
use super::links;
use super::named_engine::PdfExtract;
use super::open::Opened;
use super::picture_part;
use super::raster;
use super::score::Score;
use super::text_layer::{Outcome, interpret, text_of};
use super::vote::{Chosen, choose};
use super::widgets;
use crate::document::{EmptyReason, Page, Warning};
use crate::error::ParseError;
use crate::formats::{Output, PageImage};
use crate::ocr::looks_like_text;

/// Reads the pages of one document.
pub(super) struct PageReader {
    total: usize,
    settings: InterpreterSettings,
    word_boxes: bool,
    /// Whether a page was read.
    has_read: bool,
    named: NamedEngine,
    text_bytes: usize,
}

enum NamedEngine {
    /// Opened after hayro has read the first page: what hayro refuses is never given to it.
    NotOpened {
        bytes: Arc<Vec<u8>>,
        password: String,
        page_count: usize,
    },
    Ready(Box<PdfExtract>),
    Unavailable,
}

impl PageReader {
    /// A reader for the first `total` pages of `opened`, with the places of words if wanted.
    pub(super) fn new(opened: &Opened, total: usize, word_boxes: bool) -> Self {
        let named = NamedEngine::NotOpened {
            bytes: Arc::clone(&opened.bytes),
            password: opened.password.clone(),
            page_count: opened.pdf.pages().len(),
        };
        Self {
            total,
            settings: cmaps::settings(),
            word_boxes,
            has_read: false,
            named,
            text_bytes: 0,
        }
    }

    /// Reads pages from index `start` on and hands them out. Gives the index of the page to go on
    /// with after opening the document anew; the number of pages when nothing is left to do.
    pub(super) fn read_from(
        &mut self,
        pdf: &Pdf,
        start: usize,
        out: &mut dyn Output,
    ) -> Result<usize, ParseError> {
        let fonts = InterpreterCache::new();
        let mut kept_bytes = 0;
        for (index, page) in pdf.pages().iter().enumerate().take(self.total).skip(start) {
            kept_bytes += self.read_page(page, index as u32 + 1, &fonts, out)?;
            out.progress(index as u32 + 1, Some(self.total as u32))?;
            let left_out = self.total - index - 1;
            if self.text_bytes > MAX_TEXT_BYTES && left_out > 0 {
                let message = format!("too much text: the last {left_out} pages are left out");
                out.warning(Warning::new("text_left_out", message));
                return Ok(self.total);
            }
            if kept_bytes > REOPEN_BYTES {
                return Ok(index + 1);
            }
        }
        Ok(self.total)
    }

    /// Reads one page. Gives the bytes of content that the open document keeps of it.
    fn read_page<'a>(
        &mut self,
        page: &'a PdfPage<'a>,
        number: u32,
        fonts: &InterpreterCache<'a>,
        out: &mut dyn Output,
    ) -> Result<usize, ParseError> {
        let (mut content, outcome) = interpret(page, fonts, &self.settings);
        warn_about(outcome, number, out);
        links::send(page, number, out);
        content.glyphs.extend(widgets::glyphs(page));
        let size = page.render_dimensions();
        let reading = text_of(&content, size, self.word_boxes);
        // What stops hayro would stop pdf-extract too, which cannot be stopped.
        let named = if outcome == Outcome::OverBudget || self.can_go_out(&reading) {
            None
        } else {
            self.read_named(number, out)
        };
        self.has_read = true;
        let chosen = choose(reading, named);
        if has_usable_text(&chosen.text, &content) {
            self.text_bytes += chosen.text.len();
            out.page(with_text(number, size, chosen))?;
            self.recognise_part(page, &content, number, out)?;
        } else {
            match self.picture(page, &content, outcome) {
                Ok(image) => out.page_image(number, image)?,
                Err(reason) => out.page(without_text(number, size, reason))?,
            }
        }
        // Of a bomb nothing was kept, and asking would set it off.
        let kept = if outcome == Outcome::OverBudget {
            None
        } else {
            page.page_stream()
        };
        Ok(kept.map_or(0, <[u8]>::len))
    }

    /// Whether the first page of a long document is good enough to go out at once: opening a document takes pdf-extract as long as
    /// reading a good part of it.
    fn can_go_out(&self, reading: &PageText) -> bool {
        /// Pages from which a document is long.
        const LONG: usize = 16;
        /// Share of good text of a reading that pdf-extract hardly betters.
        const GOOD: f32 = 0.9;
        let is_first = matches!(self.named, NamedEngine::NotOpened { .. }) && !self.has_read;
        is_first && self.total >= LONG && Score::of(&reading.text).share() >= GOOD
    }

    fn read_named(&mut self, number: u32, out: &mut dyn Output) -> Option<String> {
        if let NamedEngine::NotOpened {
            bytes,
            password,
            page_count,
        } = &self.named
        {
            self.named = match PdfExtract::open(bytes, password, *page_count) {
                Ok(engine) => NamedEngine::Ready(Box::new(engine)),
                Err(reason) => {
                    let message = format!("pdf-extract did not read this file: {reason}");
                    out.warning(Warning::new("pdf_extract_skipped", message));
                    NamedEngine::Unavailable
                }
            };
        }
        match &mut self.named {
            NamedEngine::Ready(engine) => engine.page(number),
            NamedEngine::NotOpened { .. } | NamedEngine::Unavailable => None,
        }
    }

    /// Hands out the pictures of a page with text that are not in its text layer, if they look like text.
    fn recognise_part<'a>(
        &self,
        page: &'a PdfPage<'a>,
        content: &PageContent,
        number: u32,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let part = picture_part::part(content, page.render_dimensions());
        let Some(part) = part.filter(|_| can_be_drawn(content)) else {
            return Ok(());
        };
        let Some(image) = self.drawn(page) else {
            return Ok(());
        };
        let image = picture_part::cut(image, part, &content.glyphs);
        if !looks_like_text(&image) {
            return Ok(());
        }
        let place = [part.x0, part.y0, part.x1, part.y1].map(|edge| edge as f32);
        out.page_part(number, place, image)
    }

    fn drawn<'a>(&self, page: &'a PdfPage<'a>) -> Option<PageImage> {
        // A cache of its own: pages that are drawn are few, and what it keeps is large.
        raster::draw(page, &RenderCache::new(), &self.settings)
    }

    fn picture<'a>(
        &self,
        page: &'a PdfPage<'a>,
        content: &PageContent,
        outcome: Outcome,
    ) -> Result<PageImage, EmptyReason> {
        let when_empty = match outcome {
            Outcome::Complete => EmptyReason::Blank,
            Outcome::Unreadable | Outcome::Panicked => EmptyReason::NoTextLayer,
            Outcome::OverBudget => return Err(EmptyReason::Limit),
        };
        let is_empty = content.marks == 0 && content.glyphs.is_empty();
        if is_empty && outcome != Outcome::Panicked {
            return Err(when_empty);
        }
        if !can_be_drawn(content) {
            return Err(EmptyReason::Limit);
        }
        let image = self.drawn(page).ok_or(EmptyReason::NoTextLayer)?;
        if raster::is_uniform(&image) {
            Err(when_empty)
        } else {
            Ok(image)
        }
    }
}

fn can_be_drawn(content: &PageContent) -> bool {
    content.draw_calls <= RASTER_MAX_DRAW_CALLS && content.source_pixels <= RASTER_MAX_SOURCE_PIXELS
}

fn warn_about(outcome: Outcome, number: u32, out: &mut dyn Output) {
    let (code, message) = match outcome {
        Outcome::Complete => return,
        Outcome::OverBudget => (
            "page_limit",
            "the page draws too much; its text may be incomplete",
        ),
        Outcome::Unreadable | Outcome::Panicked => (
            "page_damaged",
            "the page is damaged; its text may be incomplete",
        ),
    };
    out.warning(Warning::on_page(code, number, message));
}

/// Whether a text layer is worth having: not empty, not junk, and not just the stamp of a scanner
/// on a picture of a page.
fn has_usable_text(text: &str, content: &PageContent) -> bool {
    /// Share of a page that a scan of it covers at least.
    const SCAN_SHARE: f32 = 0.85;
    /// Letters and digits that a scanned page has at least when its text layer holds what was
    /// recognised.
    const STAMP_LETTERS: usize = 30;
    let letters = text.chars().filter(|c| c.is_alphanumeric()).count();
    let is_scan = content.picture_share >= SCAN_SHARE && letters < STAMP_LETTERS;
    let score = Score::of(text);
    // pdf-extract makes up for fonts that say nothing, but often with the wrong letters or with a few of them only.
    let is_made_up = content.is_mostly_unknown() && !score.accounts_for(content.glyphs.len());
    letters > 0 && score.is_readable() && !is_scan && !is_made_up
}

fn with_text(number: u32, size: (f32, f32), chosen: Chosen) -> Page {
    Page {
        text: chosen.text,
        engine: chosen.engine,
        score: chosen.score,
        lines: chosen.lines,
        words: chosen.words,
        tables: chosen.tables,
        ..Page::empty(number, size)
    }
}

fn without_text(number: u32, size: (f32, f32), reason: EmptyReason) -> Page {
    Page {
        empty_reason: Some(reason),
        ..Page::empty(number, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_and_the_stamp_on_a_scan_are_no_usable_text() {
        let page = PageContent::default();
        let scan = PageContent {
            picture_share: 0.99,
            ..PageContent::default()
        };
        assert!(has_usable_text("Page 7", &page));
        assert!(!has_usable_text("Page 7", &scan));
        assert!(has_usable_text(
            "the recognised text of a page that was scanned",
            &scan
        ));
        assert!(!has_usable_text("\u{FFFD}\u{FFFD}\u{FFFD} ab", &page));
        assert!(!has_usable_text(" .:- ", &page));
    }
}
