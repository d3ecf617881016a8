//! Icons that the icon decoder refuses: their largest picture, read as the PNG or bitmap that it is.
//!
//! Icons in the wild state wrong depths and lengths or lack a part of their mask, and show nevertheless. The mask is left out here:
//! it only says which pixels are transparent.

use std::io::Seek;

use image::ImageFormat;

use crate::formats::Input;

/// Largest file that is tried; real icons have some hundred kilobytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Longest side: an icon has at most 256 pixels by its format.
const MAX_SIDE: usize = 1024;

const DIRECTORY: usize = 6;
const ENTRY: usize = 16;
const FILE_HEADER: usize = 14;

/// The largest picture in `input` as a file of its own.
pub(super) fn largest(input: &mut Input) -> Option<(ImageFormat, Vec<u8>)> {
    input.rewind().ok()?;
    let bytes = input.read_all(MAX_BYTES).ok()?;
    let count = usize::from(short(&bytes, 4)?);
    let entries = (0..count).map(|at| DIRECTORY + ENTRY * at);
    let pictures = entries.filter_map(|entry| {
        // A side of zero stands for 256.
        let side = bytes.get(entry)?.wrapping_sub(1);
        let start = long(&bytes, entry + 12)?;
        Some((side, bytes.get(start..).filter(|rest| !rest.is_empty())?))
    });
    let (_, picture) = pictures.max_by_key(|(side, _)| *side)?;
    if picture.starts_with(b"\x89PNG") {
        return Some((ImageFormat::Png, picture.to_vec()));
    }
    Some((ImageFormat::Bmp, bitmap(picture)?))
}

/// The bitmap within an icon, whose height counts the mask as well, as a file.
fn bitmap(picture: &[u8]) -> Option<Vec<u8>> {
    let header = long(picture, 0).filter(|size| (40..=124).contains(size))?;
    let (width, height) = (long(picture, 4)?, long(picture, 8)? / 2);
    let bits = usize::from(short(picture, 14)?);
    if !(1..=MAX_SIDE).contains(&width) || !(1..=MAX_SIDE).contains(&height) || bits > 32 {
        return None;
    }
    let colors = match (bits, long(picture, 32)?) {
        (1..=8, 0) => 1 << bits,
        (1..=8, used) => used.min(256),
        _ => 0,
    };
    let pixels = header + 4 * colors;
    let needed = pixels + (width * bits).div_ceil(32) * 4 * height;
    let mut file = b"BM".to_vec();
    file.extend(((FILE_HEADER + needed) as u32).to_le_bytes());
    file.extend([0; 4]);
    file.extend(((FILE_HEADER + pixels) as u32).to_le_bytes());
    file.extend(&picture[..picture.len().min(needed)]);
    file.resize(FILE_HEADER + needed, 0);
    file[FILE_HEADER + 8..FILE_HEADER + 12].copy_from_slice(&(height as u32).to_le_bytes());
    Some(file)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*bytes) as usize)
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use proptest::prelude::*;

    use super::*;

    fn icon(picture: &[u8]) -> Input {
        let mut bytes = vec![0, 0, 1, 0, 1, 0, 4, 2, 0, 0, 1, 0, 99, 0];
        bytes.extend((picture.len() as u32 + 7).to_le_bytes());
        bytes.extend(22_u32.to_le_bytes());
        bytes.extend(picture);
        Input::from_bytes(bytes)
    }

    fn decode(input: &mut Input) -> RgbImage {
        let (format, bytes) = largest(input).unwrap();
        image::load_from_memory_with_format(&bytes, format)
            .unwrap()
            .into_rgb8()
    }

    #[test]
    fn a_bitmap_without_its_mask_and_a_png_without_alpha_are_shown() {
        let picture = RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8 * 60, y as u8 * 200, 9]));
        let mut encoded = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut encoded, ImageFormat::Bmp).unwrap();
        let mut bitmap = encoded.into_inner().split_off(FILE_HEADER);
        bitmap[8..12].copy_from_slice(&4_u32.to_le_bytes());
        assert_eq!(decode(&mut icon(&bitmap)), picture);
        let mut encoded = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut encoded, ImageFormat::Png).unwrap();
        assert_eq!(decode(&mut icon(&encoded.into_inner())), picture);
    }

    proptest! {
        #[test]
        fn rubbish_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = largest(&mut icon(&bytes));
            let _ = largest(&mut Input::from_bytes(bytes));
        }
    }
}
