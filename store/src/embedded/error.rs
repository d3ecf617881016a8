//! What can go wrong around the embedded server, each with what a person can do about it.
//!
//! These texts are the first thing somebody reads when `quire` does not start on their machine, so each is complete in itself:
//! the cause is part of the text and no error has to be walked for its source.

use std::io;
use std::path::{Path, PathBuf};

use super::binaries::OLDEST_MAJOR;

/// The command that installs the server with its contributed extensions.
pub(super) const INSTALL: &str = if cfg!(target_os = "macos") {
    "brew install postgresql@17"
} else {
    "apt-get install postgresql postgresql-contrib"
};

/// Why the embedded server could not be found, initialised, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No server binaries on this machine, or only versions that are too old.
    #[error(
        "no PostgreSQL server of version {} or newer found on PATH or in the usual directories: install one ({}) or set DATABASE_URL",
        OLDEST_MAJOR,
        INSTALL
    )]
    NotInstalled,

    /// The server is there, but not the extensions that the schema uses.
    #[error("the PostgreSQL extension {extension} is missing in {}: install it ({})", .directory.display(), INSTALL)]
    ExtensionMissing {
        /// The extension.
        extension: &'static str,
        /// Where its control file belongs.
        directory: PathBuf,
    },

    /// The cluster directory holds something that quire did not put there.
    #[error("{} is not empty and was not made by quire: move it away or set QUIRE_DATA_DIR to another directory", .path.display())]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
    },

    /// The cluster belongs to a major version that is not installed.
    #[error("{path} was made by PostgreSQL {made_by}, but only {installed} is installed: to go on with it, apt-get install postgresql-{made_by}; to begin an empty one, mv {path} {path}.{made_by}", path = .path.display())]
    OtherVersion {
        /// The cluster directory.
        path: PathBuf,
        /// The major version that made it.
        made_by: u32,
        /// The major versions found, newest first.
        installed: String,
    },

    /// Root gives the server to another user, who cannot reach the directory.
    #[error("the user {user}, who runs the database server, cannot enter {}: allow it (chmod o+x {}) or set QUIRE_DATA_DIR to a directory that this user can reach", .directory.display(), .directory.display())]
    NotTraversable {
        /// The first directory on the way that is closed.
        directory: PathBuf,
        /// The user who runs the server.
        user: String,
    },

    /// The data directory belongs to somebody else.
    #[error("{} belongs to another user: run quire as that user or set QUIRE_DATA_DIR to another directory", .path.display())]
    OtherUser {
        /// What could not be opened.
        path: PathBuf,
    },

    /// The server insists on a user name, and this user id has none.
    #[error(
        "the user id {uid} has no entry in the user database, which PostgreSQL needs: add one to /etc/passwd or set DATABASE_URL"
    )]
    NoUserName {
        /// The user id.
        uid: u32,
    },

    /// The server refuses to run as root, and there is nobody to give it to.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody: add one (useradd --system postgres) or set DATABASE_URL"
    )]
    NoServerUser,

    /// No directory for the socket: the data directory's path is too long and the runtime directories cannot be used.
    #[error("no directory for the database socket: the path {} is too long for one, and none could be made in {tried}", .path.display())]
    NoSocketDirectory {
        /// The cluster directory.
        path: PathBuf,
        /// The runtime directories tried.
        tried: String,
    },

    /// One of the server's programs failed while the cluster was made.
    #[error("{program} failed: {detail}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The end of what it wrote.
        detail: String,
    },

    /// The server ended before it was ready.
    #[error("the database server did not start: {detail}")]
    Exited {
        /// The end of its log.
        detail: String,
    },

    /// The server did not start, and its disk has no room for one.
    #[error("the disk under {} is full: the database starts when {} MiB are free", .path.display(), super::room::LEAST_MIB)]
    DiskFull {
        /// The cluster directory.
        path: PathBuf,
    },

    /// The server neither ended nor became ready.
    #[error("the database server was not ready after {seconds} s, see {}", .log.display())]
    NotReady {
        /// How long it was given.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },

    /// The server did not even end when it was killed.
    #[error("the database server did not end within {seconds} s")]
    NotStopped {
        /// How long it was waited for.
        seconds: u64,
    },

    /// Another process holds the data directory but serves nothing, or its server does not end.
    #[error("{} is in use by another process that does not answer (waited {seconds} s)", .path.display())]
    Busy {
        /// The data directory or cluster.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },

    /// A file operation or the start of a program failed.
    #[error("cannot {action} {}: {cause}", .path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or program.
        path: PathBuf,
        /// The operating system's reason.
        cause: io::Error,
    },
}

/// Says on which path an operation failed.
pub(super) trait AtPath<T> {
    /// Turns the error into [`EmbeddedError::Io`].
    fn at(self, action: &'static str, path: &Path) -> Result<T, EmbeddedError>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, EmbeddedError> {
        self.map_err(|cause| EmbeddedError::Io {
            action,
            path: path.to_owned(),
            cause,
        })
    }
}

/// `None` where nothing is there; any other error stays one.
pub(super) fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
