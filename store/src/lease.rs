//! The right to run one attempt of one stage of one job.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    attempts::Attempt,
    events::AttemptWriter,
    job::{Job, Stage},
    store::Store,
};

/// The right to run one attempt. Every write of the attempt carries `attempt_id`; once the database has given the job to somebody
/// else, none of them has any effect. Dropping every clone without ending the attempt gives the job back after a short while,
/// as one failed try.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The job as it was when the attempt began.
    pub job: Job,
    /// The fence.
    pub attempt_id: Uuid,
    /// Orders the events of successive owners.
    pub epoch: i32,
    /// Running time that the run has left; the reaper ends the job soon after.
    pub time_left: Duration,
    /// What to do.
    pub stage: Stage,
    /// Tripped as soon as this process learns that somebody else owns the job (cancelled, taken over).
    pub lost: CancellationToken,
    pub(crate) attempt: Arc<Attempt>,
}

impl Store {
    /// Where the attempt reports what it does. All writers of one lease share their position.
    pub fn writer(&self, lease: &Lease) -> AttemptWriter {
        AttemptWriter::new(Arc::clone(&self.inner.outbox), Arc::clone(&lease.attempt))
    }
}
