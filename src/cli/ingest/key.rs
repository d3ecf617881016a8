//! What makes a run repeatable: a key for the batch from what it is called, a key for each item from what is asked.
//!
//! Both are hashes of everything that tells one from another. The same command gives the same batch; the same bytes with the
//! same question under the same name give the same job, whoever was killed in between.

use std::{fmt::Write as _, io, path::Path};

use sha2::{Digest, Sha256};

use super::plan::Asked;

/// Bytes of a hash that a key keeps: no two files of the world meet by chance.
const KEPT: usize = 20;

/// Bytes that are read at once.
const READ: usize = 256 * 1024;

/// The idempotency key of a batch, and the root of its items' keys.
#[derive(Clone, Debug)]
pub(super) struct BatchKey(String);

impl BatchKey {
    /// The key of the batch with this identity.
    pub(super) fn new(identity: &str) -> Self {
        Self(hashed("batch", &[identity.as_bytes()]))
    }

    /// As a header.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a file with this content.
    pub(super) fn item(&self, reference: &str, asked: &Asked, content: &[u8; 32]) -> String {
        let priority = asked.priority.to_string();
        let scheduled_at = asked.scheduled_at.as_deref().unwrap_or_default();
        hashed(
            "item",
            &[
                self.0.as_bytes(),
                reference.as_bytes(),
                asked.prompt.as_bytes(),
                priority.as_bytes(),
                scheduled_at.as_bytes(),
                content,
            ],
        )
    }
}

fn hashed(kind: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps two neighbouring parts from being cut in another place.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut key = format!("ingest-{kind}-");
    for byte in &hash.finalize()[..KEPT] {
        // Writing to a string cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// The hash of a file's content. Blocking.
pub(super) fn content(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ];
    loop {
        match io::Read::read(&mut file, &mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_asked_is_in_the_key() {
        let asked = |prompt: &str, priority| Asked {
            prompt: prompt.into(),
            priority,
            scheduled_at: None,
            password: None,
        };
        let batch = BatchKey::new("a");
        let same = batch.item("x", &asked("why?", 1), &[1; 32]);
        assert_eq!(batch.item("x", &asked("why?", 1), &[1; 32]), same);
        assert!(same.is_ascii() && same.len() < 100);
        for other in [
            BatchKey::new("b").item("x", &asked("why?", 1), &[1; 32]),
            batch.item("y", &asked("why?", 1), &[1; 32]),
            batch.item("x", &asked("how?", 1), &[1; 32]),
            batch.item("x", &asked("why?", 2), &[1; 32]),
            batch.item("x", &asked("why?1", 0), &[1; 32]),
            batch.item("x", &asked("why?", 1), &[2; 32]),
        ] {
            assert_ne!(other, same);
        }
    }

    #[test]
    fn the_content_is_hashed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes = vec![7; 3 * READ + 5];
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(
            content(&path).unwrap(),
            <[u8; 32]>::from(Sha256::digest(&bytes))
        );
        assert!(content(dir.path()).is_err());
    }
}
