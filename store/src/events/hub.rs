//! Where subscribers come: live events, replay, and the state of what runs.
//!
//! To join replay and live without a gap: subscribe first, then read, then drop every live record whose `seq` is not above the
//! last one read. A read waits for the events of this process that are published but not stored yet, so that none can fall
//! between the two. A subscriber told that it lags does the same again from the last number it has sent.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::sync::broadcast;

use super::{event::EventRecord, feed::Feed, log, outbox::Outbox};
use crate::{
    error::StoreError,
    ids::{JobId, Owner},
    job::Job,
    jobs,
};

/// Live events, replay, and the state of what runs.
#[derive(Clone, Debug)]
pub struct EventHub {
    pool: PgPool,
    feed: Arc<Feed>,
    outbox: Arc<Outbox>,
}

/// A job with all of its answer so far.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSnapshot {
    /// The job.
    pub job: Job,
    /// The answer so far, of the present attempt; empty when there is none or when the events are past their retention.
    pub partial: String,
    /// Every event up to this one is contained; -1 without any.
    pub last_seq: i64,
}

impl EventHub {
    pub(crate) fn new(pool: PgPool, feed: Arc<Feed>, outbox: Arc<Outbox>) -> Self {
        Self { pool, feed, outbox }
    }

    /// Every event from now on, of every owner: the caller filters, at every record. A slow receiver is told that it lags and
    /// must read the table again; it slows nobody.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.feed.subscribe()
    }

    /// Events of a job after number `after` (-1: all), oldest first, at most `limit`.
    pub async fn since(
        &self,
        owner: Owner,
        job: JobId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        self.outbox.settle_job(job).await?;
        let rows = log::since(&self.pool, (owner, job), after, i64::from(limit)).await?;
        rows.into_iter().map(EventRecord::try_from).collect()
    }

    /// The owner's jobs that run, or ended no longer than `ended_within` ago, each with its answer so far.
    pub async fn recent(
        &self,
        owner: Owner,
        ended_within: Duration,
    ) -> Result<Vec<JobSnapshot>, StoreError> {
        self.outbox.settle_all().await?;
        // One snapshot for both reads: a terminal event must not be counted in `last_seq` of a job that still looks running.
        let mut tx = self
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?;
        let jobs = jobs::recent(&mut tx, owner, ended_within).await?;
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        let mut partials = log::partials(&mut tx, &ids).await?;
        tx.commit().await?;
        let snapshot = |job: Job| {
            let (partial, last_seq) = partials
                .remove(&job.id)
                .unwrap_or_else(|| (String::new(), -1));
            JobSnapshot {
                job,
                partial,
                last_seq,
            }
        };
        Ok(jobs.into_iter().map(snapshot).collect())
    }
}
