//! A fingerprint by which two pictures are found to look alike: dHash (Krawetz, "Kind of like that", 2013).
//!
//! The picture is averaged down to nine by eight cells, and each of the 64 bits says whether a cell is darker than its right neighbour.
//! Scaling, recompression and brightness change few bits: up to 4 of 64 are the same picture, some 10 are similar ones.

use super::grey::Grey;

const COLUMNS: usize = 9;
const ROWS: usize = 8;

/// The fingerprint of `picture` as 16 hexadecimal digits, the top left bit first.
pub(super) fn difference_hash(picture: &Grey) -> String {
    let cells = cells(picture);
    let mut bits = 0_u64;
    for row in &cells {
        for pair in row.windows(2) {
            bits = bits << 1 | u64::from(pair[0] < pair[1]);
        }
    }
    format!("{bits:016x}")
}

/// Mean brightness of each cell; a cell of a picture that is smaller than the grid is the nearest pixel.
fn cells(picture: &Grey) -> [[u64; COLUMNS]; ROWS] {
    let (width, height) = (picture.width as usize, picture.height as usize);
    let span = |index: usize, count: usize, length: usize| {
        let from = index * length / count;
        from..((index + 1) * length / count).max(from + 1)
    };
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let (xs, ys) = (span(column, COLUMNS, width), span(row, ROWS, height));
            let area = (xs.len() * ys.len()) as u64;
            let lines = ys.map(|y| &picture.data[y * width..][xs.clone()]);
            let sum: u64 = lines.flatten().map(|&pixel| u64::from(pixel)).sum();
            // In sixteenths, so that faint gradients still have a direction.
            sum * 16 / area
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, pixel: impl Fn(u32, u32) -> u8) -> Grey {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Grey {
            width,
            height,
            original_width: width,
            original_height: height,
            data: places.map(|(x, y)| pixel(x, y)).collect(),
        }
    }

    #[test]
    fn brightness_rising_and_falling_are_opposites() {
        let rising = picture(90, 80, |x, _| (x * 2) as u8);
        let falling = picture(90, 80, |x, _| 255 - (x * 2) as u8);
        assert_eq!(difference_hash(&rising), "ffffffffffffffff");
        assert_eq!(difference_hash(&falling), "0000000000000000");
    }

    #[test]
    fn size_does_not_matter_and_one_pixel_is_enough() {
        let wave = |x: f32, y: f32| (128.0 + 100.0 * (x * 9.0).sin() * (y * 5.0).cos()) as u8;
        let scaled = |side: u32| {
            picture(side, side, |x, y| {
                wave(x as f32 / side as f32, y as f32 / side as f32)
            })
        };
        let [small, large] = [160, 640]
            .map(|side| u64::from_str_radix(&difference_hash(&scaled(side)), 16).unwrap());
        assert!((small ^ large).count_ones() <= 4);
        assert_eq!(
            difference_hash(&picture(1, 1, |_, _| 7)),
            "0000000000000000"
        );
    }
}
