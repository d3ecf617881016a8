//! The broadcast inside of this process, and the memory of what it has already carried.
//!
//! Records come from three sides (running attempts, committed transactions, the table) and may come twice. Only a record with a
//! higher number than the last one of its job goes out, which also silences an attempt that has lost its job.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::event::EventRecord;
use crate::ids::JobId;

/// Records a slow subscriber may be behind before it is told to read the table: seconds of a busy process.
const CAPACITY: usize = 8_192;
/// Jobs remembered before the quiet ones are forgotten.
const REMEMBERED_JOBS: usize = 16_384;
/// A job without events for this long may be forgotten: far longer than any message can be late.
const QUIET: Duration = Duration::from_mins(10);

/// Publishes records to the subscribers of this process, each once and in order.
#[derive(Debug)]
pub(crate) struct Feed {
    sender: broadcast::Sender<Arc<EventRecord>>,
    last: Mutex<HashMap<JobId, Last>>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    seq: i64,
    at: Instant,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::channel(CAPACITY).0,
            last: Mutex::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.sender.subscribe()
    }

    /// Sends the record out, unless it or a later one of its job has been. Whether it was new.
    pub(crate) fn publish(&self, record: Arc<EventRecord>) -> bool {
        let mut last = self.last.lock();
        let now = Instant::now();
        if last.len() >= REMEMBERED_JOBS {
            last.retain(|_, seen| now.duration_since(seen.at) < QUIET);
        }
        if last
            .get(&record.job_id)
            .is_some_and(|seen| seen.seq >= record.seq)
        {
            return false;
        }
        last.insert(
            record.job_id,
            Last {
                seq: record.seq,
                at: now,
            },
        );
        // Sent under the lock so that two publishers of one job cannot overtake each other. Without subscribers it goes nowhere.
        let _ = self.sender.send(record);
        true
    }

    /// The last number of a job that went out.
    pub(crate) fn last_seq(&self, job: JobId) -> Option<i64> {
        self.last.lock().get(&job).map(|seen| seen.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, events::Event, ids::Owner};

    fn record(job_id: JobId, seq: i64) -> Arc<EventRecord> {
        let at = clock::now();
        Arc::new(EventRecord {
            job_id,
            owner: Owner::LOCAL,
            seq,
            at,
            job_created_at: at,
            event: Event::Queued,
        })
    }

    #[test]
    fn a_record_goes_out_once_and_never_after_a_later_one() {
        let feed = Feed::new();
        let mut heard = feed.subscribe();
        let (job, other) = (JobId::generate(), JobId::generate());
        assert!(feed.publish(record(job, 1)));
        assert!(feed.publish(record(job, 5)));
        assert!(!feed.publish(record(job, 5)));
        assert!(!feed.publish(record(job, 4)));
        assert!(feed.publish(record(other, 4)));
        let seqs: Vec<i64> = std::iter::from_fn(|| heard.try_recv().ok())
            .map(|record| record.seq)
            .collect();
        assert_eq!(seqs, [1, 5, 4]);
        assert_eq!(feed.last_seq(job), Some(5));
    }
}
