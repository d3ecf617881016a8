//! How a page lies in its picture: which way its lines run, how far they are askew, whether it is upside down.
//!
//! Lines of text are bands of ink with white bands between them. Seen along the right direction the amounts of ink differ most from
//! one band to the next (projection profile, Postl 1986), so all directions are tried on a small copy of the picture. Whether a page
//! stands on its head shows in its letters: more of them rise above their middle (b, d, t, capitals) than hang below it (g, p).

use super::prepare::brightness_of_paper;
use crate::formats::PageImage;

/// Longer side of the small copy, in pixels: a line of text on it is some five pixels high.
const SMALL_SIDE: u32 = 1_000;

/// Most pixels of ink that are looked at for each direction.
const MAX_INK: usize = 60_000;

/// Largest angle that is looked for, in degrees.
const MAX_SKEW: f32 = 12.0;

/// Smaller angles do no harm, while turning a picture blurs it a little.
const LEAST_SKEW: f32 = 0.6;

/// How a page lies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lay {
    /// Quarter turns clockwise that bring its lines across and its head up.
    pub(super) turns: u8,
    /// Degrees, clockwise, by which its lines fall to the right after that; 0 when they are straight enough.
    pub(super) skew: f32,
    /// How far the ink is from being spread evenly; 1 for specks, some tens for a page of text.
    pub(super) contrast: f32,
}

/// Finds out how the page in `image` lies.
pub(super) fn lay(image: &PageImage) -> Lay {
    /// How much more one direction must look like lines than the other.
    const CLEARLY: f32 = 1.3;
    let ink = Ink::of(image);
    if ink.points.len() < 50 {
        return Lay::default();
    }
    let across = ink.best_skew();
    let turned = ink.turned();
    let down = turned.best_skew();
    if down.1 > CLEARLY * across.1 {
        // Turned clockwise, a page that lies on its left side stands.
        let turns = if turned.balance(down.0) < 0.0 { 3 } else { 1 };
        return Lay::new(turns, down);
    }
    let turns = if ink.balance(across.0) < -SURE_BALANCE {
        2
    } else {
        0
    };
    Lay::new(turns, across)
}

/// Share by which there must be more ink below the middle of the lines than above for a page to be taken to stand on its head: few do.
const SURE_BALANCE: f32 = 0.12;

impl Lay {
    /// Whether there are lines at all, whichever way is up.
    pub(super) fn is_lines(&self) -> bool {
        /// Evenly spread specks have 1, a drawing hardly 5.
        const LEAST_CONTRAST: f32 = 6.0;
        self.contrast >= LEAST_CONTRAST
    }

    fn new(turns: u8, (skew, contrast): (f32, f32)) -> Self {
        Self {
            turns,
            skew: if skew.abs() < LEAST_SKEW { 0.0 } else { skew },
            contrast,
        }
    }
}

/// Dark pixels of the small copy.
struct Ink {
    points: Vec<(f32, f32)>,
    width: f32,
    height: f32,
}

impl Ink {
    fn of(image: &PageImage) -> Self {
        let step = image.width.max(image.height).div_ceil(SMALL_SIDE).max(1) as usize;
        let (width, height) = (image.width as usize / step, image.height as usize / step);
        let small = shrunk(image, step, (width, height));
        let paper = brightness_of_paper(std::iter::once(small.as_slice()));
        let darkest = darkest_ink(&small);
        // Small letters are grey in a small copy.
        let limit = paper.saturating_sub(paper.saturating_sub(darkest) / 3);
        let is_ink = |index: &usize| small[*index] < limit;
        let count = (0..small.len()).filter(is_ink).count();
        let every = count.div_ceil(MAX_INK).max(1);
        let points = (0..small.len())
            .filter(is_ink)
            .step_by(every)
            .map(|index| ((index % width) as f32, (index / width) as f32))
            .collect();
        Self {
            points,
            width: width as f32,
            height: height as f32,
        }
    }

    /// The same, turned clockwise by a quarter.
    fn turned(&self) -> Self {
        let turn = |&(x, y): &(f32, f32)| (self.height - 1.0 - y, x);
        Self {
            points: self.points.iter().map(turn).collect(),
            width: self.height,
            height: self.width,
        }
    }

