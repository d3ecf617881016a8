//! The attempts that this process owns right now, so that the end of an ownership, wherever it was decided, reaches the code that
//! is working.
//!
//! The database decides who owns a job; this is only its mirror. An attempt is found by job *and* fence: a late message about an
//! earlier attempt must not end the present one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    events::Lane,
    ids::{JobId, Owner},
};

/// Room for ended attempts that no subscriber has taken note of yet; far above the slots of a process.
const ENDED_CAPACITY: usize = 1_024;

/// The attempts of this process.
#[derive(Debug)]
pub(crate) struct Attempts {
    live: Mutex<HashMap<JobId, Entry>>,
    ended: broadcast::Sender<JobId>,
}

#[derive(Debug)]
struct Entry {
    attempt_id: Uuid,
    worker: String,
    lost: CancellationToken,
}

/// One attempt, alive as long as a lease or a writer of it exists.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) job: JobId,
    pub(crate) owner: Owner,
    pub(crate) job_created_at: DateTime<Utc>,
    /// The `attempt_id` that every write carries.
    pub(crate) fence: Uuid,
    pub(crate) epoch: i32,
    /// Tripped when somebody else owns the job.
    pub(crate) lost: CancellationToken,
    /// What has been emitted and what is held back.
    pub(crate) lane: Mutex<Lane>,
    /// The attempt reached its end here: nothing may be emitted any more.
    over: AtomicBool,
    /// Events were refused by the database for a reason that time does not heal.
    broken: AtomicBool,
    registry: Weak<Attempts>,
}

impl Attempts {
    pub(crate) fn new() -> Self {
        Self {
            live: Mutex::default(),
            ended: broadcast::channel(ENDED_CAPACITY).0,
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<JobId> {
        self.ended.subscribe()
    }

    /// Takes note of an attempt that the database has just granted.
    pub(crate) fn begin(self: &Arc<Self>, granted: Granted, worker: &str) -> Arc<Attempt> {
        let lost = CancellationToken::new();
        let entry = Entry {
            attempt_id: granted.attempt_id,
            worker: worker.to_owned(),
            lost: lost.clone(),
        };
        self.live.lock().insert(granted.job, entry);
        Arc::new(Attempt {
            job: granted.job,
            owner: granted.owner,
            job_created_at: granted.job_created_at,
            fence: granted.attempt_id,
            epoch: granted.epoch,
            lost,
            lane: Mutex::new(Lane::new(granted.progress)),
            over: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            registry: Arc::downgrade(self),
        })
    }

    /// The ownership has ended elsewhere. Unknown attempts are none of this process's business.
    pub(crate) fn fence(&self, job: JobId, attempt_id: Uuid) {
        let Some(entry) = self.take(job, attempt_id) else {
            return;
        };
        entry.lost.cancel();
        // No subscriber is fine: the token has been tripped.
        let _ = self.ended.send(job);
    }

    /// The fences of `worker`, by job.
    pub(crate) fn of_worker(&self, worker: &str) -> HashMap<JobId, Uuid> {
        let live = self.live.lock();
        live.iter()
            .filter(|(_, entry)| entry.worker == worker)
            .map(|(job, entry)| (*job, entry.attempt_id))
            .collect()
    }

    fn take(&self, job: JobId, attempt_id: Uuid) -> Option<Entry> {
        let mut live = self.live.lock();
        if live.get(&job)?.attempt_id != attempt_id {
            return None;
        }
        live.remove(&job)
    }
}

/// What the database says about a granted attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    pub(crate) job: JobId,
    pub(crate) owner: Owner,
    pub(crate) job_created_at: DateTime<Utc>,
    pub(crate) attempt_id: Uuid,
    pub(crate) epoch: i32,
    pub(crate) progress: u8,
}

impl Attempt {
    /// Nothing that it emits can matter any more.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.lost.is_cancelled()
    }

    /// It has ended here, in good order.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.forget();
    }

    /// The database has refused its fence: somebody else owns the job.
    pub(crate) fn lose(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.fence(self.job, self.fence);
        }
        self.lost.cancel();
    }

    /// Some of its events are gone for good.
    pub(crate) fn mark_broken(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn forget(&self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.take(self.job, self.fence);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn granted(job: JobId) -> Granted {
        Granted {
            job,
            owner: Owner::LOCAL,
            job_created_at: job.created_at(),
            attempt_id: clock::random_id(),
            epoch: 1,
            progress: 0,
        }
    }

    #[test]
    fn a_late_message_about_an_earlier_attempt_ends_nothing() {
        let attempts = Arc::new(Attempts::new());
        let mut ended = attempts.subscribe();
        let job = JobId::generate();
        let first = attempts.begin(granted(job), "w");
        let second = attempts.begin(granted(job), "w");
        attempts.fence(job, first.fence);
        assert!(!second.is_over() && ended.try_recv().is_err());
        attempts.fence(job, second.fence);
        assert!(second.is_over());
        assert_eq!(ended.try_recv().unwrap(), job);
    }

    #[test]
    fn a_dropped_attempt_is_forgotten_but_not_its_successor() {
        let attempts = Arc::new(Attempts::new());
        let job = JobId::generate();
        let first = attempts.begin(granted(job), "w");
        let second = attempts.begin(granted(job), "w");
        drop(first);
        assert_eq!(
            attempts.of_worker("w"),
            HashMap::from([(job, second.fence)])
        );
        drop(second);
        assert!(attempts.of_worker("w").is_empty());
    }
}
