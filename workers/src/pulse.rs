//! Signs of life of one attempt: every report of progress is one. Their absence is how a stage that hangs is told from one that
//! is slow.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// When the attempt last reported something. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<Instant>>);

impl Default for Pulse {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl Pulse {
    /// The attempt is getting on.
    pub(crate) fn beat(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Returns once nothing has been reported for `limit`.
    pub(crate) async fn silence(&self, limit: Duration) {
        loop {
            let end = *self.0.lock() + limit;
            if Instant::now() >= end {
                return;
            }
            sleep_until(end).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_beat() {
        let (pulse, start) = (Pulse::default(), Instant::now());
        let beating = pulse.clone();
        tokio::spawn(async move {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                beating.beat();
            }
        });
        pulse.silence(Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(17));
    }
}
