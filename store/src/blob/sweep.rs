//! What housekeeping sees of the store: what is there, what nobody is writing any more, and whose it is.
//!
//! What may be removed is for the database to say; see `retention`.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    path::Path,
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use super::{FILES, FileStore, absent, hold::Removal, on_disk, sync_dir};
use crate::{clock, error::FileError};

/// A file whose writer has not come to lock it yet is younger than this.
const UNLOCKED_FOR: Duration = Duration::from_mins(1);
/// Says which database knows the files.
const DATABASE: &str = "database";

/// A stored file, as the directory shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Its name.
    pub(crate) sha256: [u8; 32],
    /// When an upload last put it there or found it there.
    pub(crate) used_at: SystemTime,
}

impl FileStore {
    /// Removes files that were being received by processes which are dead, and says how many.
    pub async fn remove_abandoned(&self) -> Result<u64, FileError> {
        let store = self.clone();
        on_disk(move || Ok(store.sweep_incoming(UNLOCKED_FOR)?)).await
    }

    /// The files whose hash begins with `shard`.
    pub(crate) async fn list(&self, shard: u8) -> Result<Vec<Seen>, FileError> {
        let dir = self.dir.join(FILES).join(hex::encode([shard]));
        on_disk(move || Ok(list(&dir)?)).await
    }

    /// Whether there is a file with this hash.
    pub(crate) async fn has(&self, sha256: &[u8; 32]) -> Result<bool, FileError> {
        let path = self.path(sha256);
        on_disk(move || Ok(absent(fs::metadata(path))?.is_some())).await
    }

    /// The right to remove a file; `None` when it is gone or an upload holds it.
    pub(crate) async fn removal(&self, sha256: &[u8; 32]) -> Result<Option<Removal>, FileError> {
        let path = self.path(sha256);
        on_disk(move || Ok(Removal::of(path)?)).await
    }

    /// Removes the file.
    pub(crate) async fn remove(removal: Removal) -> Result<(), FileError> {
        on_disk(move || Ok(removal.remove()?)).await
    }

    /// The database that the files belong to, once one has been noted.
    pub async fn database(&self) -> Result<Option<Uuid>, FileError> {
        let path = self.dir.join(DATABASE);
        on_disk(move || {
            let text = absent(fs::read_to_string(path))?;
            Ok(text.and_then(|text| text.trim().parse().ok()))
        })
        .await
    }

    /// Notes the database that the files belong to.
    pub(crate) async fn set_database(&self, id: Uuid) -> Result<(), FileError> {
        let store = self.clone();
        on_disk(move || {
            let mut file = tempfile::NamedTempFile::new_in(store.incoming())?;
            writeln!(file, "{id}")?;
            file.as_file().sync_all()?;
            file.persist(store.dir.join(DATABASE))
                .map_err(|error| error.error)?;
            Ok(sync_dir(&store.dir)?)
        })
        .await
    }

    /// Removes incoming files that no process is writing: whoever writes one holds its lock. Blocking.
    pub(super) fn sweep_incoming(&self, younger: Duration) -> io::Result<u64> {
        let mut removed = 0;
        for entry in fs::read_dir(self.incoming())? {
            let path = entry?.path();
            // Finished or given up by its owner while we looked.
            if absent(is_abandoned(&path, younger))?.unwrap_or(false)
                && absent(fs::remove_file(&path))?.is_some()
            {
                removed += 1;
            }
        }
        Ok(removed)
    }
}

fn is_abandoned(path: &Path, younger: Duration) -> io::Result<bool> {
    let file = File::open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(age(file.metadata()?.modified()?) >= younger),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// How long ago that was; nothing when the file system's clock is ahead of ours.
pub(crate) fn age(at: SystemTime) -> Duration {
    SystemTime::from(clock::now())
        .duration_since(at)
        .unwrap_or_default()
}

fn list(dir: &Path) -> io::Result<Vec<Seen>> {
    let Some(entries) = absent(fs::read_dir(dir))? else {
        return Ok(Vec::new());
    };
    let mut seen = Vec::new();
    for entry in entries {
        let entry = entry?;
        let mut sha256 = [0; 32];
        // Whatever else somebody has put there is none of ours.
        if hex::decode_to_slice(entry.file_name().as_encoded_bytes(), &mut sha256).is_err() {
            continue;
        }
        if let Some(metadata) = absent(entry.metadata())? {
            let used_at = metadata.modified()?;
            seen.push(Seen { sha256, used_at });
        }
    }
    Ok(seen)
}
