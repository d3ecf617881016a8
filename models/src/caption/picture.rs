//! A picture as a vision network reads it: square, centred and scaled by channel.

use super::Pixels;

/// Mean and deviation of each colour in the pictures that BLIP was trained with (those of CLIP).
const MEAN: [f32; 3] = [0.481_455, 0.457_828, 0.408_211];
const DEVIATION: [f32; 3] = [0.268_63, 0.261_303, 0.275_777];

/// One plane for each colour, `side * side` numbers each. The picture is pressed into the square, as in training. None when its bytes do
/// not fit its size.
pub(super) fn planes(picture: Pixels<'_>, side: usize) -> Option<Vec<f32>> {
    let Pixels { width, height, rgb } = picture;
    if width == 0
        || height == 0
        || side == 0
        || rgb.len() != width.checked_mul(height)?.checked_mul(3)?
    {
        return None;
    }
    let (across, along) = (taps(width, side), taps(height, side));
    let mut planes = Vec::with_capacity(3 * side * side);
    for colour in 0..3 {
        let at = |x: usize, y: usize| f32::from(rgb[(y * width + x) * 3 + colour]);
        for &(top, bottom, down) in &along {
            for &(left, right, over) in &across {
                let upper = at(left, top) * (1.0 - over) + at(right, top) * over;
                let lower = at(left, bottom) * (1.0 - over) + at(right, bottom) * over;
                let value = (upper * (1.0 - down) + lower * down) / 255.0;
                planes.push((value - MEAN[colour]) / DEVIATION[colour]);
            }
        }
    }
    Some(planes)
}

/// For each of `side` places the two pixels around it, and how much the second counts.
fn taps(length: usize, side: usize) -> Vec<(usize, usize, f32)> {
    let step = length as f32 / side as f32;
    (0..side)
        .map(|place| {
            let centre = ((place as f32 + 0.5) * step - 0.5).clamp(0.0, (length - 1) as f32);
            let first = centre as usize;
            (first, (first + 1).min(length - 1), centre.fract())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_scaled_and_between_two_pixels_there_is_their_mean() {
        let rgb = [0, 0, 0, 255, 255, 255];
        let picture = Pixels {
            width: 2,
            height: 1,
            rgb: &rgb,
        };
        let planes = planes(picture, 3).unwrap();
        for colour in 0..3 {
            let row = &planes[colour * 9..colour * 9 + 3];
            let wanted =
                [0.0, 0.5, 1.0].map(|value: f32| (value - MEAN[colour]) / DEVIATION[colour]);
            assert!(
                row.iter()
                    .zip(wanted)
                    .all(|(got, want)| (got - want).abs() < 1e-5),
                "{row:?}"
            );
            assert_eq!(
                &planes[colour * 9 + 6..colour * 9 + 9],
                row,
                "all rows are alike"
            );
        }
    }

    #[test]
    fn bytes_that_do_not_fit_the_size_are_no_picture() {
        let of = |width, height, rgb: &[u8]| planes(Pixels { width, height, rgb }, 4).is_some();
        assert!(of(1, 1, &[1, 2, 3]));
        assert!(!of(1, 2, &[1, 2, 3]) && !of(0, 1, &[]) && !of(usize::MAX, usize::MAX, &[1]));
    }
}
