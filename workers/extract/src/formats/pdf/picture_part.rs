//! Text in pictures on pages that have a text layer as well: a scanned letter under a typed heading, a table pasted as a picture.
//!
//! The text layer stays what it is. The pictures without any of it are cut out of the drawn page, with what the layer does say made
//! white, and are recognised beside it. Whether they look like text is decided before anybody reads them.

use hayro_interpret::kurbo::{Point, Rect};

use super::device::PageContent;
use super::glyph::Glyph;
use crate::formats::PageImage;

/// Least share of the page that the pictures cover: smaller ones are logos and icons.
const LEAST_SHARE: f64 = 0.12;

/// Least share of the page of one picture; scans may come in strips.
const LEAST_STRIP: f64 = 0.01;

/// Letters of the text layer on 1,000 square points of a picture that it may have and still not be covered by it. A page of text has 6.
const MOST_LETTERS: f64 = 0.5;

/// The part of a page of `size` points that is pictures and not in its text layer.
pub(super) fn part(content: &PageContent, (width, height): (f32, f32)) -> Option<Rect> {
    let page = f64::from(width) * f64::from(height);
    let mut part: Option<Rect> = None;
    let mut covered = 0.0;
    for picture in &content.pictures {
        let letters = content
            .glyphs
            .iter()
            .filter(|glyph| stands_on(glyph, *picture))
            .count();
        let is_bare = letters as f64 <= MOST_LETTERS * picture.area() / 1_000.0;
        if is_bare && picture.area() >= LEAST_STRIP * page {
            covered += picture.area();
            part = Some(part.map_or(*picture, |part| part.union(*picture)));
        }
    }
    // Pictures far apart have the text of the page between them.
    part.filter(|part| part.area() >= LEAST_SHARE * page && covered >= 0.5 * part.area())
}

fn stands_on(glyph: &Glyph, picture: Rect) -> bool {
    let origin = Point::new(f64::from(glyph.x), f64::from(glyph.y));
    !glyph.text.is_space() && picture.contains(origin)
}

/// `part` of the drawn page `image`, without what `glyphs` say.
pub(super) fn cut(mut image: PageImage, part: Rect, glyphs: &[Glyph]) -> PageImage {
    let scale = image.width as f32 / image.page_width;
    for glyph in glyphs.iter().filter(|glyph| !glyph.text.is_space()) {
        let Glyph {
            x,
            y,
            size,
            advance,
            ..
        } = *glyph;
        let around = [
            x - 0.1 * size,
            y - size,
            x + advance + 0.1 * size,
            y + 0.35 * size,
        ];
        let [x0, y0, x1, y1] = around.map(|edge| (edge * scale).max(0.0) as usize);
        let (x0, x1) = (x0.min(image.width as usize), x1.min(image.width as usize));
        for row in y0..y1.min(image.height as usize) {
            let start = row * image.width as usize;
            image.data[start + x0..start + x1.max(x0)].fill(u8::MAX);
        }
    }
    cropped(&image, part, scale)
}

fn cropped(image: &PageImage, part: Rect, scale: f32) -> PageImage {
    let pixel = |edge: f64, most: u32| ((edge as f32 * scale).max(0.0) as usize).min(most as usize);
    let (left, right) = (pixel(part.x0, image.width), pixel(part.x1, image.width));
    let (top, bottom) = (pixel(part.y0, image.height), pixel(part.y1, image.height));
    let width = image.width as usize;
    let data = (top..bottom).flat_map(|row| &image.data[row * width + left..row * width + right]);
    PageImage {
        data: data.copied().collect(),
        width: right.saturating_sub(left) as u32,
        height: bottom.saturating_sub(top) as u32,
        page_width: part.width() as f32,
        page_height: part.height() as f32,
        dpi: image.dpi,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    const PAGE: (f32, f32) = (600.0, 800.0);

    fn content(pictures: &[(f64, f64, f64, f64)], glyphs: Vec<Glyph>) -> PageContent {
        let rect = |&(x0, y0, x1, y1): &(f64, f64, f64, f64)| Rect::new(x0, y0, x1, y1);
        PageContent {
            pictures: pictures.iter().map(rect).collect(),
            glyphs,
            ..PageContent::default()
        }
    }

    #[test]
    fn a_picture_below_the_text_is_a_part_and_a_logo_is_none() {
        let text = line("a heading", 50.0, 100.0, 10.0);
        let picture = (50.0, 200.0, 550.0, 600.0);
        assert_eq!(
            part(&content(&[picture], text.clone()), PAGE),
            Some(Rect::new(50.0, 200.0, 550.0, 600.0))
        );
        assert_eq!(
            part(&content(&[(50.0, 20.0, 150.0, 60.0)], text), PAGE),
            None
        );
    }

    #[test]
    fn strips_are_one_part_and_a_picture_with_its_text_is_none() {
        let strips = [(50.0, 200.0, 550.0, 400.0), (50.0, 400.0, 550.0, 600.0)];
        assert!(part(&content(&strips, vec![]), PAGE).is_some());
        let text: Vec<Glyph> = (0..20)
            .flat_map(|n| {
                line(
                    "a line that was recognised before",
                    60.0,
                    210.0 + 18.0 * n as f32,
                    10.0,
                )
            })
            .collect();
        assert_eq!(
            part(&content(&[(50.0, 200.0, 550.0, 600.0)], text), PAGE),
            None
        );
    }

    #[test]
    fn what_the_layer_says_is_made_white_and_the_rest_is_cut_away() {
        let image = PageImage {
            width: 600,
            height: 800,
            dpi: 72.0,
            page_width: 600.0,
            page_height: 800.0,
            data: vec![0; 600 * 800],
        };
        let cut = cut(
            image,
            Rect::new(50.0, 200.0, 150.0, 260.0),
            &line("word", 60.0, 230.0, 10.0),
        );
        assert_eq!((cut.width, cut.height, cut.page_width), (100, 60, 100.0));
        let at = |x: usize, y: usize| cut.data[y * 100 + x];
        assert_eq!((at(20, 27), at(20, 50), at(90, 27)), (255, 0, 0));
    }
}
