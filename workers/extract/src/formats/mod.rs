//! The formats that can be read, one file or folder each, and the two traits between them and the rest.
//!
//! A new format is one module and one line in [`FORMATS`]. Formats run inside the sandboxed child only: they may be slow, they may
//! panic, they may be killed. They hand out what they have as soon as they have it, so that little is lost.

mod archive;
pub mod csv;
mod docx;
mod eml;
pub(crate) mod encoding;
mod flow;
mod html;
pub mod image;
mod input;
mod markdown;
mod nested;
mod ooxml;
mod parts;
pub mod pdf;
mod pptx;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod xlsx;

pub use input::Input;

use crate::document::{ImageInfo, Page, Table, Warning};
use crate::error::ParseError;
use crate::media::MediaType;
use crate::picture::{Picture, PictureRequest};
use crate::query::{QueryResult, TypedQuery};
use crate::request::ParseRequest;
use crate::structure::Structure;

/// Every format. The first that lists a media type reads it, so a specialised reader goes before a general one.
pub const FORMATS: &[&dyn Format] = &[
    &pdf::Pdf,
    &csv::Csv,
    &image::Image,
    &xlsx::Xlsx,
    &docx::Docx,
    &pptx::Pptx,
    &html::Html,
    &markdown::Markdown,
    &eml::Eml,
    &archive::Archive,
    &text::Text,
];

/// Most pixels of a [`PageImage`]: A3 at 300 dpi is 17 million, and recognition takes time and memory by the pixel.
pub const MAX_PAGE_IMAGE_PIXELS: u64 = 25_000_000;

/// A reader of one or more media types.
pub trait Format: Sync {
    /// What it reads.
    fn media(&self) -> &[MediaType];

    /// Reads `input` and hands everything to `out`, pages in ascending order.
    fn parse(
        &self,
        input: &mut Input,
        request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError>;

    /// Draws one page of `input`, for formats that have pictures ([`MediaType::has_pictures`]).
    fn draw(&self, input: &mut Input, request: &PictureRequest) -> Result<Picture, ParseError> {
        let _ = input;
        Err(ParseError::NotSupported(format!(
            "pictures of {} files",
            request.media.name()
        )))
    }

    /// Runs `query` over every row of the table in `input`. Only `out`'s progress is used.
    fn query(
        &self,
        input: &mut Input,
        query: &TypedQuery,
        out: &mut dyn Output,
    ) -> Result<QueryResult, ParseError> {
        let _ = (input, query, out);
        Err(ParseError::NotSupported(
            "queries over a file without a table".to_owned(),
        ))
    }
}

/// Where a format puts what it reads. An error means that the job is over: return it.
pub trait Output {
    /// A page whose text is known.
    fn page(&mut self, page: Page) -> Result<(), ParseError>;

    /// A page without usable text: the parent recognises the characters in its image.
    fn page_image(&mut self, number: u32, image: PageImage) -> Result<(), ParseError>;

    /// A part of the page that was handed out last, at `place` (x0, y0, x1, y1 in the unit of the page): the parent recognises the
    /// characters in it and adds them to the page.
    fn page_part(
        &mut self,
        number: u32,
        place: [f32; 4],
        image: PageImage,
    ) -> Result<(), ParseError>;

    /// The profile of a table; at most once.
    fn table(&mut self, table: Table) -> Result<(), ParseError>;

    /// The properties of an image; at most once.
    fn image(&mut self, image: ImageInfo) -> Result<(), ParseError>;

    /// A fact that the file states about itself.
    fn metadata(&mut self, key: &str, value: &str);

    /// An entry of the outline, a link or a field. More of them than a document may have are dropped.
    fn structure(&mut self, part: Structure);

    /// Something that could not be read, or only in part.
    fn warning(&mut self, warning: Warning);

    /// How far reading is. Call it often: a parser that is silent for half a minute is taken for dead.
    fn progress(&mut self, done: u32, total: Option<u32>) -> Result<(), ParseError>;
}

/// The picture of a page, 8-bit grey, upright, row by row from the top left.
#[derive(Clone, Debug, PartialEq)]
pub struct PageImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Resolution; 0 when unknown.
    pub dpi: f32,
    /// Width of the page in its own unit: points, or pixels of the original image.
    pub page_width: f32,
    /// Height of the page in its own unit.
    pub page_height: f32,
    /// `width * height` bytes, 0 is black.
    pub data: Vec<u8>,
}

/// The format that reads `media`.
pub fn find<'a>(formats: &[&'a dyn Format], media: MediaType) -> Option<&'a dyn Format> {
    formats
        .iter()
        .copied()
        .find(|format| format.media().contains(&media))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_media_type_has_a_reader() {
        for &media in MediaType::ALL {
            assert!(find(FORMATS, media).is_some(), "{media:?}");
        }
    }
}
