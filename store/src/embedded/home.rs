//! The server's directory: what lies where in it, and the lock that makes one process its owner.
//!
//! ```text
//! cluster/        the database cluster, owned by the server's user
//! cluster.tmp/    a cluster in the making; a left-over of a killed start is removed
//! owner.lock      locked by the process that runs the server, holds its process id
//! server.log      what the server writes
//! ```
//! Log and lock lie outside of the cluster, where the server's user cannot replace them by a link for root to follow.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid};

use super::error::{AtPath as _, EmbeddedError, absent};

/// Above this size the log is set aside at a start (one older log is kept).
const LOG_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// For directories that the server's user passes through: others may enter, not list.
const PASSABLE: u32 = 0o711;

/// The server's directory, which exists, by its real path.
#[derive(Clone, Debug)]
pub(super) struct Home {
    directory: PathBuf,
}

impl Home {
    /// Opens the directory, making what is missing of it.
    pub(super) fn open(path: &Path) -> Result<Self, EmbeddedError> {
        create_passable(path).at("create", path)?;
        let directory = fs::canonicalize(path).at("resolve", path)?;
        Ok(Self { directory })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.directory.join("cluster")
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.directory.join("cluster.tmp")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Opens the log for a server about to start.
    pub(super) fn open_log(&self) -> Result<File, EmbeddedError> {
        let path = self.log();
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT_BYTES) {
            fs::rename(&path, path.with_extension("log.1")).at("rename", &path)?;
        }
        private_file().append(true).open(&path).at("open", &path)
    }

    /// Becomes the owner of the directory; `None` while another process is.
    pub(super) fn try_lock(&self) -> Result<Option<HomeLock>, EmbeddedError> {
        let path = self.lock_file();
        let mut file = match private_file().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(EmbeddedError::OtherUser { path });
            }
            other => other.at("open", &path)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", getpid().as_raw_nonzero()))
            .at("write", &path)?;
        Ok(Some(HomeLock { _file: file }))
    }

    /// The process that holds the lock or held it last; `None` while it is about to write its name.
    pub(super) fn owner(&self) -> Result<Option<Pid>, EmbeddedError> {
        let path = self.lock_file();
        let content = absent(fs::read_to_string(&path))
            .at("read", &path)?
            .unwrap_or_default();
        Ok(content.trim().parse().ok().and_then(Pid::from_raw))
    }

    fn lock_file(&self) -> PathBuf {
        self.directory.join("owner.lock")
    }
}

/// Held by the owner of a directory. The kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct HomeLock {
    /// Closing it unlocks.
    _file: File,
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Makes the directory and its missing parents. Root makes them passable for the server's user whatever the umask is;
/// directories that exist already are left as they are.
fn create_passable(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        create_passable(parent)?;
    }
    match fs::create_dir(directory) {
        // Another quire was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {
            return Ok(());
        }
        other => other?,
    }
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(directory, Permissions::from_mode(PASSABLE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(&directory.path().join("a/b")).unwrap();
        assert_eq!(home.owner().unwrap(), None);
        let lock = home.try_lock().unwrap();
        assert!(lock.is_some());
        assert_eq!(home.owner().unwrap(), Some(getpid()));
        assert!(home.try_lock().unwrap().is_none());
        drop(lock);
        assert!(home.try_lock().unwrap().is_some());
    }

    #[test]
    fn a_link_in_place_of_the_log_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, home.log()).unwrap();
        assert!(home.open_log().is_err());
        assert!(!elsewhere.exists());
    }

    #[test]
    fn a_grown_log_is_set_aside() {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::open(directory.path()).unwrap();
        home.open_log()
            .unwrap()
            .set_len(LOG_LIMIT_BYTES + 1)
            .unwrap();
        assert_eq!(home.open_log().unwrap().metadata().unwrap().len(), 0);
        assert!(directory.path().join("server.log.1").is_file());
    }
}
