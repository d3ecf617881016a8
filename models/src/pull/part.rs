//! A file on its way: `<name>.part` beside the place where it will be.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::cancel::CancelFlag;
use crate::catalog::FileSpec;
use crate::model_dir::verify_file;

use super::failure::FetchError;

/// Bytes copied between two looks at the cancel flag.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes between two progress reports: an unpacked file comes in pieces of a few kilobytes, too many to tell of each.
const REPORT_BYTES: u64 = 256 * 1024;

/// A part of one file of a model.
pub(super) struct Part<'a> {
    file: &'a FileSpec,
    path: PathBuf,
    target: PathBuf,
}

impl<'a> Part<'a> {
    pub(super) fn new(folder: &Path, file: &'a FileSpec) -> Self {
        Self {
            file,
            path: folder.join(format!("{}.part", file.name)),
            target: folder.join(&file.name),
        }
    }

    /// Bytes that are here.
    pub(super) fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    /// Removes what is here. Absent is fine.
    pub(super) fn discard(&self) -> Result<(), FetchError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(FetchError::io(&self.path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Appends everything that `from` gives, up to the longest accepted length. `seen` hears the length from time to time and at the end.
    ///
    /// The part is kept when `from` fails, so that a later pull goes on there.
    pub(super) fn append(
        &self,
        from: &mut dyn Read,
        cancel: &CancelFlag,
        seen: &mut dyn FnMut(u64),
    ) -> Result<(), FetchError> {
        let mut part = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
            .map_err(FetchError::io(&self.path))?;
        let mut length = self.length();
        let mut reported = length;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            if cancel.is_cancelled() {
                return Err(FetchError::Cancelled);
            }
            let read = from
                .read(&mut chunk)
                .map_err(|error| self.interrupted(length, &error.to_string()))?;
            if read == 0 {
                return if self.file.accepts_length(length) {
                    Ok(())
                } else {
                    Err(self.interrupted(length, "the source ended"))
                };
            }
            length += read as u64;
            if length > self.file.max_bytes() {
                self.discard()?;
                let reason = format!("longer than {} bytes", self.file.max_bytes());
                return Err(FetchError::WrongContent {
                    file: self.file.name.clone(),
                    reason,
                });
            }
            part.write_all(&chunk[..read])
                .map_err(FetchError::io(&self.path))?;
            if length - reported >= REPORT_BYTES || self.file.accepts_length(length) {
                reported = length;
                seen(length);
            }
        }
    }

    fn interrupted(&self, got: u64, reason: &str) -> FetchError {
        let file = self.file.name.clone();
        FetchError::Interrupted {
            file,
            got,
            expected: self.file.max_bytes(),
            reason: reason.to_owned(),
        }
    }

    /// Gives the part its name, if it is an accepted version of the file. A wrong one is removed.
    pub(super) fn install(&self, cancel: &CancelFlag) -> Result<(), FetchError> {
        if let Err(error) = verify_file(self.file, &self.path, cancel) {
            let error = FetchError::from_verification(&self.file.name, error);
            if matches!(error, FetchError::WrongContent { .. }) {
                self.discard()?;
            }
            return Err(error);
        }
        sync(&self.path)?;
        std::fs::rename(&self.path, &self.target).map_err(FetchError::io(&self.target))?;
        // The new name must survive a power cut too, which only the directory's own sync promises.
        self.target.parent().map_or(Ok(()), sync)
    }
}

fn sync(path: &Path) -> Result<(), FetchError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(FetchError::io(path))
}
