//! The one error type of this crate.
//!
//! Each variant has a stable code that the job record and the API carry. No text holds a document's words or a prompt; paths of
//! model files may appear, because their owner must act on them.

use std::path::{Path, PathBuf};

use crate::pull::SourceFailure;

/// Why a model could not be fetched, loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The caller set the cancel flag.
    #[error("cancelled")]
    Cancelled,
    /// No file of this model is there.
    #[error("model {model} is not installed")]
    NotInstalled {
        /// Id in the catalog.
        model: String,
    },
    /// A model file is not what the catalog promises, or cannot be read as a model. It is never loaded.
    #[error("model file {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The catalog has no model of this id.
    #[error("no model named {0} in the catalog")]
    Unknown(String),
    /// Every source of a model failed.
    #[error("model {model} could not be fetched: {}; to install it by hand, put its files into {}", list(failures), dir.display())]
    PullFailed {
        /// Id in the catalog.
        model: String,
        /// One per source, in the order they were tried.
        failures: Vec<SourceFailure>,
        /// The directory in which the files are looked for.
        dir: PathBuf,
    },
    /// Another process is fetching the same model.
    #[error("model {model} is being fetched by another process")]
    PullRunning {
        /// Id in the catalog.
        model: String,
    },
    /// A model file is sound, but needs what this code does not compute.
    #[error("model file {} needs {what}, which is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it needs.
        what: String,
    },
    /// More requests wait for the model than its queue holds.
    #[error("the model is busy: {waiting} requests wait already")]
    Busy {
        /// Requests in the queue.
        waiting: usize,
    },
    /// A prompt and its answer can never fit.
    #[error("a prompt of {tokens} tokens with its answer is longer than the {limit} that fit")]
    PromptTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// Tokens that prompt and answer may have together.
        limit: usize,
    },
    /// The time given for the answer is over.
    #[error("the deadline of the answer has passed")]
    DeadlinePassed,
    /// An engine cannot be used now, and has said nothing yet: another may answer in its place.
    #[error("{engine} is not available: {reason}")]
    Unavailable {
        /// Name of the engine.
        engine: &'static str,
        /// Why, without the user's words.
        reason: String,
    },
    /// A server stopped in the middle of an answer, or sent what cannot be read.
    #[error("the remote model failed: {0}")]
    Remote(String),
    /// A server refuses the request itself: asking again, or another engine, does not help.
    #[error("the remote model refuses the request: {0}")]
    Refused(String),
    /// An engine cannot fill this schema.
    #[error("the {engine} engine cannot fill this schema: it needs {needs}")]
    SchemaUnsupported {
        /// Name of the engine.
        engine: &'static str,
        /// What could.
        needs: &'static str,
    },
    /// No value could be made that fits the schema.
    #[error("no answer fits the schema: {0}")]
    Schema(String),
    /// The computation itself failed.
    #[error("inference failed: {0}")]
    Inference(String),
    /// A query over the whole table did not come to a result.
    #[error("the table could not be queried: {0}")]
    Table(String),
    /// A file or directory could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ModelError {
    /// The stable `snake_case` name of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::NotInstalled { .. } => "model_not_installed",
            Self::Damaged { .. } => "model_damaged",
            Self::Unknown(_) => "model_unknown",
            Self::PullFailed { .. } => "model_pull_failed",
            Self::PullRunning { .. } => "model_pull_running",
            Self::Unsupported { .. } => "model_unsupported",
            Self::Busy { .. } => "model_busy",
            Self::PromptTooLong { .. } => "prompt_too_long",
            Self::DeadlinePassed => "answer_deadline",
            Self::Unavailable { .. } => "engine_unavailable",
            Self::Remote(_) => "remote_failed",
            Self::Refused(_) => "remote_refused",
            Self::SchemaUnsupported { .. } => "schema_unsupported",
            Self::Schema(_) => "schema_unsatisfied",
            Self::Inference(_) => "inference_failed",
            Self::Table(_) => "table_query_failed",
            Self::Io { .. } => "model_io",
        }
    }

    /// For `map_err`: an I/O error that names its path.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// A file that must not be loaded, and why.
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}

fn list(failures: &[SourceFailure]) -> String {
    failures
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Inference(error.to_string())
    }
}
