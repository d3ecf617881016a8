//! Everything that can be done to a job: one file per verb, one statement per function.
//!
//! Every verb that changes a job is one transaction of: the conditional update (state and, for a running attempt, the fence),
//! the event, the queue entry. What the update does not find, nobody may do: the verb then reports that, and writes nothing.

mod cancel;
mod claim;
mod complete;
mod create;
mod cursor;
mod dead;
mod documents;
mod fail;
mod finish_extract;
mod list;
mod options;
mod position;
mod promote;
mod read;
mod requeue;
mod retry;
mod row;
mod snooze;
mod types;
mod waiting;

pub use cursor::{BadCursor, JobCursor};
pub use documents::{Answering, Extraction};
pub use fail::MAX_FAILURES;
pub use snooze::MAX_SNOOZES;
pub use types::{
    AnswerOptions, CancelOutcome, Created, Idempotency, JobFilter, JobPage, NewUpload, RetryOutcome,
};

pub(crate) use fail::{BadEnd, end_badly};
pub(crate) use position::{Ahead, Place, ahead, place};
pub(crate) use read::{owned, recent, touched};
pub(crate) use requeue::requeue;

use sqlx::{Postgres, Transaction};

use crate::{error::StoreError, events::Event, lease::Lease, store::Store};

impl Store {
    /// The tail of every verb that ends an attempt: event, commit, subscribers.
    async fn commit_end(
        &self,
        mut tx: Transaction<'static, Postgres>,
        lease: &Lease,
        event: Option<&Event>,
    ) -> Result<bool, StoreError> {
        let records = match event {
            Some(event) => self.record(&mut tx, &[lease.job.id], event).await?,
            None => Vec::new(),
        };
        // What was said before this attempt was heard when it began.
        self.commit_after(tx, Vec::new(), records).await?;
        lease.attempt.end();
        Ok(true)
    }

    /// The fence was refused: whoever holds the lease should stop.
    fn refused(lease: &Lease) -> bool {
        lease.attempt.lose();
        false
    }

    /// Before an attempt ends, what it has said must be in the table.
    async fn settle(&self, lease: &Lease) -> Result<(), StoreError> {
        self.inner.outbox.settle_attempt(&lease.attempt).await
    }
}
