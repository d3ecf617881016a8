//! The picture of a page for people: what is asked for, the pixels that a child sends, and the PNG made of them.
//!
//! A child hands over bare pixels and the parent makes the PNG: whatever a hostile file did to the child, what goes out is a valid
//! picture of the promised size.

use std::fmt;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use serde::{Deserialize, Serialize};

use crate::error::{ParseError, short_message};
use crate::media::MediaType;

/// Bytes of a pixel: red, green, blue.
pub const PIXEL_BYTES: usize = 3;

/// Widths that are drawn, in pixels. Wider than the widest is a page at 300 dpi.
pub const PICTURE_WIDTHS: std::ops::RangeInclusive<u32> = 16..=2_480;

/// Most pixels of a picture: a page of the widest width that is six times as tall.
pub const MAX_PICTURE_PIXELS: u64 = 40_000_000;

/// One page to draw.
#[derive(Clone, Serialize, Deserialize)]
pub struct PictureRequest {
    /// What to read the file as.
    pub media: MediaType,
    /// Opens an encrypted PDF. Not part of the debug output, so that no log can hold it.
    pub password: Option<String>,
    /// 1-based number of the page.
    pub page: u32,
    /// Width of the picture in pixels. A picture is never made larger than it is in its file.
    pub width: u32,
}

impl fmt::Debug for PictureRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PictureRequest")
            .field("media", &self.media)
            .field("page", &self.page)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

impl MediaType {
    /// Whether its pages can be drawn.
    pub fn has_pictures(self) -> bool {
        self == Self::Pdf || self.is_image()
    }
}

/// A drawn page: red, green and blue, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `width * height * 3` bytes.
    pub data: Vec<u8>,
}

impl Picture {
    /// The picture as a PNG file; the same pixels give the same bytes.
    pub fn to_png(&self) -> Result<Vec<u8>, ParseError> {
        let pixels = self.width as usize * self.height as usize;
        if self.data.len() != pixels * PIXEL_BYTES {
            return Err(ParseError::Crashed("a picture of another size".to_owned()));
        }
        let mut png = Vec::new();
        PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive)
            .write_image(&self.data, self.width, self.height, ExtendedColorType::Rgb8)
            .map_err(|error| ParseError::Crashed(short_message(&error.to_string())))?;
        Ok(png)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_a_png_with_the_same_pixels() {
        let picture = Picture {
            width: 2,
            height: 1,
            data: vec![255, 0, 0, 0, 0, 255],
        };
        let png = picture.to_png().unwrap();
        assert_eq!(png, picture.to_png().unwrap());
        let back = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!((back.dimensions(), back.into_raw()), ((2, 1), picture.data));
    }

    #[test]
    fn pixels_that_do_not_fit_their_size_are_an_error() {
        let picture = Picture {
            width: 2,
            height: 2,
            data: vec![0; 3],
        };
        assert!(matches!(picture.to_png(), Err(ParseError::Crashed(_))));
    }

    #[test]
    fn a_password_is_not_printed() {
        let request = PictureRequest {
            media: MediaType::Pdf,
            password: Some("s3cret".to_owned()),
            page: 1,
            width: 100,
        };
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
