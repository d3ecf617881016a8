//! A decoded picture as Tesseract wants it: grey, upright, on white, not larger than needed.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, imageops};

use crate::formats::MAX_PAGE_IMAGE_PIXELS;

/// A grey picture and the size it had, upright, before it was made smaller.
pub(super) struct Grey {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) original_width: u32,
    pub(super) original_height: u32,
    pub(super) data: Vec<u8>,
}

/// Turns `picture` upright and grey. The colours are given up first: everything after takes a third of the memory.
pub(super) fn upright(picture: DynamicImage, orientation: Orientation) -> Grey {
    let mut grey = DynamicImage::ImageLuma8(to_grey(picture));
    grey.apply_orientation(orientation);
    let (original_width, original_height) = (grey.width(), grey.height());
    let small = shrink(grey.into_luma8());
    Grey {
        width: small.width(),
        height: small.height(),
        original_width,
        original_height,
        data: small.into_raw(),
    }
}

fn to_grey(picture: DynamicImage) -> GrayImage {
    match picture {
        DynamicImage::ImageLuma8(grey) => grey,
        DynamicImage::ImageLumaA8(image) => {
            let (width, height) = image.dimensions();
            let data = image
                .as_raw()
                .chunks_exact(2)
                .map(|pixel| on_white(pixel[0], pixel[1]))
                .collect();
            from_raw(width, height, data)
        }
        picture if picture.color().has_alpha() => {
            let image = picture.into_rgba8();
            let (width, height) = image.dimensions();
            let data = image
                .as_raw()
                .chunks_exact(4)
                .map(|pixel| on_white(luminance(pixel), pixel[3]))
                .collect();
            from_raw(width, height, data)
        }
        picture => picture.into_luma8(),
    }
}

fn from_raw(width: u32, height: u32, data: Vec<u8>) -> GrayImage {
    GrayImage::from_raw(width, height, data).expect("one byte was made of each pixel")
}

/// What is transparent is paper: black letters on transparent black would vanish otherwise.
fn on_white(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u16::from(grey), u16::from(alpha));
    ((grey * alpha + 255 * (255 - alpha)) / 255) as u8
}

/// Brightness of a colour, by the weights of Rec. 709.
fn luminance(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((2126 * red + 7152 * green + 722 * blue) / 10_000) as u8
}

fn shrink(grey: GrayImage) -> GrayImage {
    let pixels = u64::from(grey.width()) * u64::from(grey.height());
    if pixels <= MAX_PAGE_IMAGE_PIXELS {
        return grey;
    }
    let factor = (MAX_PAGE_IMAGE_PIXELS as f64 / pixels as f64).sqrt();
    let side = |length: u32| ((f64::from(length) * factor) as u32).max(1);
    imageops::thumbnail(&grey, side(grey.width()), side(grey.height()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_is_white_and_opaque_stays() {
        let image =
            image::RgbaImage::from_raw(3, 1, vec![0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255])
                .unwrap();
        assert_eq!(
            upright(image.into(), Orientation::NoTransforms).data,
            [255, 0, 255]
        );
    }

    #[test]
    fn turning_swaps_the_sides() {
        let image = GrayImage::from_raw(2, 1, vec![10, 20]).unwrap();
        let grey = upright(image.into(), Orientation::Rotate90);
        assert_eq!((grey.width, grey.height, grey.data), (1, 2, vec![10, 20]));
    }

    #[test]
    fn large_pictures_shrink_and_remember_their_size() {
        let grey = upright(
            GrayImage::new(16_000, 3_200).into(),
            Orientation::NoTransforms,
        );
        assert!(u64::from(grey.width) * u64::from(grey.height) <= MAX_PAGE_IMAGE_PIXELS);
        assert_eq!((grey.original_width, grey.original_height), (16_000, 3_200));
        assert_eq!(grey.data.len(), (grey.width * grey.height) as usize);
    }
}
