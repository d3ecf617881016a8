//! The attempts that run in this process, by job, so that all of them can be handed back when the process stops.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use quire_store::JobId;
use tokio_util::sync::CancellationToken;

use crate::pulse::Pulse;

/// Stops one attempt. Both flags are polled by the code they reach: at most one page, parser poll or sentence later.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    /// Reaches the parser pool.
    pub(crate) parser: quire_extract::CancelFlag,
    /// Reaches the answering engine.
    pub(crate) engine: quire_models::CancelFlag,
}

impl Stop {
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
    /// Every attempt, also one that enters later, goes back to the queue.
    hand_back: CancellationToken,
    /// The time for that is over, too.
    give_up: CancellationToken,
}

impl Running {
    /// Enters an attempt; it leaves when the guard is dropped.
    pub(crate) fn enter(&self, job: JobId) -> Entered {
        let stop = Stop::default();
        self.stops.lock().insert(job, stop.clone());
        Entered {
            job,
            stop,
            pulse: Pulse::default(),
            hand_back: self.hand_back.clone(),
            give_up: self.give_up.clone(),
            stops: Arc::clone(&self.stops),
        }
    }

    /// Stops every attempt, also those that enter later, and sends it back to the queue.
    pub(crate) fn hand_back_all(&self) {
        self.hand_back.cancel();
        for stop in self.stops.lock().values() {
            stop.stop();
        }
    }

    /// Nothing is waited for any more, not even the database.
    pub(crate) fn give_up(&self) {
        self.give_up.cancel();
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
    pulse: Pulse,
    hand_back: CancellationToken,
    give_up: CancellationToken,
    stops: Arc<Mutex<HashMap<JobId, Stop>>>,
}

impl Entered {
    /// The way to stop this attempt.
    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Its signs of life.
    pub(crate) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Returns when the attempt is to go back to the queue because this process ends.
    pub(crate) async fn handed_back(&self) {
        self.hand_back.cancelled().await;
    }

    /// Whether the attempt is to go back to the queue.
    pub(crate) fn is_handed_back(&self) -> bool {
        self.hand_back.is_cancelled()
    }

    /// Returns when this process ends without waiting for anything any more.
    pub(crate) async fn given_up(&self) {
        self.give_up.cancelled().await;
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

    #[tokio::test]
    async fn hand_back_reaches_all_and_leaving_forgets() {
        let running = Running::default();
        let entered = running.enter(JobId(Uuid::from_u128(1)));
        running.hand_back_all();
        assert!(entered.stop().engine.is_cancelled() && entered.stop().parser.is_cancelled());
        entered.handed_back().await;
        let late = running.enter(JobId(Uuid::from_u128(2)));
        late.handed_back().await;
        drop((entered, late));
        assert_eq!(running.len(), 0);
    }
}
