//! The hold that an upload has on its file until a row names the file, and the other side of it: the right to remove a file.
//!
//! Between the moment a file has its name and the commit of its row, the file looks like one that nobody needs. The upload
//! therefore holds a shared lock on it, also when the bytes were there before; whoever removes files takes the exclusive lock,
//! without waiting, and asks the database only then. The kernel frees the locks of a process however it ends.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::absent;

/// Keeps a stored file from being removed while it lives. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FileHold {
    /// Closing it unlocks. `None` where nothing has to be held.
    _file: Option<Arc<File>>,
}

/// A hold is no part of what a file is.
impl PartialEq for FileHold {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for FileHold {}

impl FileHold {
    /// Of a file on which the shared lock is held.
    pub(super) fn on(locked: File) -> Self {
        Self {
            _file: Some(Arc::new(locked)),
        }
    }
}

/// A file under its name, with the shared lock.
pub(super) enum Held {
    /// There is none.
    Nothing,
    /// It is about to be removed: look again in a moment.
    Busy,
    /// It has its name for as long as this is open.
    Locked(File),
}

/// Takes the shared lock on the file at `path`, without waiting.
pub(super) fn hold(path: &Path) -> io::Result<Held> {
    let Some(file) = absent(File::open(path))? else {
        return Ok(Held::Nothing);
    };
    match file.try_lock_shared() {
        Ok(()) if is_at(&file, path)? => Ok(Held::Locked(file)),
        // Removed between the opening and the lock.
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(Held::Busy),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// The right to remove a stored file: no upload holds it, and none can get hold of it meanwhile.
#[derive(Debug)]
pub(crate) struct Removal {
    path: PathBuf,
    /// Closing it unlocks.
    file: File,
}

impl Removal {
    /// `None` when the file is gone or an upload holds it. Blocking, but not for long.
    pub(super) fn of(path: PathBuf) -> io::Result<Option<Self>> {
        let Some(file) = absent(File::open(&path))? else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) if is_at(&file, &path)? => Ok(Some(Self { path, file })),
            Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// When an upload last put the file there or found it there.
    pub(crate) fn used_at(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// Removes the file. Blocking.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Whether `path` still leads to this file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let Some(there) = absent(fs::metadata(path))? else {
        return Ok(false);
    };
    let here = file.metadata()?;
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}
