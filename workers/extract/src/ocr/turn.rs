//! A picture turned so that its lines run straight across, and the way back for what is found on it.

use hayro_interpret::kurbo::{Affine, Rect};

use crate::formats::PageImage;

/// A turned picture.
pub(super) struct Turned {
    /// The picture.
    pub(super) image: PageImage,
    /// Its pixels in the units of the page.
    pub(super) places: Places,
}

/// From pixels of a picture to places on the page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Places(Affine);

impl Places {
    /// Those of a picture that was not turned.
    pub(super) fn of(image: &PageImage) -> Self {
        let x = image.page_width / image.width as f32;
        let y = image.page_height / image.height as f32;
        Self::scaled(x, y)
    }

    /// Units of the page per pixel along both sides.
    pub(super) fn scaled(x: f32, y: f32) -> Self {
        Self(Affine::scale_non_uniform(f64::from(x), f64::from(y)))
    }

    /// The rectangle of the page around a rectangle of the picture.
    pub(super) fn rect(&self, rect: [f32; 4]) -> [f32; 4] {
        let [x0, y0, x1, y1] = rect.map(f64::from);
        let place = self.0.transform_rect_bbox(Rect::new(x0, y0, x1, y1));
        [place.x0, place.y0, place.x1, place.y1].map(|edge| edge as f32)
    }

    /// Those of a picture whose pixels `back` leads to the pixels of this one.
    fn after(&self, back: [f32; 6]) -> Self {
        Self(self.0 * Affine::new(back.map(f64::from)))
    }
}

impl Turned {
    /// `image` turned clockwise by quarters and then anticlockwise by `skew` degrees.
    pub(super) fn by(image: &PageImage, turns: u8, skew: f32) -> Self {
        let mut turned = Self {
            image: image.clone(),
            places: Places::of(image),
        };
        for _ in 0..turns % 4 {
            turned = turned.by_quarter();
        }
        if skew.abs() > f32::EPSILON {
            turned = turned.by_angle(skew);
        }
        turned
    }

    fn by_quarter(self) -> Self {
        let Self { image, places } = self;
        let (width, height) = (image.width as usize, image.height as usize);
        let mut data = Vec::with_capacity(image.data.len());
        for x in 0..width {
            data.extend((0..height).rev().map(|y| image.data[y * width + x]));
        }
        // The pixel at x, y of the turned picture was at y, height - x.
        let back = [0.0, -1.0, 1.0, 0.0, 0.0, height as f32];
        Self {
            places: places.after(back),
            image: PageImage {
                width: image.height,
                height: image.width,
                page_width: image.page_height,
                page_height: image.page_width,
                data,
                ..image
            },
        }
    }

    /// Lines that fall to the right by `skew` degrees run straight afterwards. The picture grows so that its corners stay on it.
    fn by_angle(self, skew: f32) -> Self {
        let Self { image, places } = self;
        let (sin, cos) = skew.to_radians().sin_cos();
        let (width, height) = (image.width as f32, image.height as f32);
        let new_width = (width * cos + height * sin.abs()).ceil();
        let new_height = (height * cos + width * sin.abs()).ceil();
        let (cx, cy) = (width / 2.0, height / 2.0);
        let (nx, ny) = (new_width / 2.0, new_height / 2.0);
        let back = [
            cos,
            sin,
            -sin,
            cos,
            cx - cos * nx + sin * ny,
            cy - sin * nx - cos * ny,
        ];
        let (columns, rows) = (new_width as usize, new_height as usize);
        let mut data = Vec::with_capacity(columns * rows);
        let source = Source::new(&image);
        for y in 0..rows {
            let (py, half) = (y as f32 + 0.5, 0.5);
            let (mut sx, mut sy) = (
                back[2] * py + back[4] - half + cos * half,
                back[3] * py + back[5] - half + sin * half,
            );
            for _ in 0..columns {
                data.push(source.at(sx, sy));
                sx += cos;
                sy += sin;
            }
        }
        Self {
            places: places.after(back),
            image: PageImage {
                width: columns as u32,
                height: rows as u32,
                data,
                ..image
            },
        }
    }
}