    /// The angle at which the ink looks most like lines, and how much.
    fn best_skew(&self) -> (f32, f32) {
        let best = |angles: &mut dyn Iterator<Item = f32>| {
            angles
                .map(|angle| (angle, self.contrast(angle)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap_or_default()
        };
        let steps = MAX_SKEW as i32;
        let coarse = best(&mut (-steps..=steps).map(|step| step as f32));
        let finer = best(&mut (-4..=4).map(|step| coarse.0 + 0.25 * step as f32));
        best(&mut (-2..=2).map(|step| finer.0 + 0.1 * step as f32))
    }

    /// Mean square difference of neighbouring bands, as a multiple of what evenly spread ink would have.
    fn contrast(&self, angle: f32) -> f32 {
        let profile = self.profile(angle);
        let squares: f32 = profile
            .windows(2)
            .map(|pair| (pair[0] - pair[1]).powi(2))
            .sum();
        squares / (2.0 * self.points.len() as f32)
    }

    /// Ink along the lines that fall by `angle` degrees to the right, from top to bottom.
    fn profile(&self, angle: f32) -> Vec<f32> {
        let (sin, cos) = angle.to_radians().sin_cos();
        let offset = self.width * sin.abs();
        let mut profile = vec![0.0; (self.height + 2.0 * offset) as usize + 2];
        for (x, y) in &self.points {
            let at = (y * cos - x * sin + offset).max(0.0) as usize;
            if let Some(band) = profile.get_mut(at) {
                *band += 1.0;
            }
        }
        profile
    }

    /// How much more ink stands above the middle of the lines than below it, as a share of both: above zero for a page that stands.
    fn balance(&self, angle: f32) -> f32 {
        let profile = self.profile(angle);
        let (mut above, mut below) = (0.0, 0.0);
        for line in text_lines(&profile) {
            let band = &profile[line.clone()];
            let most = band.iter().copied().fold(0.0, f32::max);
            let is_core = |ink: &f32| *ink > 0.5 * most;
            let first = band.iter().position(is_core).unwrap_or(0);
            let last = band.iter().rposition(is_core).unwrap_or(0);
            above += band[..first].iter().sum::<f32>();
            below += band[last + 1..].iter().sum::<f32>();
        }
        (above - below) / (above + below).max(1.0)
    }
}

/// The bands of ink that are as high as a line.
fn text_lines(profile: &[f32]) -> Vec<std::ops::Range<usize>> {
    /// Lower bands are rules, higher ones pictures.
    const HEIGHTS: std::ops::RangeInclusive<usize> = 4..=40;
    let mean = profile.iter().sum::<f32>() / profile.len() as f32;
    let mut lines = Vec::new();
    let mut start = None;
    for (at, ink) in profile.iter().enumerate() {
        // A little ink in every band is dust.
        let is_text = *ink > 0.08 * mean;
        match (is_text, start) {
            (true, None) => start = Some(at),
            (false, Some(first)) => {
                lines.push(first..at);
                start = None;
            }
            _ => {}
        }
    }
    lines.retain(|line| HEIGHTS.contains(&line.len()));
    lines
}

/// The picture made smaller: each pixel is the mean of `step` by `step`.
fn shrunk(image: &PageImage, step: usize, (width, height): (usize, usize)) -> Vec<u8> {
    let full = image.width as usize;
    let mut small = Vec::with_capacity(width * height);
    let mut sums = vec![0_u32; width];
    for y in 0..height {
        sums.fill(0);
        for row in image.data[y * step * full..].chunks_exact(full).take(step) {
            for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(step)) {
                *sum += pixels.iter().map(|&pixel| u32::from(pixel)).sum::<u32>();
            }
        }
        let area = (step * step) as u32;
        small.extend(sums.iter().map(|sum| (sum / area) as u8));
    }
    small
}

/// The brightness that one pixel in two hundred stays below.
fn darkest_ink(pixels: &[u8]) -> u8 {
    const SHARE: usize = 200;
    let mut counts = [0_usize; 256];
    for &pixel in pixels {
        counts[usize::from(pixel)] += 1;
    }
    let mut left = pixels.len() / SHARE;
    for (brightness, &count) in counts.iter().enumerate() {
        if count > left {
            return brightness as u8;
        }
        left -= count;
    }
    u8::MAX
}

#[cfg(test)]
mod tests {
    use super::super::turn::Turned;
    use super::*;

    /// A number that says nothing of `number` (`SplitMix64`).
    fn mixed(number: u64) -> u64 {
        let mut z = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A page of lines whose letters rise above their middle now and then.
    fn page() -> PageImage {
        let (width, height) = (900_u32, 1_200_u32);
        let mut data = vec![255; (width * height) as usize];
        for y in 80..height - 80 {
            let in_line = y % 40;
            for x in 80..width - 80 {
                // Letters with a stem upwards every third time, downwards every seventh time; no line begins like another.
                let along = x + mixed(u64::from(y / 40)) as u32 % 97;
                let letter = mixed(u64::from(along / 12) + 1_000 * u64::from(y / 40));
                let is_stem = along % 12 < 3;
                let is_ink = match in_line {
                    6..=11 => letter.is_multiple_of(3) && is_stem,
                    12..=23 => along % 12 < 7,
                    24..=28 => letter.is_multiple_of(7) && is_stem,
                    _ => false,
                };
                if is_ink && letter % 9 != 8 {
                    data[(y * width + x) as usize] = 20;
                }
            }
        }
        PageImage {
            width,
            height,
            dpi: 0.0,
            page_width: 900.0,
            page_height: 1_200.0,
            data,
        }
    }

    #[test]
    fn a_page_that_stands_straight_is_left_alone() {
        let lay = lay(&page());
        assert!(lay.turns == 0 && lay.is_lines());
        assert!(lay.skew.abs() < 1e-6 && lay.contrast > 5.0, "{lay:?}");
    }

    #[test]
    fn every_angle_is_found() {
        for degrees in [-9.0_f32, -4.0, -1.5, 2.0, 10.0] {
            let skewed = Turned::by(&page(), 0, -degrees).image;
            let found = lay(&skewed);
            assert!((found.skew - degrees).abs() < 0.3, "{degrees}: {found:?}");
        }
    }

    #[test]
    fn a_page_on_its_side_or_on_its_head_is_turned() {
        for turns in 1..4 {
            let lying = Turned::by(&page(), 4 - turns, 0.0).image;
            assert_eq!(lay(&lying).turns, turns);
        }
    }

    #[test]
    fn specks_have_no_direction() {
        let specks = (0..900_u64 * 1_200)
            .map(|index| {
                if mixed(index).is_multiple_of(64) {
                    0
                } else {
                    255
                }
            })
            .collect();
        let found = lay(&PageImage {
            data: specks,
            ..page()
        });
        assert!(found.contrast < 3.0, "{found:?}");
    }
}
