//! What is done to a picture before it is recognised: is there anything on it, and is its paper evenly lit?
//!
//! Tesseract separates ink from paper with one threshold for the whole page, so a photographed page that is dark in one corner loses
//! half its text, at high confidence. Dividing every pixel by the brightness of the paper around it cures that.

use crate::formats::PageImage;

/// Pictures lower or narrower than this hold no line of text that could be read.
const MIN_SIDE: u32 = 12;

/// Pictures whose longer side is shorter than this are icons: no word fits in.
const MIN_LONG_SIDE: u32 = 48;

/// Least difference between the darkest and the brightest pixel of a picture with ink on it.
const MIN_CONTRAST: u8 = 24;

/// Side of the tiles whose paper is measured: larger than a letter, smaller than the shadow of a hand. At 200 dpi, 8 mm.
const TILE: usize = 64;

/// Share of a tile's pixels that are brighter than what is taken for its paper.
const PAPER_SHARE: f32 = 0.10;

/// Difference in brightness between dark and bright paper from which light counts as uneven. Scans stay below 30.
const UNEVEN: u8 = 60;

/// Share of a page that is paper; half of a dense newspaper is.
const PAPER_ON_PAGE: f32 = 0.5;

/// Difference in brightness within which a pixel is still paper.
const PAPER_GRAIN: u8 = 48;

/// Paper is never taken for darker than this, so that black pictures stay black.
const DARKEST_PAPER: f32 = 40.0;

/// Whether nothing on the picture can be text.
pub(super) fn is_blank(image: &PageImage) -> bool {
    if image.width.min(image.height) < MIN_SIDE || image.width.max(image.height) < MIN_LONG_SIDE {
        return true;
    }
    let darkest = image.data.iter().min().copied().unwrap_or(0);
    let brightest = image.data.iter().max().copied().unwrap_or(0);
    brightest - darkest < MIN_CONTRAST
}

/// Whether most of the picture is as bright as paper. A photograph is not, and reading it line by line finds only noise, slowly.
pub(super) fn is_paper(image: &PageImage) -> bool {
    let paper = brightness_of_paper(std::iter::once(image.data.as_slice()));
    let darkest = paper.saturating_sub(PAPER_GRAIN);
    let bright = image.data.iter().filter(|&&pixel| pixel >= darkest).count();
    bright as f32 >= image.data.len() as f32 * PAPER_ON_PAGE
}

/// The picture dark on bright, without specks and in even light; `None` when it is so already.
pub(super) fn cleaned(image: &PageImage) -> Option<PageImage> {
    let bright = is_negative(image).then(|| negative(image));
    let calm = without_specks(bright.as_ref().unwrap_or(image)).or(bright);
    let even = even_light(calm.as_ref().unwrap_or(image));
    even.or(calm)
}

/// Whether nearly all of the picture is dark: bright letters on a dark ground. A page in the shade has paper brighter than that.
fn is_negative(image: &PageImage) -> bool {
    /// Brightness of a dark ground.
    const DARK: u8 = 80;
    /// Share of the picture that is ground.
    const GROUND: f32 = 0.75;
    let dark = image.data.iter().filter(|&&pixel| pixel < DARK).count();
    let is_mostly_dark = dark as f32 > GROUND * image.data.len() as f32;
    is_mostly_dark && image.data.iter().any(|&pixel| pixel > u8::MAX - DARK)
}

fn negative(image: &PageImage) -> PageImage {
    PageImage {
        data: image.data.iter().map(|pixel| u8::MAX - pixel).collect(),
        ..image.clone()
    }
}

/// Share of neighbouring pixels that stand out from a speckled picture; on a clean scan it is a hundredth of that.
const SPECKLED: f32 = 0.02;

/// By how much a speck is darker or brighter than both pixels beside it.
const SPECK: u8 = 64;

/// The picture with every pixel taken from the middle of its neighbourhood; `None` when it has no specks to speak of.
///
/// Specks of one pixel (dust, faxes, noise of cheap sensors) split and join letters. The median of nine takes them away and leaves
/// edges; on a clean picture it would cost the thin strokes.
fn without_specks(image: &PageImage) -> Option<PageImage> {
    let (width, height) = (image.width as usize, image.height as usize);
    if width < 3 || height < 3 || !is_speckled(&image.data, width) {
        return None;
    }
    let mut data = image.data.clone();
    let mut around = [0_u8; 9];
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            for (row, part) in around.chunks_exact_mut(3).enumerate() {
                let start = (y + row - 1) * width + x - 1;
                part.copy_from_slice(&image.data[start..start + 3]);
            }
            data[y * width + x] = *around.select_nth_unstable(4).1;
        }
    }
    Some(PageImage {
        data,
        ..image.clone()
    })
}

