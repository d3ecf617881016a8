//! Where uploaded bytes live: one file per content, named by its SHA-256.
//!
//! A file appears under its name only when all of it is on the disk, so whatever has a name is whole. Two uploads of the same
//! bytes share one file. Nothing here knows owners or jobs: the rows do, and nobody reaches a file but through them.

mod hold;
mod keep;
mod read;
mod space;
mod sweep;
mod writer;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::task;

use crate::error::FileError;
pub use hold::FileHold;
pub(crate) use sweep::age;
pub use writer::{FileWriter, SNIFF_HEAD_BYTES};

/// Finished files, in 256 directories by the first byte of the hash.
const FILES: &str = "files";
/// Files that are being received.
const INCOMING: &str = "incoming";

/// At a start, files of any age go that nobody holds the lock of: another process that is about to lock one notices.
const UNLOCKED_AT_START: Duration = Duration::ZERO;

/// Where uploaded bytes live. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileStore {
    dir: Arc<Path>,
}

/// A file that is in the store: until its row is committed by its hold, from then on by its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Its name.
    pub sha256: [u8; 32],
    /// Its size.
    pub bytes: u64,
    /// Keeps it from being removed as a file that no row names.
    pub hold: FileHold,
}

impl FileStore {
    /// Opens the store in `dir`, making what is missing, and removes what a dead process has left half received. Several
    /// processes may share a store.
    pub fn open(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir.join(FILES))?;
        fs::create_dir_all(dir.join(INCOMING))?;
        sync_dir(dir)?;
        let store = Self { dir: dir.into() };
        store.sweep_incoming(UNLOCKED_AT_START)?;
        Ok(store)
    }

    /// A store that is there already: makes nothing and removes nothing.
    pub fn existing(dir: impl AsRef<Path>) -> Self {
        Self {
            dir: dir.as_ref().into(),
        }
    }

    /// Begins to receive a file of at most `limit` bytes.
    pub async fn writer(&self, limit: u64) -> Result<FileWriter, FileError> {
        let store = self.clone();
        on_disk(move || FileWriter::create(store, limit)).await
    }

    fn incoming(&self) -> PathBuf {
        self.dir.join(INCOMING)
    }

    fn path(&self, sha256: &[u8; 32]) -> PathBuf {
        let name = hex::encode(sha256);
        self.dir.join(FILES).join(&name[..2]).join(name)
    }
}

/// `None` where nothing is there; any other error stays one.
fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes new names in `dir` durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Runs file work off the async threads.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(FileError::Io(io::Error::other(error))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use bytes::Bytes;
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    async fn store(content: &[u8], at: &FileStore) -> StoredFile {
        let mut writer = at.writer(u64::MAX).await.unwrap();
        for piece in content.chunks(100_000) {
            writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    #[tokio::test]
    async fn what_was_written_is_read_back_under_its_hash() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let stored = store(&content, &files).await;
        assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(&content)));
        assert_eq!(stored.bytes, content.len() as u64);
        let mut back = Vec::new();
        files
            .open_file(&stored.sha256)
            .await
            .unwrap()
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, content);
        assert_eq!(count(&files.incoming()), 0);
    }

    #[tokio::test]
    async fn the_same_bytes_are_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        let (first, second) = (store(b"twice", &files).await, store(b"twice", &files).await);
        assert_eq!(first, second);
        assert_eq!(count(files.path(&first.sha256).parent().unwrap()), 1);
        assert_eq!(count(&files.incoming()), 0);
    }

    #[tokio::test]
    async fn a_damaged_file_of_another_size_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        let stored = store(b"whole", &files).await;
        fs::write(files.path(&stored.sha256), b"who").unwrap();
        store(b"whole", &files).await;
        assert_eq!(fs::read(files.path(&stored.sha256)).unwrap(), b"whole");
    }

    #[tokio::test]
    async fn one_byte_over_the_limit_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        let mut writer = files.writer(10).await.unwrap();
        writer
            .write(Bytes::from_static(b"0123456789"))
            .await
            .unwrap();
        let refused = writer.write(Bytes::from_static(b"x")).await;
        assert!(matches!(refused, Err(FileError::TooLarge { limit: 10 })));
        drop(writer);
        assert_eq!(count(&files.incoming()), 0);
        assert_eq!(count(&dir.path().join(FILES)), 0);
    }

    #[tokio::test]
    async fn a_dropped_upload_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        let mut writer = files.writer(u64::MAX).await.unwrap();
        writer.write(Bytes::from(vec![7; 2_000_000])).await.unwrap();
        assert_eq!(count(&files.incoming()), 1);
        drop(writer);
        assert_eq!(count(&files.incoming()), 0);
    }

    #[tokio::test]
    async fn opening_sweeps_what_the_dead_left_but_not_what_the_living_write() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        fs::write(files.incoming().join("left"), b"half").unwrap();
        let mut writer = files.writer(u64::MAX).await.unwrap();
        writer.write(Bytes::from_static(b"live")).await.unwrap();
        FileStore::open(dir.path()).unwrap();
        assert_eq!(count(&files.incoming()), 1);
        assert_eq!(writer.finish().await.unwrap().bytes, 4);
    }

    #[tokio::test]
    async fn the_head_is_kept_for_recognition() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        let mut writer = files.writer(u64::MAX).await.unwrap();
        for _ in 0..30 {
            writer.write(Bytes::from(vec![b'a'; 5_000])).await.unwrap();
        }
        assert_eq!(writer.head(), vec![b'a'; SNIFF_HEAD_BYTES]);
    }

    #[tokio::test]
    async fn a_missing_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let files = FileStore::open(dir.path()).unwrap();
        assert!(matches!(
            files.open_file(&[0; 32]).await,
            Err(FileError::Missing)
        ));
    }
}
