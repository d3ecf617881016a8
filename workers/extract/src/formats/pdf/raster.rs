//! Pictures of pages for character recognition.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use hayro_interpret::InterpreterSettings;
use hayro_interpret::hayro_syntax::page::Page;

use super::limits::RASTER_DPI;
use crate::formats::{MAX_PAGE_IMAGE_PIXELS, PageImage};

/// Points per inch.
const POINTS: f32 = 72.0;

/// Most pixels along one side: the renderer counts them in 16 bits.
const MAX_SIDE: f32 = 65_000.0;

/// A page as a grey picture at the resolution for recognition, or at a lower one if it would be too large. `None` when the renderer
/// panics or the page has no area.
pub(super) fn draw<'a>(
    page: &'a Page<'a>,
    cache: &RenderCache<'a>,
    settings: &InterpreterSettings,
) -> Option<PageImage> {
    let (page_width, page_height) = page.render_dimensions();
    let scale = scale(page_width, page_height)?;
    let pixmap_settings = PixmapSettings {
        x_scale: scale,
        y_scale: scale,
        bg_color: WHITE,
    };
    let render = AssertUnwindSafe(|| {
        hayro::render(
            page,
            cache,
            settings,
            &RenderSettings::default(),
            &pixmap_settings,
        )
    });
    let pixmap = catch_unwind(render).ok()?;
    let data: Vec<u8> = pixmap
        .data()
        .iter()
        .map(|pixel| grey(pixel.r, pixel.g, pixel.b))
        .collect();
    Some(PageImage {
        width: u32::from(pixmap.width()),
        height: u32::from(pixmap.height()),
        dpi: scale * POINTS,
        page_width,
        page_height,
        data,
    })
}

/// Whether nothing can be read in the picture: every pixel has the same colour.
pub(super) fn is_uniform(image: &PageImage) -> bool {
    image.data.windows(2).all(|pair| pair[0] == pair[1])
}

/// Pixels per point.
fn scale(width: f32, height: f32) -> Option<f32> {
    let wanted = RASTER_DPI / POINTS;
    let by_area = (MAX_PAGE_IMAGE_PIXELS as f32 * 0.99 / (width * height)).sqrt();
    let scale = wanted
        .min(by_area)
        .min(MAX_SIDE / width)
        .min(MAX_SIDE / height);
    let visible = scale.is_finite() && width * scale >= 1.0 && height * scale >= 1.0;
    visible.then_some(scale)
}

/// Brightness of a colour (ITU-R BT.601, in 256ths).
fn grey(red: u8, green: u8, blue: u8) -> u8 {
    ((u32::from(red) * 77 + u32::from(green) * 150 + u32::from(blue) * 29) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use hayro_interpret::hayro_syntax::Pdf;

    use super::super::pdf_writer::{A4, Content, PdfWriter};
    use super::*;

    fn drawn(content: &Content, entries: &str) -> PageImage {
        let pdf = Pdf::new(PdfWriter::new().page_with(content, entries, "").finish()).unwrap();
        let cache = RenderCache::new();
        draw(&pdf.pages()[0], &cache, &InterpreterSettings::default()).unwrap()
    }

    #[test]
    fn a_page_is_drawn_black_on_white_at_200_dpi() {
        let mut content = Content::default();
        content.raw("0 g 0 421 595 421 re f\n");
        let image = drawn(&content, "");
        assert_eq!((image.width, image.height), (1652, 2338));
        assert_eq!((image.data[0], image.data[image.data.len() - 1]), (0, 255));
        assert!(!is_uniform(&image));
        assert!(is_uniform(&drawn(&Content::default(), "")));
    }

    #[test]
    fn a_rotated_page_is_drawn_upright() {
        let image = drawn(&Content::default(), "/Rotate 90");
        assert!(image.width > image.height);
        assert_eq!((image.page_width, image.page_height), (A4.1, A4.0));
    }

    #[test]
    fn a_huge_page_is_drawn_smaller() {
        let scale = scale(14_400.0, 14_400.0).unwrap();
        let pixels = 14_400.0 * scale * 14_400.0 * scale;
        assert!(pixels as u64 <= MAX_PAGE_IMAGE_PIXELS && pixels > 20_000_000.0);
        assert_eq!(super::scale(0.0, 100.0), None);
        assert_eq!(super::scale(f32::NAN, 100.0), None);
    }
}
