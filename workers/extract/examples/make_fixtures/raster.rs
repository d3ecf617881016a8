//! Pictures of pages for the image fixtures: a page is written as PDF, drawn by hayro, and stored as pixels.

use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use hayro_interpret::InterpreterSettings;
use hayro_syntax::Pdf;

use crate::pdf_writer::{A4, Content, PdfWriter};

/// A grey picture.
pub(crate) struct Grey {
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
    /// One byte per pixel, 0 is black.
    pub(crate) pixels: Vec<u8>,
}

/// Draws the first page of `pdf` at `dpi`.
pub(crate) fn first_page(pdf: Vec<u8>, dpi: f32) -> Grey {
    let pdf = Pdf::new(pdf).expect("the fixture writer writes valid files");
    let cache = RenderCache::new();
    let scale = dpi / 72.0;
    let settings = PixmapSettings {
        x_scale: scale,
        y_scale: scale,
        bg_color: WHITE,
    };
    let page = &pdf.pages()[0];
    let pixmap = hayro::render(
        page,
        &cache,
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &settings,
    );
    let pixels = pixmap.data().iter().map(|pixel| pixel.g).collect();
    Grey {
        width: u32::from(pixmap.width()),
        height: u32::from(pixmap.height()),
        pixels,
    }
}

/// A grey or black-and-white picture that fills a page.
pub(crate) struct Bitmap {
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
    /// 1 bit per pixel, rows padded to bytes, run-length encoded as in PDF.
    pub(crate) run_lengths: Vec<u8>,
}

/// `grey` in black and white, in the form a PDF takes.
pub(crate) fn black_and_white(grey: &Grey) -> Bitmap {
    /// Everything darker than middle grey is ink.
    const INK_BELOW: u8 = 128;
    let mut bytes = Vec::new();
    for row in grey.pixels.chunks(grey.width as usize) {
        for eight in row.chunks(8) {
            let mut byte = 0u8;
            for (bit, &pixel) in eight.iter().enumerate() {
                byte |= u8::from(pixel >= INK_BELOW) << (7 - bit);
            }
            bytes.push(byte);
        }
    }
    Bitmap {
        width: grey.width,
        height: grey.height,
        run_lengths: run_lengths(&bytes),
    }
}

/// Adds an A4 page that is nothing but a picture.
pub(crate) fn add_picture_page(writer: &mut PdfWriter, bitmap: &Bitmap) {
    let (width, height) = A4;
    let entries = format!(
        "/Type /XObject /Subtype /Image /Width {} /Height {} /ColorSpace /DeviceGray /BitsPerComponent 1 \
             /Filter /RunLengthDecode",
        bitmap.width, bitmap.height
    );
    let image = writer.stream(&entries, &bitmap.run_lengths);
    let mut content = Content::default();
    content.raw(&format!("q {width} 0 0 {height} 0 0 cm /Im1 Do Q\n"));
    writer.page_with(&content, "", &format!("/XObject << /Im1 {image} 0 R >>"));
}

/// PDF's `RunLengthDecode`: 0 to 127 copies the next n + 1 bytes, 129 to 255 repeats the next byte 257 - n times, 128 ends.
fn run_lengths(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let run = bytes[at..]
            .iter()
            .take(128)
            .take_while(|&&byte| byte == bytes[at])
            .count();
        if run >= 2 {
            encoded.extend([(257 - run) as u8, bytes[at]]);
            at += run;
            continue;
        }
        let literal = bytes[at..]
            .windows(2)
            .take(127)
            .take_while(|pair| pair[0] != pair[1])
            .count()
            .max(1);
        encoded.push((literal - 1) as u8);
        encoded.extend_from_slice(&bytes[at..at + literal]);
        at += literal;
    }
    encoded.push(128);
    encoded
}
