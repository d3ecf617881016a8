//! The attempts that run in this process, by job, so that all of them can be handed back when the process stops.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use quire_store::JobId;

/// Stops one attempt. Both flags are polled by the code they reach: at most one page, parser poll or sentence later.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    /// Reaches the parser pool.
    pub(crate) parser: quire_extract::CancelFlag,
    /// Reaches the answering engine.
    pub(crate) engine: quire_models::CancelFlag,
    /// The job goes back to the queue instead of ending.
    hand_back: Arc<AtomicBool>,
}

impl Stop {
    /// Whether the attempt is stopped because this process ends.
    pub(crate) fn is_hand_back(&self) -> bool {
        self.hand_back.load(Ordering::Acquire)
    }

    fn hand_back(&self) {
        self.hand_back.store(true, Ordering::Release);
        self.stop();
    }

    /// Stops the attempt.
    pub(crate) fn stop(&self) {
        self.parser.cancel();
        self.engine.cancel();
    }
}

/// The running attempts of this process.
#[derive(Default)]
pub(crate) struct Running {
    stops: Arc<Mutex<HashMap<JobId, Stop>>>,
    /// Whatever enters is handed back at once.
    closing: AtomicBool,
}

impl Running {
    /// Enters an attempt; it leaves when the guard is dropped.
    pub(crate) fn enter(&self, job: JobId) -> Entered {
        let stop = Stop::default();
        self.stops.lock().insert(job, stop.clone());
        if self.closing.load(Ordering::Acquire) {
            stop.hand_back();
        }
        Entered {
            job,
            stop,
            stops: Arc::clone(&self.stops),
        }
    }

    /// Stops every attempt, also those that enter later, and marks it for the queue.
    pub(crate) fn hand_back_all(&self) {
        self.closing.store(true, Ordering::Release);
        for stop in self.stops.lock().values() {
            stop.hand_back();
        }
    }

    /// Attempts that run now.
    pub(crate) fn len(&self) -> usize {
        self.stops.lock().len()
    }
}

/// Keeps an attempt in the list while it runs.
pub(crate) struct Entered {
    job: JobId,
    stop: Stop,
    stops: Arc<Mutex<HashMap<JobId, Stop>>>,
}

impl Entered {
    /// The way to stop this attempt.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.stops.lock().remove(&self.job);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn hand_back_marks_all_and_leaving_forgets() {
        let running = Running::default();
        let entered = running.enter(JobId(Uuid::from_u128(1)));
        running.hand_back_all();
        assert!(entered.stop().is_hand_back() && entered.stop().engine.is_cancelled());
        assert!(
            running
                .enter(JobId(Uuid::from_u128(2)))
                .stop()
                .is_hand_back(),
            "a late one goes back too"
        );
        drop(entered);
        assert_eq!(running.len(), 0);
    }
}
