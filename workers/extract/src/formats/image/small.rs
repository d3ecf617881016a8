//! A decoded picture for people: in colour, upright, on white, as wide as asked.

use image::DynamicImage;
use image::metadata::Orientation;

use crate::picture::{MAX_PICTURE_PIXELS, PIXEL_BYTES, Picture};

/// `picture` turned upright and at most `width` pixels wide. It is made small first: everything after takes little memory.
pub(super) fn upright(picture: &DynamicImage, orientation: Orientation, width: u32) -> Picture {
    let turned = matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    let (across, along) = if turned {
        (picture.height(), picture.width())
    } else {
        (picture.width(), picture.height())
    };
    let (across, along) = fitted(across, along, width);
    let (columns, rows) = if turned {
        (along, across)
    } else {
        (across, along)
    };
    let mut small = if (columns, rows) == (picture.width(), picture.height()) {
        picture.clone()
    } else {
        picture.thumbnail_exact(columns, rows)
    };
    small.apply_orientation(orientation);
    let (width, height) = (small.width(), small.height());
    let mut data = Vec::with_capacity(width as usize * height as usize * PIXEL_BYTES);
    for pixel in small.into_rgba8().pixels() {
        let [red, green, blue, alpha] = pixel.0;
        data.extend([red, green, blue].map(|colour| on_white(colour, alpha)));
    }
    Picture {
        width,
        height,
        data,
    }
}

/// The size of a picture that is at most `width` wide and within the limit of pixels; never larger than it is.
fn fitted(across: u32, along: u32, width: u32) -> (u32, u32) {
    let by_width = f64::from(width) / f64::from(across);
    let by_area = (MAX_PICTURE_PIXELS as f64 / (f64::from(across) * f64::from(along))).sqrt();
    let factor = by_width.min(by_area).min(1.0);
    let side = |length: u32| ((f64::from(length) * factor).floor() as u32).max(1);
    (side(across), side(along))
}

/// What is transparent is paper.
fn on_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u16::from(colour), u16::from(alpha));
    ((colour * alpha + 255 * (255 - alpha)) / 255) as u8
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn the_width_is_that_of_the_upright_picture() {
        let image = DynamicImage::new_rgb8(400, 200);
        let flat = upright(&image, Orientation::NoTransforms, 100);
        assert_eq!((flat.width, flat.height), (100, 50));
        let turned = upright(&image, Orientation::Rotate90, 100);
        assert_eq!((turned.width, turned.height), (100, 200));
        assert_eq!(turned.data.len(), 100 * 200 * PIXEL_BYTES);
    }

    #[test]
    fn a_picture_is_not_made_larger_and_what_is_transparent_is_white() {
        let image = RgbaImage::from_fn(2, 1, |x, _| Rgba([9, 8, 7, if x == 0 { 255 } else { 0 }]));
        let picture = upright(&image.into(), Orientation::NoTransforms, 500);
        assert_eq!((picture.width, picture.height), (2, 1));
        assert_eq!(picture.data, [9, 8, 7, 255, 255, 255]);
    }

    #[test]
    fn a_picture_like_a_thread_stays_within_the_limits() {
        assert_eq!(fitted(1, 16_384, 100), (1, 16_384));
        let (width, height) = fitted(10_000, 10_000, 10_000);
        assert!(u64::from(width) * u64::from(height) <= MAX_PICTURE_PIXELS);
    }
}
