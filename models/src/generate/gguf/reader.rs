//! Reads numbers and texts out of bytes, and stops at their end.

use std::ops::Range;

/// Longest key or tensor name; published ones stay below 64.
const MAX_NAME: usize = 256;
/// Longest text; the longest in published files is a chat template of some 10 KB.
const MAX_TEXT: u64 = 1 << 24;

/// A position in some bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let range = self.skip(N)?;
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[range]);
        Ok(array)
    }

    /// Steps over `count` bytes.
    pub(super) fn skip(&mut self, count: usize) -> Result<Range<usize>, String> {
        if count > self.left() {
            return Err("ends inside its header".to_owned());
        }
        let start = self.position;
        self.position += count;
        Ok(start..self.position)
    }

    /// A text, as its place. It is valid UTF-8.
    pub(super) fn text(&mut self) -> Result<Range<usize>, String> {
        let length = self.u64()?;
        if length > MAX_TEXT {
            return Err(format!("claims a text of {length} bytes"));
        }
        let range = self.skip(length as usize)?;
        match std::str::from_utf8(&self.bytes[range.clone()]) {
            Ok(_) => Ok(range),
            Err(_) => Err("holds a text that is not UTF-8".to_owned()),
        }
    }

    /// A key or the name of a tensor.
    pub(super) fn name(&mut self) -> Result<&'a str, String> {
        let range = self.text()?;
        if range.is_empty() || range.len() > MAX_NAME {
            return Err(format!("holds a name of {} bytes", range.len()));
        }
        std::str::from_utf8(&self.bytes[range]).map_err(|error| error.to_string())
    }
}
