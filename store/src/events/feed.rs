//! The broadcast inside of this process, and the memory of what it has already carried.
//!
//! Records come from three sides (running attempts, committed transactions, the table) and may come twice. Only a record with a
//! higher number than the last one of its job goes out, which also silences an attempt that has lost its job.

use std::{collections::HashMap, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::broadcast;

use super::event::EventRecord;
use crate::ids::JobId;

/// Records a slow subscriber may be behind before it is told to read the table: seconds of a busy process.
const CAPACITY: usize = 8_192;
/// Jobs per generation of the memory. Two generations are kept, so that a job is forgotten only when this many others have had
/// events since: at 1,000 jobs a second after a minute, far longer than any message is late. Some 5 MB when full.
const GENERATION: usize = 65_536;

/// Publishes records to the subscribers of this process, each once and in order.
#[derive(Debug)]
pub(crate) struct Feed {
    sender: broadcast::Sender<Arc<EventRecord>>,
    memory: Mutex<Memory>,
}

/// The last number that went out, by job.
#[derive(Debug, Default)]
struct Memory {
    young: HashMap<JobId, i64>,
    old: HashMap<JobId, i64>,
}

impl Feed {
    pub(crate) fn new() -> Self {
        Self {
            sender: broadcast::channel(CAPACITY).0,
            memory: Mutex::default(),
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.sender.subscribe()
    }

    /// Sends the record out, unless it or a later one of its job has been. Whether it was new.
    pub(crate) fn publish(&self, record: Arc<EventRecord>) -> bool {
        let mut memory = self.memory.lock();
        if memory
            .last(record.job_id)
            .is_some_and(|last| last >= record.seq)
        {
            return false;
        }
        memory.keep(record.job_id, record.seq);
        // Sent under the lock so that two publishers of one job cannot overtake each other. Without subscribers it goes nowhere.
        let _ = self.sender.send(record);
        true
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.sender.receiver_count() > 0
    }

    /// The last number of a job that went out.
    pub(crate) fn last_seq(&self, job: JobId) -> Option<i64> {
        self.memory.lock().last(job)
    }
}

impl Memory {
    fn last(&self, job: JobId) -> Option<i64> {
        self.young.get(&job).or_else(|| self.old.get(&job)).copied()
    }

    fn keep(&mut self, job: JobId, seq: i64) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(job, seq);
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

    #[test]
    fn the_memory_is_bounded_and_keeps_the_recent() {
        let mut memory = Memory::default();
        let jobs: Vec<JobId> = (0..3 * GENERATION).map(|_| JobId::generate()).collect();
        for job in &jobs {
            memory.keep(*job, 7);
        }
        assert!(memory.young.len() + memory.old.len() <= 2 * GENERATION);
        assert_eq!(memory.last(jobs[0]), None);
        assert!(
            jobs[2 * GENERATION..]
                .iter()
                .all(|job| memory.last(*job) == Some(7))
        );
    }
}
