//! Giving a received file its name, once for any number of uploads of the same bytes.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, futimens};
use tempfile::NamedTempFile;

use super::{
    hold::{FileHold, Held, hold},
    sync_dir,
};
use crate::{error::FileError, failpoint::failpoint};

/// How long a file of the same bytes may take to be removed. It takes a query; longer only when that process is frozen.
const REMOVAL_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a file that is being removed.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Bytes compared at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Makes `file`, which has the shared lock, durable under `path`, or finds its bytes there. Blocking.
pub(super) fn keep(mut file: NamedTempFile, path: &Path) -> Result<FileHold, FileError> {
    failpoint!("create directory");
    let dir = make_dir_of(path)?;
    let begun = Instant::now();
    let held = loop {
        match hold(path)? {
            Held::Locked(there) if is_same(&mut file, &there)? && touch(&there) => break there,
            // Damaged, or not ours to touch: the lock on the old one is kept until the new one is in its place.
            Held::Locked(_old) => break file.persist(path).map_err(|error| error.error)?,
            Held::Nothing => {
                failpoint!("give the file its name");
                match file.persist_noclobber(path) {
                    Ok(named) => break named,
                    Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => {
                        file = lost.file;
                    }
                    Err(lost) => return Err(lost.error.into()),
                }
            }
            Held::Busy if begun.elapsed() < REMOVAL_LIMIT => pause(),
            Held::Busy => {
                return Err(FileError::Io(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "a stored file of the same bytes is being removed and does not go",
                )));
            }
        }
    };
    // Also when it was there: the one who put it there may not have come this far.
    failpoint!("fsync directory");
    sync_dir(dir)?;
    Ok(FileHold::on(held))
}

fn make_dir_of(path: &Path) -> io::Result<&Path> {
    let dir = path.parent().unwrap_or(path);
    match fs::create_dir(dir) {
        Ok(()) => {
            failpoint!("fsync parent directory");
            sync_dir(dir.parent().unwrap_or(dir))?;
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    Ok(dir)
}

/// Whether what is stored is what was received: a file that has rotted is replaced by whoever uploads it again.
fn is_same(received: &mut NamedTempFile, stored: &File) -> io::Result<bool> {
    let received = received.as_file_mut();
    if received.metadata()?.len() != stored.metadata()?.len() {
        return Ok(false);
    }
    received.rewind()?;
    let mut stored = stored;
    let (mut a, mut b) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let read = received.read(&mut a)?;
        if read == 0 {
            return Ok(true);
        }
        match stored.read_exact(&mut b[..read]) {
            Ok(()) if a[..read] == b[..read] => {}
            Ok(()) => return Ok(false),
            // A sector that cannot be read is damage too.
            Err(error) => {
                tracing::warn!(%error, "a stored file cannot be read and is replaced");
                return Ok(false);
            }
        }
    }
}

/// Marks the file as just used, by the clock of the file system. `false` when it belongs to another user.
fn touch(file: &File) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    futimens(file, &times).is_ok()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the other process's removal has no event to wait for"
)]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}
