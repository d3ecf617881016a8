//! One page after the other: both engines, the choice between them, or a picture for character recognition.

use hayro::RenderCache;
use hayro_interpret::hayro_syntax::page::Page as PdfPage;
use hayro_interpret::{InterpreterCache, InterpreterSettings};

use super::device::PageContent;
use super::limits::{RASTER_MAX_DRAW_CALLS, RASTER_MAX_SOURCE_PIXELS};
use super::named_engine::PdfExtract;
use super::open::Opened;
use super::raster;
use super::score::is_junk;
use super::text_layer::{Outcome, interpret, text_of};
use super::vote::{Chosen, choose};
use crate::document::{EmptyReason, Page, TextEngine, Warning};
use crate::error::ParseError;
use crate::formats::{Output, PageImage};

/// Reads the pages of one document.
pub(super) struct PageReader<'a> {
    opened: &'a Opened,
    settings: InterpreterSettings,
    fonts: InterpreterCache<'a>,
    named: NamedEngine,
    text_bytes: usize,
}

enum NamedEngine {
    NotOpened,
    Ready(Box<PdfExtract>),
    Unavailable,
}

impl<'a> PageReader<'a> {
    /// A reader for `opened`.
    pub(super) fn new(opened: &'a Opened) -> Self {
        Self {
            opened,
            settings: InterpreterSettings::default(),
            fonts: InterpreterCache::new(),
            named: NamedEngine::NotOpened,
            text_bytes: 0,
        }
    }

    /// Bytes of text that were handed out.
    pub(super) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Reads one page and hands it out.
    pub(super) fn read(
        &mut self,
        page: &'a PdfPage<'a>,
        number: u32,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let (content, outcome) = interpret(page, &self.fonts, &self.settings);
        warn_about(outcome, number, out);
        let size = page.render_dimensions();
        let reading = text_of(&content.glyphs, size);
        // What stops hayro would stop pdf-extract too, which cannot be stopped.
        let named = if outcome == Outcome::OverBudget {
            None
        } else {
            self.read_named(number, out)
        };
        let chosen = choose(reading, named);
        if !has_usable_text(&chosen.text, &content) {
            return self.hand_out_picture(page, number, &content, outcome, out);
        }
        self.text_bytes += chosen.text.len();
        out.page(with_text(number, size, chosen))
    }

    /// pdf-extract's reading. It is opened after hayro has read the first page, so that a file that hayro refuses is never given to it.
    fn read_named(&mut self, number: u32, out: &mut dyn Output) -> Option<String> {
        if let NamedEngine::NotOpened = self.named {
            let Opened {
                pdf,
                bytes,
                password,
            } = self.opened;
            self.named = match PdfExtract::open(bytes, password, pdf.pages().len()) {
                Ok(engine) => NamedEngine::Ready(Box::new(engine)),
                Err(reason) => {
                    out.warning(Warning::new(
                        "pdf_extract_skipped",
                        format!("pdf-extract did not read this file: {reason}"),
                    ));
                    NamedEngine::Unavailable
                }
            };
        }
        match &mut self.named {
            NamedEngine::Ready(engine) => engine.page(number),
            NamedEngine::NotOpened | NamedEngine::Unavailable => None,
        }
    }

    fn hand_out_picture(
        &self,
        page: &'a PdfPage<'a>,
        number: u32,
        content: &PageContent,
        outcome: Outcome,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let size = page.render_dimensions();
        match self.picture(page, content, outcome) {
            Ok(image) => out.page_image(number, image),
            Err(reason) => out.page(without_text(number, size, reason)),
        }
    }

    fn picture(
        &self,
        page: &'a PdfPage<'a>,
        content: &PageContent,
        outcome: Outcome,
    ) -> Result<PageImage, EmptyReason> {
        let is_empty = content.marks == 0 && content.glyphs.is_empty();
        match outcome {
            Outcome::OverBudget => return Err(EmptyReason::Limit),
            Outcome::Complete if is_empty => return Err(EmptyReason::Blank),
            Outcome::Complete | Outcome::Panicked => {}
        }
        if content.draw_calls > RASTER_MAX_DRAW_CALLS
            || content.source_pixels > RASTER_MAX_SOURCE_PIXELS
        {
            return Err(EmptyReason::Limit);
        }
        // A cache of its own: pages that are drawn are few, and what it keeps is large.
        let image = raster::draw(page, &RenderCache::new(), &self.settings)
            .ok_or(EmptyReason::NoTextLayer)?;
        if raster::is_uniform(&image) {
            Err(EmptyReason::Blank)
        } else {
            Ok(image)
        }
    }
}

fn warn_about(outcome: Outcome, number: u32, out: &mut dyn Output) {
    match outcome {
        Outcome::Complete => {}
        Outcome::OverBudget => {
            out.warning(Warning::on_page(
                "page_limit",
                number,
                "the page draws too much; its text may be incomplete",
            ));
        }
        Outcome::Panicked => {
            out.warning(Warning::on_page(
                "page_damaged",
                number,
                "the page is damaged; its text may be incomplete",
            ));
        }
    }
}

/// Whether a text layer is worth having: not empty, not junk, and not just the stamp of a scanner on a picture of a page.
fn has_usable_text(text: &str, content: &PageContent) -> bool {
    /// Share of a page that a scan of it covers at least.
    const SCAN_SHARE: f32 = 0.85;
    /// Letters and digits that a page of a scanned document has at least when its text layer holds the recognised text.
    const STAMP_LETTERS: usize = 30;
    let (mut letters, mut junk) = (0, 0);
    for c in text.chars() {
        letters += usize::from(c.is_alphanumeric());
        junk += usize::from(is_junk(c));
    }
    let is_scan = content.picture_share >= SCAN_SHARE && letters < STAMP_LETTERS;
    letters > 0 && letters > junk && !is_scan
}

fn with_text(number: u32, (width, height): (f32, f32), chosen: Chosen) -> Page {
    Page {
        number,
        width,
        height,
        text: chosen.text,
        engine: chosen.engine,
        score: chosen.score,
        confidence: None,
        lines: chosen.lines,
        empty_reason: None,
    }
}

fn without_text(number: u32, (width, height): (f32, f32), reason: EmptyReason) -> Page {
    Page {
        number,
        width,
        height,
        text: String::new(),
        engine: TextEngine::None,
        score: 0.0,
        confidence: None,
        lines: Vec::new(),
        empty_reason: Some(reason),
    }
}
