//! Pictures of pages: grey for character recognition, in colour for people.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro::vello_cpu::Pixmap;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use hayro_interpret::InterpreterSettings;
use hayro_interpret::hayro_syntax::page::Page;

use super::limits::RASTER_DPI;
use crate::formats::{MAX_PAGE_IMAGE_PIXELS, PageImage};
use crate::picture::{MAX_PICTURE_PIXELS, PIXEL_BYTES, Picture};

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
    let wanted = RASTER_DPI / POINTS;
    let scale = scale((page_width, page_height), wanted, MAX_PAGE_IMAGE_PIXELS)?;
    let pixmap = render(page, cache, settings, scale)?;
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

/// A page in colour, `width` pixels wide, or smaller if it would have too many pixels. `None` when the renderer panics or the page
/// has no area.
pub(super) fn draw_in_colour<'a>(
    page: &'a Page<'a>,
    settings: &InterpreterSettings,
    width: u32,
) -> Option<Picture> {
    let size = page.render_dimensions();
    let scale = scale(size, width as f32 / size.0, MAX_PICTURE_PIXELS)?;
    let pixmap = render(page, &RenderCache::new(), settings, scale)?;
    let mut data = Vec::with_capacity(pixmap.data().len() * PIXEL_BYTES);
    for pixel in pixmap.data() {
        data.extend([pixel.r, pixel.g, pixel.b]);
    }
    Some(Picture {
        width: u32::from(pixmap.width()),
        height: u32::from(pixmap.height()),
        data,
    })
}

fn render<'a>(
    page: &'a Page<'a>,
    cache: &RenderCache<'a>,
    settings: &InterpreterSettings,
    scale: f32,
) -> Option<Pixmap> {
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
    catch_unwind(render).ok()
}

/// Whether nothing can be read in the picture: every pixel has the same colour.
pub(super) fn is_uniform(image: &PageImage) -> bool {
    image.data.windows(2).all(|pair| pair[0] == pair[1])
}

/// Pixels per point: those that are `wanted`, or as many as the limits leave.
fn scale((width, height): (f32, f32), wanted: f32, max_pixels: u64) -> Option<f32> {
    let by_area = (max_pixels as f32 * 0.99 / (width * height)).sqrt();
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
    fn a_page_for_people_has_its_colours_and_the_width_that_was_asked_for() {
        let mut content = Content::default();
        content.raw("1 0 0 rg 0 421 595 421 re f\n");
        let pdf = Pdf::new(PdfWriter::new().page_with(&content, "", "").finish()).unwrap();
        let settings = InterpreterSettings::default();
        let picture = draw_in_colour(&pdf.pages()[0], &settings, 100).unwrap();
        assert_eq!((picture.width, picture.height), (100, 141));
        assert_eq!(picture.data.len(), 100 * 141 * PIXEL_BYTES);
        assert_eq!(picture.data[..3], [255, 0, 0]);
        assert_eq!(picture.data[picture.data.len() - 3..], [255, 255, 255]);
    }

    #[test]
    fn a_rotated_page_is_drawn_upright() {
        let image = drawn(&Content::default(), "/Rotate 90");
        assert!(image.width > image.height);
        assert_eq!((image.page_width, image.page_height), (A4.1, A4.0));
    }

    #[test]
    fn a_huge_page_is_drawn_smaller() {
        let wanted = RASTER_DPI / POINTS;
        let scale = |width, height| super::scale((width, height), wanted, MAX_PAGE_IMAGE_PIXELS);
        let huge = scale(14_400.0, 14_400.0).unwrap();
        let pixels = 14_400.0 * huge * 14_400.0 * huge;
        assert!(pixels as u64 <= MAX_PAGE_IMAGE_PIXELS && pixels > 20_000_000.0);
        assert_eq!(scale(0.0, 100.0), None);
        assert_eq!(scale(f32::NAN, 100.0), None);
    }
}
