//! How much room is left where the files are.

use super::{FileStore, on_disk};
use crate::error::FileError;

impl FileStore {
    /// Bytes that this process may still write to the file system of the store.
    pub async fn free_bytes(&self) -> Result<u64, FileError> {
        let store = self.clone();
        // A file system that is mounted over a network may take its time.
        on_disk(move || {
            let space = rustix::fs::statvfs(&*store.dir).map_err(std::io::Error::from)?;
            Ok(space.f_bavail.saturating_mul(space.f_frsize))
        })
        .await
    }
}
