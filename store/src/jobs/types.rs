//! What goes into and comes out of the verbs.

use chrono::{DateTime, Utc};

use super::cursor::JobCursor;
use crate::{
    blob::StoredFile,
    ids::{BatchId, Owner},
    job::{Job, JobState},
    password::Password,
};

/// An upload that is already in the file store, with its question.
#[derive(Clone, Debug)]
pub struct NewUpload {
    /// Whose it is.
    pub owner: Owner,
    /// The stored bytes.
    pub file: StoredFile,
    /// The name it came under.
    pub file_name: String,
    /// The media type found in the bytes.
    pub media: String,
    /// The question.
    pub prompt: String,
    /// Larger goes first.
    pub priority: i32,
    /// Not before this time.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// Opens the file, if it is encrypted.
    pub password: Option<Password>,
    /// Makes the upload safe to repeat.
    pub idempotency: Option<Idempotency>,
    /// How it is to be answered.
    pub options: AnswerOptions,
}

/// How a job is to be answered, beyond its question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerOptions {
    /// Name of the engine or model; `None`: whatever the process is set to.
    pub model: Option<String>,
    /// JSON schema of the answer.
    pub schema: Option<serde_json::Value>,
}

/// The client's promise that two requests are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The client's key, unique per owner.
    pub key: String,
    /// Hash of everything that the request asked for: the same key with another hash is a mistake.
    pub request_hash: [u8; 32],
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq)]
pub enum Created {
    /// A new job.
    New(Job),
    /// The job of an earlier request with the same key.
    Replayed(Job),
    /// The key was used for another request.
    Mismatch,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Any of these states; empty = every state.
    pub states: Vec<JobState>,
    /// Text that the file name or the prompt contains, whatever its case.
    pub q: Option<String>,
    /// Created after this time.
    pub created_after: Option<DateTime<Utc>>,
    /// Of this batch.
    pub batch: Option<BatchId>,
}

/// One page of a list, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<JobCursor>,
    /// About how many jobs match: exact up to 10,000.
    pub total_estimate: i64,
}

/// What became of a cancellation.
#[derive(Clone, Debug, PartialEq)]
pub enum CancelOutcome {
    /// It is cancelled.
    Cancelled(Job),
    /// This owner has no such job.
    NotFound,
    /// It had already ended.
    InvalidState(Job),
}

/// What became of a retry.
#[derive(Clone, Debug, PartialEq)]
pub enum RetryOutcome {
    /// It is queued again.
    Queued(Job),
    /// This owner has no such job.
    NotFound,
    /// It has not ended, or ended well.
    InvalidState(Job),
}
