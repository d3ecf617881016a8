//! The parts of a ZIP container, inflated within limits.
//!
//! Sizes that the container states are not believed: what comes out is counted. Nothing is written to disk, and names are only
//! compared, never opened.

use std::io::Read;

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::ParseError;
use crate::formats::Input;

/// Most entries of a container.
pub(super) const MAX_ENTRIES: usize = 10_000;

/// Most bytes of one part.
const MAX_PART: u64 = 64 * 1024 * 1024;

/// Most bytes of all parts that are read.
const MAX_ALL: u64 = 256 * 1024 * 1024;

/// An open container.
pub(super) struct Parts<'i> {
    archive: ZipArchive<&'i mut Input>,
    left: u64,
}

impl<'i> Parts<'i> {
    /// Reads the directory of the container.
    pub(super) fn open(input: &'i mut Input) -> Result<Self, ParseError> {
        let archive = ZipArchive::new(input).map_err(damaged)?;
        if archive.len() > MAX_ENTRIES {
            return Err(ParseError::LimitExceeded(format!(
                "the container has {} entries, the limit is {MAX_ENTRIES}",
                archive.len()
            )));
        }
        Ok(Self {
            archive,
            left: MAX_ALL,
        })
    }

    /// Names of the files in the order of the directory.
    pub(super) fn names(&self) -> Vec<String> {
        self.archive
            .file_names()
            .filter(|name| !name.ends_with('/'))
            .map(str::to_owned)
            .collect()
    }

    /// The content of a part; `None` when there is no such part.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, ParseError> {
        let part = match self.archive.by_name(name) {
            Ok(part) => part,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(damaged(error)),
        };
        let limit = MAX_PART.min(self.left);
        let mut bytes = Vec::new();
        part.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| ParseError::Damaged(format!("a part cannot be inflated: {error}")))?;
        if bytes.len() as u64 > limit {
            return Err(ParseError::LimitExceeded(format!(
                "a part of the container is larger than {limit} bytes"
            )));
        }
        self.left -= bytes.len() as u64;
        Ok(Some(bytes))
    }
}

fn damaged(error: ZipError) -> ParseError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => ParseError::PasswordNeeded,
        ZipError::UnsupportedArchive(what) => ParseError::NotSupported(what.to_owned()),
        error => ParseError::Damaged(format!("the container cannot be read: {error}")),
    }
}

/// A container with these parts, for tests.
#[cfg(test)]
pub(super) fn container(parts: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::{Cursor, Write};

    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_inflates_beyond_the_limit_is_refused() {
        let bomb = vec![0; MAX_PART as usize + 1];
        let mut input = Input::from_bytes(container(&[("bomb", &bomb), ("good", b"x")]));
        let mut parts = Parts::open(&mut input).unwrap();
        assert!(matches!(
            parts.read("bomb"),
            Err(ParseError::LimitExceeded(_))
        ));
        assert_eq!(parts.read("good").unwrap().unwrap(), b"x");
        assert!(parts.read("none").unwrap().is_none());
    }

    #[test]
    fn a_damaged_directory_is_an_error() {
        let mut bytes = container(&[("a", b"x")]);
        bytes.truncate(bytes.len() - 10);
        assert!(matches!(
            Parts::open(&mut Input::from_bytes(bytes)),
            Err(ParseError::Damaged(_))
        ));
    }
}
