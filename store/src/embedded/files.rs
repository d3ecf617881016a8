//! Writing files into the cluster while being root.
//!
//! The cluster belongs to the server's user, who could put a link where root is about to write. So every file is made anew
//! under a temporary name, which never follows a link, and renamed over the old one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::error::{AtPath as _, EmbeddedError, absent};
use super::user::ServerUser;

/// Only the server's user reads what is in a cluster.
const PRIVATE: u32 = 0o600;

/// Replaces a file of the cluster at once and gives it to the server's user.
pub(super) fn replace(path: &Path, content: &[u8], user: &ServerUser) -> Result<(), EmbeddedError> {
    let fresh = path.with_extension("quire");
    absent(fs::remove_file(&fresh)).at("remove", &fresh)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(PRIVATE)
        .open(&fresh)
        .at("create", &fresh)?;
    file.write_all(content).at("write", &fresh)?;
    user.give(&fresh)?;
    fs::rename(&fresh, path).at("rename", &fresh)
}

/// Removes a directory with all that is in it; fine when there is none.
pub(super) fn remove_tree(directory: &Path) -> io::Result<()> {
    absent(fs::remove_dir_all(directory)).map(|_| ())
}

/// Makes renames and new entries in the directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), EmbeddedError> {
    File::open(directory)
        .and_then(|open| open.sync_all())
        .at("sync", directory)
}

/// Makes everything written to the file system of this directory durable: one call costs a fraction of a thousand files' own.
pub(super) fn sync_file_system(directory: &Path) -> Result<(), EmbeddedError> {
    let open = File::open(directory).at("open", directory)?;
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(&open)
        .map_err(io::Error::from)
        .at("sync", directory)?;
    #[cfg(not(target_os = "linux"))]
    {
        drop(open);
        rustix::fs::sync();
    }
    Ok(())
}
