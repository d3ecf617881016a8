//! The only crate of quire that contains SQL: jobs, their events, the queue under them, the files, and the embedded Postgres.
//!
//! The `quire.jobs` table is the truth; apalis's tables are transport and may be emptied at any time without losing a job. Every
//! change of a job is one transaction that holds its row, its event and its queue entry together, and every write of a running
//! attempt carries the attempt's fence, so that an owner that was declared dead can do no harm when it comes back.
//!
//! What is deliberately not here: HTTP, formats, models, and any decision about whether a failure is worth another try.

mod admin;
mod attempts;
mod batches;
mod blob;
pub mod clock;
pub mod embedded;
mod error;
mod events;
mod examine;
mod failpoint;
#[cfg(feature = "testing")]
pub mod history;
mod ids;
mod job;
mod jobs;
mod lease;
mod migrate;
mod order;
mod password;
mod queue;
mod reach;
mod retention;
pub mod rules;
mod session;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
#[cfg(feature = "testing")]
mod traces;
pub mod transition;
mod vectors;
mod workers;

pub use admin::{
    Bucket, DeadFilter, DeadLetter, DeadPage, EndedCounts, MoveCount, Percentiles, PoolUse,
    ProcessNumbers, QueueDepth, QueueMetrics, QueueSnapshot, Throughput, Times, WorkerStatus,
    snapshot_in,
};
pub use batches::{
    Added, Batch, BatchCounts, BatchItem, BatchItemCursor, BatchPage, ItemPlace, NewBatch, Opened,
    Refusal,
};
pub use blob::{FileHold, FileStore, FileWriter, SNIFF_HEAD_BYTES, StoredFile};
pub use embedded::EmbeddedPostgres;
pub use error::{FileError, StoreError};
pub use events::{AttemptWriter, Event, EventHub, EventRecord, JobSnapshot};
pub use examine::{Examination, FileRows, HeldJob, free_bytes};
pub use ids::{BatchId, FileId, JobId, Owner};
pub use job::{Job, JobState, Stage, UnknownWord};
pub use jobs::{
    AnswerOptions, Answering, BadCursor, CancelOutcome, Created, Extraction, Idempotency,
    JobCursor, JobFilter, JobPage, MAX_FAILURES, MAX_SNOOZES, NewUpload, RetryOutcome,
};
pub use lease::Lease;
pub use order::{Confidence, Estimate, MoveOutcome};
pub use password::Password;
pub use queue::{Call, QUEUE_ANSWER, QUEUE_EXTRACT, Ticket};
pub use retention::{DeleteOutcome, Sweep, UNNAMED_KEPT};
pub use store::{Store, StoreOptions};
pub use vectors::VectorSet;
pub use workers::{DEADLINE_EXCEEDED, MAX_CRASHES, WorkerGuard};
