//! How large a compressed stream becomes, without making it that large.
//!
//! DEFLATE packs at most 1,032 bytes into one, and filters can be chained, so four kilobytes can hold gigabytes. Neither engine
//! bounds what it inflates; streams are measured here before an engine sees them.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

/// Most bytes that one byte of DEFLATE data can stand for.
const DEFLATE_RATIO: u64 = 1_032;

/// Whether `raw`, packed by DEFLATE `layers` times, holds more than `limit` bytes. Reads no further than `limit`.
pub(super) fn inflates_beyond(raw: &[u8], layers: usize, limit: u64) -> bool {
    let most = (0..layers).fold(raw.len() as u64, |size, _| {
        size.saturating_mul(DEFLATE_RATIO)
    });
    if most <= limit {
        return false;
    }
    let mut reader: Box<dyn Read + '_> = Box::new(raw);
    for _ in 0..layers {
        reader = Box::new(ZlibDecoder::new(reader));
    }
    // A stream that is broken half way has the size that it has until there.
    let mut sink = CountingSink(0);
    let _ = io::copy(&mut reader.take(limit.saturating_add(1)), &mut sink);
    sink.0 > limit
}

struct CountingSink(u64);

impl io::Write for CountingSink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0 += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_bomb_is_told_from_an_ordinary_stream() {
        let zeros = packed(&vec![0; 1 << 20]);
        assert!(inflates_beyond(&zeros, 1, 1 << 19));
        assert!(!inflates_beyond(&zeros, 1, 1 << 20));
        assert!(inflates_beyond(&packed(&zeros), 2, 1 << 19));
        assert!(!inflates_beyond(b"not packed at all", 0, 100));
    }

    #[test]
    fn a_broken_stream_has_the_size_that_can_be_read() {
        assert!(!inflates_beyond(&[0x78, 0x9C, 0xFF, 0xFF], 1, 10));
    }
}
