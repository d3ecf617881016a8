//! One upload on its way to the disk: counted, hashed and written in large pieces, in constant memory.
//!
//! The order that makes it durable: bytes, fsync of the file, rename to its name, fsync of the directory. Only then does the
//! caller learn the hash, and only with the hash can a row refer to the file.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    mem,
    path::Path,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{FileStore, StoredFile, on_disk, sync_dir};
use crate::error::FileError;

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
        let file = NamedTempFile::new_in(store.incoming())?;
        // Tells the sweep of another process that somebody is writing. Freed by the system when this process dies.
        file.as_file().lock()?;
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
            target.file.as_file().sync_all()?;
            let sha256 = target.hash.finalize().into();
            keep(target.file, &store.path(&sha256), bytes)?;
            Ok(StoredFile { sha256, bytes })
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
        self.file.as_file_mut().write_all(piece)?;
        Ok(self)
    }
}

/// Gives the file its name. Bytes that are there already, whole as far as their size tells, stay.
fn keep(file: NamedTempFile, path: &Path, bytes: u64) -> Result<(), FileError> {
    let dir = path.parent().ok_or_else(lost)?;
    if let Err(error) = fs::create_dir(dir) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error.into());
        }
    } else if let Some(parent) = dir.parent() {
        sync_dir(parent)?;
    }
    let is_there = File::open(path)
        .and_then(|there| there.metadata())
        .is_ok_and(|there| there.len() == bytes);
    if !is_there {
        file.persist(path).map_err(|error| error.error)?;
    }
    // Also when it was there: the one who put it there may not have come this far.
    sync_dir(dir)?;
    Ok(())
}

fn lost() -> FileError {
    FileError::Io(io::Error::other(
        "the upload was given up after an earlier error",
    ))
}
