//! SHA-256 of files, and its written form.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use crate::cancel::CancelFlag;
use crate::catalog::Content;
use crate::error::ModelError;

/// Bytes hashed at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Hashes a file, reading it once.
pub fn content_of(path: &Path, cancel: &CancelFlag) -> Result<Content, ModelError> {
    let mut file = File::open(path).map_err(ModelError::io(path))?;
    let (mut hash, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        cancel.check()?;
        let read = file.read(&mut chunk).map_err(ModelError::io(path))?;
        if read == 0 {
            return Ok(Content {
                sha256: Digest(hash.finalize().into()),
                bytes,
            });
        }
        hash.update(&chunk[..read]);
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_a_known_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let content = content_of(file.path(), &CancelFlag::default()).unwrap();
        assert_eq!(content.bytes, 3);
        assert_eq!(
            content.sha256.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_digest_of_another_length_is_refused() {
        assert!(serde_json::from_str::<Digest>("\"ba78\"").is_err());
        assert!(serde_json::from_str::<Digest>(&format!("\"{}\"", "zz".repeat(32))).is_err());
    }
}
