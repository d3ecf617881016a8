//! PDF documents.
//!
//! Two engines read the text layer of every page and the better reading is taken: pdf-extract (`named_engine`), the package this
//! project was asked to use, and a text device over hayro-interpret (`text_layer`), which brings the place of every line, reading
//! order and right-to-left text. A page without a usable text layer is drawn and handed on for character recognition. Pages flow out
//! one by one, so a job that is killed keeps those it has.
//!
//! Every engine runs inside its own `catch_unwind`: a panic costs its reading of a page, not the job. Stack overflows and memory are
//! the sandbox's concern; `limits` keeps ordinary hostility from getting that far.

mod bidi;
mod clusters;
mod cmaps;
mod codes;
mod columns;
mod compose;
mod destinations;
mod device;
mod forms;
mod geometry;
mod glyph;
mod grid;
mod gutters;
mod inflate;
mod limits;
mod links;
mod metadata;
mod named_engine;
mod open;
mod order;
mod outline;
mod owner_password;
mod page_cost;
mod picture;
mod picture_part;
mod raster;
mod reader;
mod rows;
mod rulings;
mod salvage;
mod score;
mod strings;
mod tables;
mod text_layer;
mod vote;
mod widgets;
mod word_boxes;
mod words;

#[cfg(test)]
#[path = "../../../examples/make_fixtures/pdf_writer.rs"]
mod pdf_writer;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::document::Warning;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::limits::MAX_PAGES;
use crate::media::MediaType;
use crate::picture::{Picture, PictureRequest};
use crate::request::ParseRequest;

pub(crate) use words::is_written_without_spaces;

use destinations::Destinations;
use limits::MAX_FILE_BYTES;
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
        let mut opened = open::open(bytes, request.password.as_deref())?;
        if opened.is_salvaged {
            let message = "the file is damaged; these are the parts that could be saved";
            out.warning(Warning::new("document_damaged", message));
        }
        metadata::send(&opened.pdf, out);
        let destinations = Destinations::new(&opened.pdf);
        outline::send(&opened.pdf, &destinations, out);
        forms::send(&opened.pdf, &destinations, out);
        drop(destinations);
        let total = opened.pdf.pages().len().min(MAX_PAGES as usize);
        if opened.pdf.pages().len() > total {
            let left_out = opened.pdf.pages().len() - total;
            out.warning(Warning::new(
                "pages_left_out",
                format!("the last {left_out} pages are left out"),
            ));
        }
        out.progress(0, Some(total as u32))?;
        let pages = wanted_pages(request, total);
        let mut reader = PageReader::new(&opened, pages.end, request.word_boxes);
        let mut next = reader.read_from(&opened.pdf, pages.start, out)?;
        while next < pages.end {
            opened.pdf = opened.again()?;
            next = reader.read_from(&opened.pdf, next, out)?;
        }
        Ok(())
    }

    fn draw(&self, input: &mut Input, request: &PictureRequest) -> Result<Picture, ParseError> {
        picture::draw(input, request)
    }
}

/// The pages to read, counted from 0.
fn wanted_pages(request: &ParseRequest, total: usize) -> Range<usize> {
    let (first, last) = request.pages.unwrap_or((1, MAX_PAGES));
    let end = total.min(last as usize);
    (first as usize).saturating_sub(1).min(end)..end
}
