//! What a running attempt reports through. Never waits and never fails: durability is the flusher's business, and the end of the
//! attempt waits for it.

use std::sync::Arc;

use super::outbox::Outbox;
use crate::{attempts::Attempt, error::StoreError, job::Stage};

/// Reports the progress and the answer of one attempt. Subscribers of this process hear it at once, or within 50 ms in a burst;
/// the table and everybody else follow within about as much. After the attempt has ended or lost its job, calls do nothing.
#[derive(Clone, Debug)]
pub struct AttemptWriter {
    outbox: Arc<Outbox>,
    attempt: Arc<Attempt>,
}

impl AttemptWriter {
    pub(crate) fn new(outbox: Arc<Outbox>, attempt: Arc<Attempt>) -> Self {
        Self { outbox, attempt }
    }

    /// Reports how far the whole job is (0..=100, never shown to go back), and the steps of the stage.
    pub fn progress(&self, progress: u8, stage: Stage, done: u32, total: Option<u32>) {
        self.outbox
            .progress(&self.attempt, progress, (stage, done, total));
    }

    /// Adds to the answer.
    pub fn chunk(&self, text: &str) {
        self.outbox.chunk(&self.attempt, text);
    }

    /// Waits until all of it is in the table, or refused because the job belongs to somebody else. Ending the attempt does this
    /// by itself.
    pub async fn barrier(&self) -> Result<(), StoreError> {
        self.outbox.settle_attempt(&self.attempt).await
    }
}
