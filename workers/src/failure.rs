//! How an attempt ended when it did not succeed, and what that means for the job.

use quire_extract::ParseError;
use quire_models::ModelError;
use quire_store::StoreError;

/// Code of a failure inside quire itself.
const INTERNAL: &str = "internal";

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
    /// Trying again cannot help: the job fails now.
    Fail {
        /// Stable code for programs.
        code: &'static str,
        /// Sentence for people.
        message: String,
    },
    /// The attempt was told to stop; the job's state was or will be decided elsewhere.
    Stopped,
    /// The database did not take a write; the queue entry is tried again.
    Store(StoreError),
}

impl Failure {
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
        if error.is_retryable() {
            Self::Retry { code, message }
        } else {
            Self::Fail { code, message }
        }
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Cancelled => Self::Stopped,
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
    fn a_damaged_file_fails_and_a_missing_parser_retries() {
        assert!(matches!(
            Failure::from(ParseError::Damaged("x".into())),
            Failure::Fail {
                code: "damaged",
                ..
            }
        ));
        assert!(matches!(
            Failure::from(ParseError::Unavailable("x".into())),
            Failure::Retry { .. }
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
