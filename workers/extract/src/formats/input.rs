//! The file of a job.
//!
//! The descriptor comes from the parent and shares its read position with every other holder, so this reader keeps a position of
//! its own and reads by offset (`pread`). The size is taken by seeking: the sandbox forbids `stat`, which could also name paths.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use crate::error::ParseError;

/// A readable, seekable file of known size, or a part of one that was taken out of it.
#[derive(Debug)]
pub struct Input {
    source: Source,
    position: u64,
    size: u64,
}

#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Vec<u8>),
}

impl Input {
    /// Reads `file` from its beginning.
    pub fn new(mut file: File) -> io::Result<Self> {
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            source: Source::File(file),
            position: 0,
            size,
        })
    }

    /// Reads a file that lay within another one.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self {
            size: bytes.len() as u64,
            source: Source::Bytes(bytes),
            position: 0,
        }
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The whole file, if it is at most `limit` bytes.
    pub fn read_all(&mut self, limit: u64) -> Result<Vec<u8>, ParseError> {
        if self.size > limit {
            return Err(ParseError::LimitExceeded(format!(
                "the file has {} bytes, the limit is {limit}",
                self.size
            )));
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(self.size as usize)
            .map_err(|_| ParseError::OutOfMemory)?;
        self.position = 0;
        let limit = self.size;
        self.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &self.source {
            Source::File(file) => file.read_at(buffer, self.position)?,
            Source::Bytes(bytes) => {
                let start = self.position.min(self.size) as usize;
                (&bytes[start..]).read(buffer)?
            }
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Input {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn input(bytes: &[u8]) -> Input {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Input::new(file).unwrap()
    }

    #[test]
    fn two_readers_of_one_descriptor_do_not_disturb_each_other() {
        let mut first = input(b"abcdef");
        let Source::File(file) = &first.source else {
            unreachable!("made of a file")
        };
        let mut second = Input::new(file.try_clone().unwrap()).unwrap();
        let mut byte = [0];
        first.read_exact(&mut byte).unwrap();
        second.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"a");
        assert_eq!(first.read_all(100).unwrap(), b"abcdef");
    }

    #[test]
    fn bytes_are_read_like_a_file() {
        let mut input = Input::from_bytes(b"abcdef".to_vec());
        input.seek(SeekFrom::End(-2)).unwrap();
        let mut rest = String::new();
        input.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ef");
        input.seek(SeekFrom::Start(99)).unwrap();
        assert_eq!(input.read(&mut [0; 4]).unwrap(), 0);
        assert_eq!(input.read_all(6).unwrap(), b"abcdef");
    }

    #[test]
    fn a_file_over_the_limit_is_refused_before_it_is_read() {
        assert!(matches!(
            input(b"abcdef").read_all(5),
            Err(ParseError::LimitExceeded(_))
        ));
    }

    #[test]
    fn seeks_before_the_start_are_errors() {
        let mut input = input(b"abc");
        assert!(input.seek(SeekFrom::Current(-1)).is_err());
        assert_eq!(input.seek(SeekFrom::End(-1)).unwrap(), 2);
    }
}