fn is_speckled(data: &[u8], width: usize) -> bool {
    let (mut specks, mut looked_at) = (0_u32, 0_u32);
    let stands_out = |pixel: u8, a: u8, b: u8| {
        let is_darker = pixel.saturating_add(SPECK) < a.min(b);
        let is_brighter = pixel > a.max(b).saturating_add(SPECK);
        is_darker || is_brighter
    };
    let rows: Vec<&[u8]> = data.chunks_exact(width).collect();
    for three in rows.windows(3).step_by(4) {
        for x in 1..width - 1 {
            let pixel = three[1][x];
            looked_at += 1;
            // Thin strokes stand out on two sides, specks on all four.
            if stands_out(pixel, three[1][x - 1], three[1][x + 1])
                && stands_out(pixel, three[0][x], three[2][x])
            {
                specks += 1;
            }
        }
    }
    specks as f32 > SPECKLED * looked_at as f32
}

/// The picture as if its light were even; `None` when it is.
pub(super) fn even_light(image: &PageImage) -> Option<PageImage> {
    let paper = Paper::measure(image);
    if !paper.is_uneven() {
        return None;
    }
    let width = image.width as usize;
    let mut data = vec![0; image.data.len()];
    for (y, (target, source)) in data
        .chunks_exact_mut(width)
        .zip(image.data.chunks_exact(width))
        .enumerate()
    {
        let row = paper.row(y);
        for (x, (target, &source)) in target.iter_mut().zip(source).enumerate() {
            *target = (f32::from(source) * 255.0 / at(&row, x)).min(255.0) as u8;
        }
    }
    Some(PageImage {
        data,
        ..image.clone()
    })
}

/// Brightness of the paper, one number for each tile.
struct Paper {
    columns: usize,
    tiles: Vec<u8>,
}

impl Paper {
    fn measure(image: &PageImage) -> Self {
        let (width, height) = (image.width as usize, image.height as usize);
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let mut tiles = Vec::with_capacity(columns * rows);
        for top in (0..height).step_by(TILE) {
            for left in (0..width).step_by(TILE) {
                let right = (left + TILE).min(width);
                let lines = (top..(top + TILE).min(height))
                    .map(|y| &image.data[y * width + left..y * width + right]);
                tiles.push(brightness_of_paper(lines));
            }
        }
        // A tile that is full of ink or of a picture says nothing about paper, so it takes the brightest value around it; taking the
        // darkest of those afterwards puts the slopes of a shadow back where they were.
        Self { columns, tiles }.around(u8::max).around(u8::min)
    }

    /// Each tile takes the value that `pick` prefers among itself and its neighbours.
    fn around(&self, pick: fn(u8, u8) -> u8) -> Self {
        let rows = self.tiles.len() / self.columns;
        let near =
            |centre: usize, count: usize| centre.saturating_sub(1)..=(centre + 1).min(count - 1);
        let tile = |index: usize| {
            let (row, column) = (index / self.columns, index % self.columns);
            let around =
                near(row, rows).flat_map(|y| near(column, self.columns).map(move |x| (y, x)));
            around
                .map(|(y, x)| self.tiles[y * self.columns + x])
                .reduce(pick)
                .unwrap_or(u8::MAX)
        };
        Self {
            columns: self.columns,
            tiles: (0..self.tiles.len()).map(tile).collect(),
        }
    }

    fn is_uneven(&self) -> bool {
        let mut sorted = self.tiles.clone();
        sorted.sort_unstable();
        let low = sorted[sorted.len() / 20];
        let high = sorted[sorted.len() - 1 - sorted.len() / 20];
        high - low > UNEVEN
    }

    /// Brightness along the pixel row `y`, one number for each tile, interpolated between the tiles above and below.
    fn row(&self, y: usize) -> Vec<f32> {
        let rows = self.tiles.len() / self.columns;
        let (above, below, share) = between(y, rows);
        let line = |row: usize| &self.tiles[row * self.columns..(row + 1) * self.columns];
        let mix = |(&a, &b): (&u8, &u8)| {
            (f32::from(a) * (1.0 - share) + f32::from(b) * share).max(DARKEST_PAPER)
        };
        line(above).iter().zip(line(below)).map(mix).collect()
    }
}

/// Brightness at pixel `x` of a row of tiles.
fn at(row: &[f32], x: usize) -> f32 {
    let (left, right, share) = between(x, row.len());
    row[left] * (1.0 - share) + row[right] * share
}

