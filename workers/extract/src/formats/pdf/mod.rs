//! PDF documents.
//!
//! Two engines read the text layer of every page and the better reading is taken: pdf-extract ([`named_engine`]), the package this
//! project was asked to use, and a text device over hayro-interpret ([`text_layer`]), which brings the place of every line, reading
//! order and right-to-left text. A page without a usable text layer is drawn and handed on for character recognition. Pages flow out
//! one by one, so a job that is killed keeps those it has.
//!
//! Every engine runs inside its own `catch_unwind`: a panic costs its reading of a page, not the job. Stack overflows and memory are
//! the sandbox's concern; [`limits`] keeps ordinary hostility from getting that far.

mod bidi;
mod columns;
mod compose;
mod device;
mod geometry;
mod glyph;
mod inflate;
mod limits;
mod metadata;
mod named_engine;
mod open;
mod order;
mod page_cost;
mod raster;
mod reader;
mod rows;
mod score;
mod strings;
mod text_layer;
mod vote;
mod words;

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
#[path = "../../../examples/make_fixtures/pdf_writer.rs"]
mod pdf_writer;
#[cfg(test)]
mod testing;

use crate::document::Warning;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::limits::MAX_PAGES;
use crate::media::MediaType;
use crate::request::ParseRequest;

use limits::{MAX_FILE_BYTES, MAX_TEXT_BYTES};
use reader::PageReader;

/// Reads PDF.
#[derive(Debug)]
pub struct Pdf;

impl Format for Pdf {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Pdf]
    }

    fn parse(
        &self,
        input: &mut Input,
        request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let bytes = input.read_all(MAX_FILE_BYTES)?;
        let opened = open::open(bytes, request.password.as_deref())?;
        metadata::send(&opened.pdf, out);
        read_pages(&opened, out)
    }
}

fn read_pages(opened: &open::Opened, out: &mut dyn Output) -> Result<(), ParseError> {
    let pages = opened.pdf.pages();
    let total = pages.len().min(MAX_PAGES as usize);
    if pages.len() > total {
        let left_out = pages.len() - total;
        out.warning(Warning::new(
            "pages_left_out",
            format!("the last {left_out} pages are left out"),
        ));
    }
    out.progress(0, Some(total as u32))?;
    let mut reader = PageReader::new(opened);
    for (index, page) in pages.iter().take(total).enumerate() {
        let number = index as u32 + 1;
        reader.read(page, number, out)?;
        out.progress(number, Some(total as u32))?;
        if reader.text_bytes() > MAX_TEXT_BYTES && index + 1 < total {
            let left_out = total - index - 1;
            out.warning(Warning::new(
                "text_left_out",
                format!("too much text: the last {left_out} pages are left out"),
            ));
            break;
        }
    }
    Ok(())
}
