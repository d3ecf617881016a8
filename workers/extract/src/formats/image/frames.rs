//! How many frames or pages an image file has, told from its structure without decoding one.
//!
//! Counting stops at a limit: who states a million frames has at least a thousand. A structure that ends early or makes no sense
//! counts as far as it goes, and never as less than one.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use crate::media::MediaType;

/// Frames from which on counting stops.
const MAX_FRAMES: u32 = 1_000;

/// Blocks from which on counting stops; a frame of a GIF may have thousands of them.
const MAX_BLOCKS: u32 = 1_000_000;

/// Frames of the image in `input`, 1 to [`MAX_FRAMES`].
pub(super) fn count(input: impl Read + Seek, media: MediaType) -> u32 {
    let mut input = BufReader::new(input);
    let frames = match media {
        MediaType::Gif => gif(&mut input),
        MediaType::Png => png(&mut input).unwrap_or(1),
        MediaType::Webp => webp(&mut input),
        MediaType::Tiff => tiff(&mut input),
        _ => 1,
    };
    frames.clamp(1, MAX_FRAMES)
}

fn bytes<const N: usize>(input: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn skip(input: &mut (impl BufRead + Seek), count: u64) -> Option<()> {
    input
        .seek(SeekFrom::Current(i64::try_from(count).ok()?))
        .ok()
        .map(drop)
}

/// Image descriptors.
fn gif(input: &mut BufReader<impl Read + Seek>) -> u32 {
    let mut frames = 0;
    let mut walk = || {
        let header: [u8; 13] = bytes(input)?;
        skip_within(input, color_table(header[10]))?;
        for _ in 0..MAX_BLOCKS {
            match bytes::<1>(input)? {
                [0x2C] => {
                    frames += 1;
                    let descriptor: [u8; 9] = bytes(input)?;
                    // The table is followed by one byte, the width of the first code.
                    skip_within(input, color_table(descriptor[8]) + 1)?;
                    gif_data(input)?;
                }
                [0x21] => {
                    skip_within(input, 1)?;
                    gif_data(input)?;
                }
                _ => return None,
            }
            if frames == MAX_FRAMES {
                return None;
            }
        }
        None::<()>
    };
    // However the walk ends, it has counted what it passed.
    let _ = walk();
    frames
}

/// Sub-blocks up to the empty one.
fn gif_data(input: &mut BufReader<impl Read + Seek>) -> Option<()> {
    for _ in 0..MAX_BLOCKS {
        match bytes::<1>(input)? {
            [0] => return Some(()),
            [length] => skip_within(input, i64::from(length))?,
        }
    }
    None
}

fn color_table(flags: u8) -> i64 {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 7) + 1)
    }
}

/// A skip that stays in the buffer where it can.
fn skip_within(input: &mut BufReader<impl Read + Seek>, count: i64) -> Option<()> {
    input.seek_relative(count).ok()
}

/// The animation control chunk states it, before the first image data.
fn png(input: &mut BufReader<impl Read + Seek>) -> Option<u32> {
    skip(input, 8)?;
    for _ in 0..MAX_BLOCKS {
        let length = u32::from_be_bytes(bytes(input)?);
        match &bytes::<4>(input)? {
            b"acTL" => return bytes(input).map(u32::from_be_bytes),
            b"IDAT" | b"IEND" => return None,
            // The check sum follows the data.
            _ => skip(input, u64::from(length) + 4)?,
        }
    }
    None
}

/// Animation frame chunks.
fn webp(input: &mut BufReader<impl Read + Seek>) -> u32 {
    let mut frames = 0;
    let mut walk = || {
        skip(input, 12)?;
        while frames < MAX_FRAMES {
            let name: [u8; 4] = bytes(input)?;
            let length = u64::from(u32::from_le_bytes(bytes(input)?));
            frames += u32::from(&name == b"ANMF");
            // Chunks are padded to even lengths.
            skip(input, length.next_multiple_of(2))?;
        }
        None::<()>
    };
    let _ = walk();
    frames
}

