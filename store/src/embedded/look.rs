//! Looking at the embedded server without touching it: for those who want to know, not to use.

use std::path::Path;

use super::{binaries, cluster, error::EmbeddedError, running, socket};

/// What is known about the embedded server of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbeddedState {
    /// There is no cluster yet; the first start makes one.
    Absent,
    /// There is one, and no server for it.
    Stopped {
        /// The major version that made it.
        major: u32,
    },
    /// A server runs and accepts connections.
    Running {
        /// Its address, for `StoreOptions::url`.
        url: String,
    },
}

/// Looks at the server of `directory`. Starts nothing and makes nothing.
pub fn look(directory: &Path) -> Result<EmbeddedState, EmbeddedError> {
    let Ok(directory) = directory.canonicalize() else {
        return Ok(EmbeddedState::Absent);
    };
    let path = directory.join("cluster");
    let major = match cluster::inspect(&path)? {
        cluster::Found::Nothing => return Ok(EmbeddedState::Absent),
        cluster::Found::Ours { major } => major,
    };
    Ok(match running(&path)? {
        Some(socket) => EmbeddedState::Running {
            url: socket::url(&socket, socket::ROLE),
        },
        None => EmbeddedState::Stopped { major },
    })
}

/// The major versions of the installed servers, newest first; an error when the newest cannot be used.
pub fn installed() -> Result<Vec<u32>, EmbeddedError> {
    let found = binaries::installed();
    let newest = found.first().ok_or(EmbeddedError::NotInstalled)?;
    newest.check_extensions()?;
    Ok(found.iter().map(|binaries| binaries.major).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_at_nothing_makes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("data/postgres");
        assert_eq!(look(&directory).unwrap(), EmbeddedState::Absent);
        assert!(!dir.path().join("data").exists());
    }
}
