//! The queue positions that a socket keeps up to date for its waiting jobs.
//!
//! A position changes without an event of its own job, so it is asked for again as long as somebody waits. Those answers
//! carry no `seq`.

use std::{collections::HashMap, time::Duration};

use quire_store::{Event, EventRecord, JobId, Store, clock};
use tokio::time::Instant;

use super::frame::Frame;

/// Pause between two looks at the queue.
const EVERY: Duration = Duration::from_secs(2);

/// Waiting jobs that one socket keeps up to date; the others hear of their position once.
const MOST: usize = 32;

/// Waiting jobs and their last told position.
#[derive(Default)]
pub(super) struct Positions {
    told: HashMap<JobId, i64>,
    /// When to look again.
    look_at: Option<Instant>,
}

impl Positions {
    /// When to call [`Self::changed`].
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look_at
    }

    /// Forgets every job.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The position to tell with an event of a job.
    pub(super) async fn after(&mut self, record: &EventRecord, store: &Store) -> Option<i64> {
        let job = record.job_id;
        self.told.remove(&job);
        if !matches!(record.event, Event::Queued) {
            return None;
        }
        // A job that waits for its time has no position; it is queued again when the time has come.
        let position = Box::pin(position(job, store)).await?;
        if self.told.len() < MOST {
            self.told.insert(job, position);
            self.look_at.get_or_insert_with(|| Instant::now() + EVERY);
        }
        Some(position)
    }

    /// The positions that are not what was told.
    pub(super) async fn changed(&mut self, store: &Store) -> Vec<Frame<'static>> {
        let mut frames = Vec::new();
        let jobs: Vec<(JobId, i64)> = self.told.iter().map(|(job, told)| (*job, *told)).collect();
        for (job_id, told) in jobs {
            // A job that waits no more says so by its next event.
            let Some(position) = position(job_id, store).await else {
                continue;
            };
            if position != told {
                self.told.insert(job_id, position);
                let (ts, position) = (clock::now(), Some(position));
                frames.push(Frame::QueuePosition {
                    seq: None,
                    ts,
                    job_id,
                    position,
                });
            }
        }
        self.look_at = (!self.told.is_empty()).then(|| Instant::now() + EVERY);
        frames
    }
}

async fn position(job: JobId, store: &Store) -> Option<i64> {
    match store.queue_position(job).await {
        Ok(position) => position,
        Err(error) => {
            tracing::warn!(%error, job.id = %job, "queue position could not be read");
            None
        }
    }
}