/// Image directories, each of which names the place of the next.
fn tiff(input: &mut BufReader<impl Read + Seek>) -> u32 {
    let mut frames = 0;
    let mut walk = || {
        let order: [u8; 2] = bytes(input)?;
        let big_endian = &order == b"MM";
        let big_tiff = number::<2>(input, big_endian)? == 43;
        if big_tiff {
            skip(input, 4)?;
        }
        let mut next = offset(input, big_endian, big_tiff)?;
        while next != 0 && frames < MAX_FRAMES {
            frames += 1;
            input.seek(SeekFrom::Start(next)).ok()?;
            let entries = if big_tiff {
                number::<8>(input, big_endian)?
            } else {
                number::<2>(input, big_endian)?
            };
            skip(input, entries.checked_mul(if big_tiff { 20 } else { 12 })?)?;
            next = offset(input, big_endian, big_tiff)?;
        }
        None::<()>
    };
    let _ = walk();
    frames
}

fn offset(input: &mut impl Read, big_endian: bool, big_tiff: bool) -> Option<u64> {
    if big_tiff {
        number::<8>(input, big_endian)
    } else {
        number::<4>(input, big_endian)
    }
}

fn number<const N: usize>(input: &mut impl Read, big_endian: bool) -> Option<u64> {
    let mut raw = bytes::<N>(input)?;
    if big_endian {
        raw.reverse();
    }
    Some(
        raw.iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::codecs::gif::GifEncoder;
    use image::{Frame, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    fn animation(frames: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = GifEncoder::new(&mut bytes);
        encoder
            .encode_frames((0..frames).map(|_| Frame::new(RgbaImage::new(9, 7))))
            .unwrap();
        drop(encoder);
        bytes
    }

    #[test]
    fn the_frames_of_a_gif_are_counted() {
        for frames in [1, 3, 20] {
            assert_eq!(
                count(Cursor::new(animation(frames)), MediaType::Gif),
                frames
            );
        }
        let whole = animation(3);
        let cut = count(Cursor::new(&whole[..whole.len() - 10]), MediaType::Gif);
        assert_eq!(cut, 3, "a frame counts even if the file ends within it");
    }

    #[test]
    fn an_animated_png_states_its_frames() {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.extend(b"\0\0\0\x02tEXtab....\0\0\0\x08acTL\0\0\0\x07\0\0\0\0");
        assert_eq!(count(Cursor::new(bytes), MediaType::Png), 7);
    }

    #[test]
    fn a_tiff_that_runs_in_circles_is_counted_to_the_limit() {
        for header in [b"II*\0\x08\0\0\0".to_vec(), b"MM\0*\0\0\0\x08".to_vec()] {
            let little = header[0] == b'I';
            let mut bytes = header;
            bytes.extend([0, 0]);
            bytes.extend(if little { [8, 0, 0, 0] } else { [0, 0, 0, 8] });
            assert_eq!(count(Cursor::new(&bytes), MediaType::Tiff), MAX_FRAMES);
            let end = bytes.len() - 4;
            bytes[end..].fill(0);
            assert_eq!(count(Cursor::new(&bytes), MediaType::Tiff), 1);
        }
    }

    #[test]
    fn the_frames_of_a_webp_are_counted() {
        let mut bytes = b"RIFF\0\0\0\0WEBP".to_vec();
        for name in [b"VP8X", b"ANMF", b"ANMF"] {
            bytes.extend(name);
            bytes.extend([3, 0, 0, 0, 1, 2, 3, 0]);
        }
        assert_eq!(count(Cursor::new(bytes), MediaType::Webp), 2);
    }

    proptest! {
        #[test]
        fn rubbish_is_one_frame_or_more(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for media in [MediaType::Gif, MediaType::Png, MediaType::Webp, MediaType::Tiff] {
                prop_assert!((1..=MAX_FRAMES).contains(&count(Cursor::new(&bytes), media)));
            }
        }
    }
}
