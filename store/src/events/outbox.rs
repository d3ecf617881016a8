//! Events of running attempts between the moment they are emitted and the moment they are durable.
//!
//! Bounded without ever blocking the emitter: when it is crowded (a burst, or a database that is away), lanes hold back and
//! merge instead of adding rows, so that what waits is at most the running answers themselves.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use sqlx::Error as SqlxError;
use tokio::{
    sync::{Notify, watch},
    time,
};

use super::{
    event::{Event, EventRecord},
    feed::Feed,
};
use crate::{attempts::Attempt, clock, error::StoreError, ids::JobId, job::Stage, text};

/// Rows that are worth a flush before its time.
const FULL_ROWS: usize = 200;
/// Text that is worth a flush before its time.
const FULL_BYTES: usize = 64 * 1024;
/// Rows beyond which lanes hold back until a flush has gone through.
const CROWDED_ROWS: usize = 1_000;
/// Text beyond which they do.
const CROWDED_BYTES: usize = 1024 * 1024;
/// Longest wait for durability: by then the database has been away long enough to say so.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(10);

/// Events on their way to the table.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    /// How many calls are durable or refused for good.
    durable: watch::Sender<u64>,
    /// There is something to flush.
    pub(super) wake: Notify,
    /// It should not wait for its time.
    pub(super) hurry: Notify,
    /// The flusher has ended: nothing becomes durable any more.
    closed: AtomicBool,
    /// Events that the flusher has written.
    pub(crate) flushed: AtomicU64,
    feed: Arc<Feed>,
}

#[derive(Debug, Default)]
struct Waiting {
    rows: Vec<Row>,
    bytes: usize,
    /// How many calls there have been.
    emitted: u64,
    /// Attempts with rows or held events in this window.
    active: Vec<Arc<Attempt>>,
    /// How many of the calls are in the hands of the flusher or durable.
    taken: u64,
    /// The jobs in the hands of the flusher.
    flying: Vec<JobId>,
}

/// A numbered event that is not in the table yet.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) attempt: Arc<Attempt>,
    pub(super) seq: i64,
    pub(super) event: Event,
}

/// What one flush writes.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Vec<Row>,
    /// The count of calls that are durable once it is written.
    pub(super) upto: u64,
}

impl Outbox {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self {
            waiting: Mutex::default(),
            durable: watch::channel(0).0,
            wake: Notify::new(),
            hurry: Notify::new(),
            closed: AtomicBool::new(false),
            flushed: AtomicU64::new(0),
            feed,
        }
    }

    pub(super) fn chunk(&self, attempt: &Arc<Attempt>, text: &str) {
        if text.is_empty() || attempt.is_over() {
            return;
        }
        let text = text::clean(text);
        let mut waiting = self.waiting.lock();
        let crowded = waiting.is_crowded();
        let event = attempt.lane.lock().chunk(&text, crowded);
        self.emit(&mut waiting, attempt, event);
    }

    pub(super) fn progress(
        &self,
        attempt: &Arc<Attempt>,
        progress: u8,
        step: (Stage, u32, Option<u32>),
    ) {
        if attempt.is_over() {
            return;
        }
        let mut waiting = self.waiting.lock();
        let crowded = waiting.is_crowded();
        let event = attempt.lane.lock().progress(progress, step, crowded);
        self.emit(&mut waiting, attempt, event);
    }

    /// Waits until every event that `attempt` has emitted is in the table, or can never be.
    pub(crate) async fn settle_attempt(&self, attempt: &Attempt) -> Result<(), StoreError> {
        let target = attempt.lane.lock().emitted;
        self.settle(target).await?;
        if attempt.is_broken() {
            Err(StoreError::EventsLost(attempt.job))
        } else {
            Ok(())
        }
    }

    /// Waits until every event of `job` that this process has published is in the table.
    pub(super) async fn settle_job(&self, job: JobId) -> Result<(), StoreError> {
        let target = self.waiting.lock().last_of(job);
        self.settle(target).await
    }

    /// Waits until every event that this process has published is in the table.
    pub(crate) async fn settle_all(&self) -> Result<(), StoreError> {
        let target = self.waiting.lock().emitted;
        self.settle(target).await
    }

    /// Takes everything that waits, held events included; `None` when there is nothing.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        if waiting.taken == waiting.emitted {
            return None;
        }
        let active = mem::take(&mut waiting.active);
        for attempt in &active {
            let released = attempt.lane.lock().release();
            for event in released {
                self.number(&mut waiting, attempt, event);
            }
            attempt.lane.lock().reopen();
        }
        waiting.taken = waiting.emitted;
        waiting.flying = active.iter().map(|attempt| attempt.job).collect();
        waiting.bytes = 0;
        Some(Batch {
            rows: mem::take(&mut waiting.rows),
            upto: waiting.taken,
        })
    }

    /// The last batch taken has been dealt with.
    pub(super) fn settled(&self, batch: &Batch) {
        self.waiting.lock().flying.clear();
        self.durable.send_replace(batch.upto);
    }

    /// The flusher ends.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.durable.send_modify(|_| ());
    }

    fn emit(&self, waiting: &mut Waiting, attempt: &Arc<Attempt>, event: Option<Event>) {
        waiting.emitted += 1;
        attempt.lane.lock().emitted = waiting.emitted;
        if !waiting
            .active
            .iter()
            .any(|active| Arc::ptr_eq(active, attempt))
        {
            waiting.active.push(Arc::clone(attempt));
        }
        if let Some(event) = event {
            self.number(waiting, attempt, event);
        }
        self.wake.notify_one();
        if waiting.rows.len() >= FULL_ROWS || waiting.bytes >= FULL_BYTES {
            self.hurry.notify_one();
        }
    }

    /// Gives the event its number, queues its row and publishes it.
    fn number(&self, waiting: &mut Waiting, attempt: &Arc<Attempt>, event: Event) {
        let Some(seq) = attempt.lane.lock().number(attempt.epoch) else {
            return;
        };
        if let Event::Chunk { text, .. } = &event {
            waiting.bytes += text.len();
        }
        waiting.rows.push(Row {
            attempt: Arc::clone(attempt),
            seq,
            event: event.clone(),
        });
        self.feed.publish(Arc::new(EventRecord {
            job_id: attempt.job,
            owner: attempt.owner,
            seq,
            at: clock::now(),
            job_created_at: attempt.job_created_at,
            event,
        }));
    }

    async fn settle(&self, target: u64) -> Result<(), StoreError> {
        let mut durable = self.durable.subscribe();
        if *durable.borrow() >= target {
            return Ok(());
        }
        self.hurry.notify_one();
        let reached =
            durable.wait_for(|upto| *upto >= target || self.closed.load(Ordering::Acquire));
        match time::timeout(BARRIER_TIMEOUT, reached).await {
            Ok(Ok(upto)) if *upto >= target => Ok(()),
            Ok(_) => Err(StoreError::Unavailable(SqlxError::PoolClosed)),
            Err(_) => Err(StoreError::Unavailable(SqlxError::PoolTimedOut)),
        }
    }
}

impl Waiting {
    fn is_crowded(&self) -> bool {
        self.rows.len() >= CROWDED_ROWS || self.bytes >= CROWDED_BYTES
    }

    fn last_of(&self, job: JobId) -> u64 {
        if self.active.iter().any(|attempt| attempt.job == job) {
            return self.emitted;
        }
        if self.flying.contains(&job) {
            self.taken
        } else {
            0
        }
    }
}
