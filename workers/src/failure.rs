//! How an attempt ended when it did not succeed, and what that means for the job.

use std::{io::ErrorKind, time::Duration};

use quire_extract::ParseError;
use quire_models::ModelError;
use quire_store::{FileError, StoreError};

/// Code of a disk without room.
const STORAGE_FULL: &str = "storage_full";
/// Code of a failure inside quire itself.
pub(crate) const INTERNAL: &str = "internal";

/// Added to the error of a file that its password did not open: also for jobs that had the right one in an earlier run.
const PASSWORD_AGAIN: &str =
    "give it with the upload or with a retry, it is not kept once a job has ended";

/// Pause before a job is tried again that lacked something of this machine: a parser process, room on the disk.
const SNOOZE: Duration = Duration::from_secs(5);

/// The verdict of a handler. Only the handler knows whether trying again can help.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Trying again can help: the job is queued again after a backoff.
    Retry {
        /// Stable code for programs.
        code: &'static str,
        /// Sentence for people.
        message: String,
    },
    /// The work could not even begin, through no fault of the job: it is queued again after the delay and has lost nothing.
    Snooze {
        /// Stable code for programs.
        code: &'static str,
        /// Sentence for people.
        message: String,
        /// When to look again.
        delay: Duration,
    },
    /// Trying again cannot help: the job fails now.
    Fail {
        /// Stable code for programs.
        code: &'static str,
        /// Sentence for people.
        message: String,
    },
    /// The attempt was told to stop; the job's state was or will be decided elsewhere.
    Stopped,
    /// This process ends: the job goes back to the queue and has lost nothing.
    HandedBack,
    /// The database did not take a write.
    Store(StoreError),
}

impl Failure {
    /// Something that the work needs is not there at the moment.
    fn snooze(code: &'static str, message: String) -> Self {
        Self::Snooze {
            code,
            message,
            delay: SNOOZE,
        }
    }

    /// A fault of quire that a further attempt may not meet.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Retry {
            code: INTERNAL,
            message: message.into(),
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        if matches!(error, ParseError::Cancelled) {
            return Self::Stopped;
        }
        let (code, message) = (error.code(), error.to_string());
        match error {
            ParseError::PasswordNeeded | ParseError::WrongPassword => Self::Fail {
                code,
                message: format!("{message}; {PASSWORD_AGAIN}"),
            },
            ParseError::Unavailable(_) => Self::snooze(code, message),
            ParseError::Io(error) if is_full(error.kind()) => Self::snooze(STORAGE_FULL, message),
            error if error.is_retryable() => Self::Retry { code, message },
            _ => Self::Fail { code, message },
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Missing => Self::Fail {
                code: "input_missing",
                message: "the uploaded file is no longer stored".into(),
            },
            FileError::Checksum => Self::Fail {
                code: "checksum",
                message: "the stored file is damaged: it has changed since it was uploaded".into(),
            },
            FileError::Stopped => Self::Stopped,
            FileError::StorageFull => Self::snooze(STORAGE_FULL, error.to_string()),
            error => Self::Retry {
                code: "storage",
                message: format!("the uploaded file cannot be read: {error}"),
            },
        }
    }
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Cancelled => Self::Stopped,
            // Files that are being fetched or exchanged.
            ModelError::NotInstalled { .. } | ModelError::PullRunning { .. } => {
                Self::snooze(error.code(), error.to_string())
            }
            ModelError::Refused(_)
            | ModelError::PromptTooLong { .. }
            | ModelError::SchemaUnsupported { .. }
            | ModelError::Schema(_) => Self::Fail {
                code: error.code(),
                message: error.to_string(),
            },
            error => Self::Retry {
                code: error.code(),
                message: error.to_string(),
            },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_fails_and_a_missing_parser_is_waited_for() {
        assert!(matches!(
            Failure::from(ParseError::Damaged("x".into())),
            Failure::Fail {
                code: "damaged",
                ..
            }
        ));
        assert!(matches!(
            Failure::from(ParseError::Unavailable("x".into())),
            Failure::Snooze { .. }
        ));
        for (error, expected) in [
            (ParseError::PasswordNeeded, "password_needed"),
            (ParseError::WrongPassword, "wrong_password"),
        ] {
            let Failure::Fail { code, message } = Failure::from(error) else {
                panic!("a password that does not open the file is not tried again");
            };
            assert_eq!(code, expected);
            assert!(message.contains("retry"), "{message}");
        }
        let full = std::io::Error::from(ErrorKind::StorageFull);
        assert!(matches!(
            Failure::from(ParseError::Io(full)),
            Failure::Snooze {
                code: STORAGE_FULL,
                ..
            }
        ));
        assert!(matches!(
            Failure::from(FileError::Missing),
            Failure::Fail { .. }
        ));
        assert!(matches!(
            Failure::from(ParseError::Cancelled),
            Failure::Stopped
        ));
        assert!(matches!(
            Failure::from(ModelError::Cancelled),
            Failure::Stopped
        ));
    }
}