/// A picture that has a brightness everywhere: white paper around it, mixtures between its pixels.
struct Source<'i> {
    data: &'i [u8],
    width: usize,
    height: usize,
}

impl<'i> Source<'i> {
    fn new(image: &'i PageImage) -> Self {
        Self {
            data: &image.data,
            width: image.width as usize,
            height: image.height as usize,
        }
    }

    fn at(&self, x: f32, y: f32) -> u8 {
        if x < 0.0 || y < 0.0 || x >= (self.width - 1) as f32 || y >= (self.height - 1) as f32 {
            return u8::MAX;
        }
        let (column, row) = (x as usize, y as usize);
        // 256ths: whole numbers are quicker here than fractions.
        let (fx, fy) = (
            ((x - column as f32) * 256.0) as u32,
            ((y - row as f32) * 256.0) as u32,
        );
        let at = row * self.width + column;
        let pixel = |index: usize| u32::from(self.data[index]);
        let above = pixel(at) * (256 - fx) + pixel(at + 1) * fx;
        let below = pixel(at + self.width) * (256 - fx) + pixel(at + self.width + 1) * fx;
        ((above * (256 - fy) + below * fy) >> 16) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// White, with one dark square of 10 pixels at 30, 20.
    fn page() -> PageImage {
        let (width, height) = (100_u32, 60_u32);
        let dark =
            |index: u32| (30..40).contains(&(index % width)) && (20..30).contains(&(index / width));
        PageImage {
            width,
            height,
            dpi: 0.0,
            page_width: 50.0,
            page_height: 30.0,
            data: (0..width * height)
                .map(|index| if dark(index) { 0 } else { 255 })
                .collect(),
        }
    }

    /// Where the dark pixels are.
    fn square(image: &PageImage) -> [f32; 4] {
        let start = [f32::INFINITY, f32::INFINITY, 0.0, 0.0];
        let dark = image
            .data
            .iter()
            .enumerate()
            .filter(|(_, pixel)| **pixel < 128);
        dark.fold(start, |[x0, y0, x1, y1], (index, _)| {
            let (x, y) = (
                (index as u32 % image.width) as f32,
                (index as u32 / image.width) as f32,
            );
            [x0.min(x), y0.min(y), x1.max(x + 1.0), y1.max(y + 1.0)]
        })
    }

    #[test]
    fn a_quarter_turn_is_clockwise() {
        let turned = Turned::by(&page(), 1, 0.0).image;
        assert_eq!((turned.width, turned.height), (60, 100));
        assert_eq!(square(&turned).map(|edge| edge as u32), [30, 30, 40, 40]);
    }

    #[test]
    fn places_lead_back_to_the_page() {
        for turns in 0..4 {
            for skew in [-8.0, 0.0, 5.0] {
                let turned = Turned::by(&page(), turns, skew);
                let back = turned.places.rect(square(&turned.image));
                for (got, owed) in back.iter().zip([15.0, 10.0, 20.0, 15.0]) {
                    assert!((got - owed).abs() < 1.5, "{turns} {skew}: {back:?}");
                }
            }
        }
    }

    #[test]
    fn a_line_that_falls_runs_straight_afterwards() {
        let mut image = page();
        image.data.fill(255);
        for x in 5..95_usize {
            let y = 10.0 + x as f32 * 10.0_f32.to_radians().tan();
            for row in 0..3 {
                image.data[(y as usize + row) * 100 + x] = 0;
            }
        }
        let [_, y0, _, y1] = square(&Turned::by(&image, 0, 10.0).image);
        assert!(y1 - y0 < 7.0, "{y0} {y1}");
    }
}
