//! One upload on its way to the disk: counted, hashed and written in large pieces, in constant memory.
//!
//! The order that makes it durable: bytes, fsync of the file, rename to its name, fsync of the directory. Only then does the
//! caller learn the hash, and only with the hash can a row refer to the file.

use std::{
    io::{self, Write as _},
    mem,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{FileStore, StoredFile, keep::keep, on_disk};
use crate::{error::FileError, failpoint::failpoint};

/// Bytes of a file's beginning that are kept for recognising its type.
pub const SNIFF_HEAD_BYTES: usize = 64 * 1024;
/// Bytes collected before they are hashed and written, off the async threads: at 1 GB/s a turn takes half a millisecond, which
/// dwarfs the hand-over.
const PIECE_BYTES: usize = 512 * 1024;

/// A file that is being received. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct FileWriter {
    store: FileStore,
    limit: u64,
    /// Received so far.
    bytes: u64,
    head: Vec<u8>,
    /// Received and not written.
    piece: Vec<u8>,
    /// `None` after a failed write: the upload is lost.
    target: Option<Target>,
}

#[derive(Debug)]
struct Target {
    file: NamedTempFile,
    hash: Sha256,
}

impl FileWriter {
    /// Blocking.
    pub(super) fn create(store: FileStore, limit: u64) -> Result<Self, FileError> {
        let file = locked_in(&store.incoming())?;
        let target = Some(Target {
            file,
            hash: Sha256::new(),
        });
        Ok(Self {
            store,
            limit,
            bytes: 0,
            head: Vec::new(),
            piece: Vec::new(),
            target,
        })
    }

    /// Adds bytes. After an error the upload is lost and the writer is of no more use.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), FileError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            self.target = None;
            return Err(FileError::TooLarge { limit: self.limit });
        }
        let missing = SNIFF_HEAD_BYTES - self.head.len();
        self.head
            .extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.piece.extend_from_slice(&bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// The first bytes received, up to [`SNIFF_HEAD_BYTES`].
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Makes the file durable under its name.
    pub async fn finish(mut self) -> Result<StoredFile, FileError> {
        let target = self.target.take().ok_or_else(lost)?;
        let (store, piece, bytes) = (self.store.clone(), mem::take(&mut self.piece), self.bytes);
        on_disk(move || {
            let target = target.write(&piece)?;
            failpoint!("fsync incoming file");
            target.file.as_file().sync_all()?;
            let sha256 = target.hash.finalize().into();
            let hold = keep(target.file, &store.path(&sha256))?;
            Ok(StoredFile {
                sha256,
                bytes,
                hold,
            })
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), FileError> {
        let target = self.target.take().ok_or_else(lost)?;
        let piece = mem::take(&mut self.piece);
        let written = on_disk(move || Ok((target.write(&piece)?, piece))).await;
        let (target, mut piece) = written?;
        piece.clear();
        self.piece = piece;
        self.target = Some(target);
        Ok(())
    }
}

impl Target {
    /// Blocking.
    fn write(mut self, piece: &[u8]) -> Result<Self, FileError> {
        self.hash.update(piece);
        failpoint!("write incoming file");
        self.file.as_file_mut().write_all(piece)?;
        Ok(self)
    }
}

/// A file whose lock tells the sweep of another process that somebody is writing; it stays on the file when that gets its name.
/// Freed by the system when this process dies.
fn locked_in(dir: &Path) -> io::Result<NamedTempFile> {
    loop {
        failpoint!("create incoming file");
        let file = NamedTempFile::new_in(dir)?;
        failpoint!("lock incoming file");
        file.as_file().lock_shared()?;
        // Swept between the two lines above.
        if file.as_file().metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

fn lost() -> FileError {
    FileError::Io(io::Error::other(
        "the upload was given up after an earlier error",
    ))
}
