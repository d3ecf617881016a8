//! The state of the whole queue, as one moment had it.

use chrono::{DateTime, Utc};

use crate::job::Stage;

/// The whole queue at one moment: every number is of the same state of the database.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSnapshot {
    /// The moment, by the database's clock.
    pub at: DateTime<Utc>,
    /// Jobs that live, by queue, in the order in which a job passes them.
    pub queues: Vec<QueueDepth>,
    /// Jobs that have ended and are still stored.
    pub ended: EndedCounts,
    /// Completed jobs of the last 1, 5 and 15 minutes.
    pub throughput: [Throughput; 3],
    /// Seconds from the moment a job could begin to its first start, of the jobs in `sampled`.
    pub wait: Option<Percentiles>,
    /// Seconds from the first start to the end, of the jobs in `sampled`.
    pub run: Option<Percentiles>,
    /// How many jobs the times are of: the newest completed ones, at most 1,000 and 15 minutes old.
    pub sampled: i64,
    /// Registered workers, in the order they came.
    pub workers: Vec<WorkerStatus>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// Which one.
    pub stage: Stage,
    /// Since when it hands nothing out; `None`: it is not paused.
    pub paused_at: Option<DateTime<Utc>>,
    /// Jobs that could be taken now.
    pub queued: i64,
    /// Jobs that wait for their time.
    pub scheduled: i64,
    /// Jobs that a worker has.
    pub running: i64,
    /// Jobs that a worker has and whose answer has begun.
    pub streaming: i64,
    /// When the job that has waited longest was queued.
    pub oldest_queued_at: Option<DateTime<Utc>>,
}

/// Jobs that have ended, by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedCounts {
    /// Answered.
    pub completed: i64,
    /// Ended by an error that another try would not change.
    pub failed: i64,
    /// Ended by the client.
    pub cancelled: i64,
    /// Ended after too many failed tries.
    pub dead: i64,
}

/// Completed jobs of a window that ends now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Nominal length of the window.
    pub minutes: i32,
    /// Its true length: it begins at a multiple of five seconds.
    pub seconds: f64,
    /// Jobs completed in it.
    pub completed: i64,
}

impl Throughput {
    /// Jobs per minute.
    pub fn per_minute(&self) -> f64 {
        self.completed as f64 * 60.0 / self.seconds.max(1.0)
    }
}

/// The middle and the upper end of some times, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentiles {
    /// Half of the times are at most this.
    pub p50: f64,
    /// 95 of 100 are at most this.
    pub p95: f64,
}

/// A registered worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// When it registered.
    pub started_at: DateTime<Utc>,
    /// Its last heartbeat.
    pub seen_at: DateTime<Utc>,
    /// Jobs that it owns.
    pub jobs: i64,
}
