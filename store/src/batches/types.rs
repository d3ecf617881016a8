//! What goes into and comes out of the verbs of batches.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    ids::{BatchId, JobId, Owner},
    job::{Job, JobState},
    jobs::Idempotency,
};

/// A list of uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The id that the client knows.
    pub id: BatchId,
    /// What the client calls it.
    pub name: Option<String>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it was cancelled, if it was.
    pub cancelled_at: Option<DateTime<Utc>>,
}

/// A batch to be opened.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Whose it is.
    pub owner: Owner,
    /// What the client calls it.
    pub name: Option<String>,
    /// Makes opening it safe to repeat.
    pub idempotency: Option<Idempotency>,
}

/// What became of opening a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// A new batch.
    New(Batch),
    /// The batch of an earlier request with the same key.
    Replayed(Batch),
    /// The key was used for another request.
    Mismatch,
}

/// Where an upload stands in its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemPlace {
    /// Identifies the item in its batch: sending it again changes nothing, unless it was refused.
    pub key: String,
    /// Its place in the input; need not be unique.
    pub position: i64,
    /// The client's own name for it.
    pub reference: Option<String>,
    /// The name of its file.
    pub file_name: String,
}

/// Why an item has no job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable word.
    pub code: String,
    /// In words.
    pub message: String,
}

/// What became of an upload of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Added {
    /// A new job.
    New(Job),
    /// The job of an earlier upload with the same key.
    Replayed(Job),
    /// The key was used for another upload. Nothing changed.
    Mismatch,
    /// The batch was cancelled. Nothing changed.
    Closed,
}

/// The items of a batch by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchCounts {
    /// All of them.
    pub total: i64,
    /// Jobs that wait in the queue or for their time.
    pub pending: i64,
    /// Jobs that a worker has.
    pub processing: i64,
    /// Jobs with an answer.
    pub completed: i64,
    /// Jobs that failed.
    pub failed: i64,
    /// Jobs that were cancelled.
    pub cancelled: i64,
    /// Items that never became a job.
    pub refused: i64,
    /// Items whose job was deleted since.
    pub deleted: i64,
    /// Jobs whose file has been read.
    pub extracted: i64,
    /// Sum of the items' progress; one that is over counts 100.
    pub progress: i64,
    /// Jobs that ended in the last minute, by the database's clock.
    pub ended_lately: i64,
    /// Seconds from the first start of a job until now, at most 60.
    pub lately_seconds: f64,
    /// The latest time that a job of it still waits for.
    pub last_due: Option<DateTime<Utc>>,
}

/// One item with its job.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchItem {
    /// Where it stands.
    pub place: ItemPlace,
    /// Its job.
    pub job: Option<JobId>,
    /// The job's state.
    pub state: Option<JobState>,
    /// The answer, once completed.
    pub answer: Option<String>,
    /// The structured answer's citations, once completed.
    pub citations: Option<Value>,
    /// Why there is no job, or why it failed.
    pub error: Option<Refusal>,
}

/// After which item the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchItemCursor {
    pub(super) position: i64,
    pub(super) key: String,
}

impl BatchItem {
    /// The cursor of the items behind this one.
    pub fn cursor(&self) -> BatchItemCursor {
        BatchItemCursor {
            position: self.place.position,
            key: self.place.key.clone(),
        }
    }
}

/// One page of a list of batches, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchPage {
    /// The batches, each with its number of items.
    pub batches: Vec<(Batch, i64)>,
    /// After which batch the next page begins; `None` on the last one.
    pub next: Option<BatchId>,
}
