//! The only crate of quire that contains SQL: jobs, their events, the queue under them, the files, and the embedded Postgres.
//!
//! The `quire.jobs` table is the truth; apalis's tables are transport and may be emptied at any time without losing a job. Every
//! change of a job is one transaction that holds its row, its event and its queue entry together, and every write of a running
//! attempt carries the attempt's fence, so that an owner that was declared dead can do no harm when it comes back.
//!
//! What is deliberately not here: HTTP, formats, models, and any decision about whether a failure is worth another try.

mod attempts;
mod blob;
pub mod clock;
pub mod embedded;
mod error;
mod events;
mod ids;
mod job;
mod jobs;
mod lease;
mod migrate;
mod queue;
mod session;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
pub mod transition;
mod workers;

pub use blob::{FileStore, FileWriter, SNIFF_HEAD_BYTES, StoredFile};
pub use embedded::EmbeddedPostgres;
pub use error::{FileError, StoreError};
pub use events::{AttemptWriter, Event, EventHub, EventRecord, JobSnapshot};
pub use ids::{FileId, JobId, Owner};
pub use job::{Job, JobState, Stage, UnknownWord};
pub use jobs::{
    BadCursor, CancelOutcome, Created, Idempotency, JobCursor, JobFilter, JobPage, MAX_FAILURES,
    NewUpload, RetryOutcome,
};
pub use lease::Lease;
pub use queue::{QUEUE_ANSWER, QUEUE_EXTRACT, Ticket};
pub use store::{Store, StoreOptions};
pub use workers::{MAX_CRASHES, WorkerGuard};