/// The two tiles whose centres enclose a pixel, and the second one's share.
fn between(pixel: usize, count: usize) -> (usize, usize, f32) {
    let position = (pixel as f32 + 0.5) / TILE as f32 - 0.5;
    let first = position.max(0.0) as usize;
    let last = count - 1;
    (
        first.min(last),
        (first + 1).min(last),
        (position - first as f32).clamp(0.0, 1.0),
    )
}

/// The brightness that only `PAPER_SHARE` of the pixels pass.
pub(super) fn brightness_of_paper<'a>(lines: impl Iterator<Item = &'a [u8]>) -> u8 {
    let mut histogram = [0_u32; 256];
    let mut count = 0;
    for line in lines {
        count += line.len();
        for &pixel in line {
            histogram[usize::from(pixel)] += 1;
        }
    }
    let mut left = (count as f32 * PAPER_SHARE) as u32;
    for (brightness, &pixels) in histogram.iter().enumerate().rev() {
        if pixels > left {
            return brightness as u8;
        }
        left -= pixels;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paper whose brightness runs from `left` to `right`, with a thin dark line every 20 pixels.
    fn page(left: u8, right: u8) -> PageImage {
        let (width, height) = (640_u32, 320_u32);
        let pixel = |index: u32| {
            let (x, y) = (index % width, index / width);
            let share = f64::from(x) / f64::from(width);
            let paper = f64::from(left) * (1.0 - share) + f64::from(right) * share;
            if y % 20 < 2 {
                (paper * 0.3) as u8
            } else {
                paper as u8
            }
        };
        let data = (0..width * height).map(pixel).collect();
        PageImage {
            width,
            height,
            dpi: 0.0,
            page_width: 640.0,
            page_height: 320.0,
            data,
        }
    }

    #[test]
    fn evenly_lit_paper_is_left_alone() {
        assert!(even_light(&page(240, 250)).is_none());
        assert!(even_light(&page(90, 110)).is_none());
    }

    #[test]
    fn a_shadow_is_removed_and_the_ink_stays() {
        let flat = even_light(&page(70, 250)).unwrap();
        let row = |y: u32| &flat.data[(y * 640) as usize..((y + 1) * 640) as usize];
        assert!(
            row(10).iter().all(|&pixel| pixel > 165),
            "paper: {:?}",
            row(10).iter().min()
        );
        assert!(
            row(20).iter().all(|&pixel| pixel < 100),
            "ink: {:?}",
            row(20).iter().max()
        );
    }

    #[test]
    fn bright_letters_on_a_dark_ground_become_dark_ones() {
        let print = page(250, 250);
        let turned = cleaned(&negative(&print)).unwrap();
        assert_eq!(turned.data, print.data);
        assert!(
            !is_negative(&page(60, 70)),
            "a page in the dark is no negative"
        );
    }

    #[test]
    fn specks_are_taken_away_and_a_clean_page_is_left_alone() {
        let clean = page(240, 240);
        assert!(cleaned(&clean).is_none());
        let mut specked = clean.clone();
        for index in (3..specked.data.len() - 3).step_by(17) {
            specked.data[index] = 255 - specked.data[index];
        }
        let calm = cleaned(&specked).unwrap();
        let wrong = calm
            .data
            .iter()
            .zip(&clean.data)
            .filter(|(a, b)| a.abs_diff(**b) > 60)
            .count();
        assert!(wrong * 100 < clean.data.len(), "{wrong}");
    }

    #[test]
    fn print_is_paper_and_a_gradient_is_not() {
        assert!(is_paper(&page(240, 250)));
        let slope = (0..200 * 200).map(|index| (index % 200) as u8).collect();
        assert!(!is_paper(&PageImage {
            width: 200,
            height: 200,
            data: slope,
            ..page(0, 0)
        }));
    }

    #[test]
    fn what_cannot_be_text_is_blank() {
        let plain = |side: u32, data: Vec<u8>| PageImage {
            width: side,
            height: side,
            dpi: 0.0,
            page_width: 1.0,
            page_height: 1.0,
            data,
        };
        assert!(is_blank(&plain(100, vec![255; 10_000])));
        assert!(is_blank(&plain(8, (0..64).collect())));
        assert!(!is_blank(&page(240, 240)));
    }

    #[test]
    fn pictures_smaller_than_a_tile_have_paper_too() {
        let image = PageImage {
            width: 1,
            height: 1,
            dpi: 0.0,
            page_width: 1.0,
            page_height: 1.0,
            data: vec![9],
        };
        assert!(even_light(&image).is_none());
    }
}
