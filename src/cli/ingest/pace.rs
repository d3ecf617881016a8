//! Waiting for a server that is busy or away: as long as it says, or ever longer, never in step with other clients.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::Rng as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::cli::client::ClientError;

/// First pause when the server does not say how long.
const FIRST: Duration = Duration::from_millis(250);

/// Longest pause: a server that is back should not be idle for long.
const LONGEST: Duration = Duration::from_secs(10);

/// How long a server may be away. Cheap to clone; the clones share when it was last heard of.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    limit: Duration,
    heard_at: Arc<Mutex<Instant>>,
    stop: CancellationToken,
}

impl Patience {
    /// Begins now.
    pub(super) fn new(limit: Duration, stop: CancellationToken) -> Self {
        Self {
            limit,
            heard_at: Arc::new(Mutex::new(Instant::now())),
            stop,
        }
    }

    /// Whoever runs the program wants it to end.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tries until it works, the server says no for good, or patience is over. `None`: the program is to stop.
    pub(super) async fn insist<T, F>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Option<T>, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let (mut pause, mut failing_since) = (FIRST, None);
        loop {
            let tried = tokio::select! {
                tried = attempt() => tried,
                () = self.stop.cancelled() => return Ok(None),
            };
            let error = match tried {
                Ok(done) => {
                    self.hear();
                    return Ok(Some(done));
                }
                Err(error) => error,
            };
            // A call may take long before it fails: silence counts from there.
            let since = *failing_since.get_or_insert_with(Instant::now);
            let wait = self.after(error, since, pause)?;
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.cancelled() => return Ok(None),
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Waits a while, unless the program is to stop first.
    pub(super) async fn rest(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn hear(&self) {
        *self.heard_at.lock() = Instant::now();
    }

    /// How long to wait after an error that time may heal; any other error is returned.
    fn after(
        &self,
        error: ClientError,
        since: Instant,
        pause: Duration,
    ) -> Result<Duration, ClientError> {
        let silent = since.max(*self.heard_at.lock()).elapsed();
        match error {
            // It is there and says when: that is no absence.
            ClientError::Busy {
                after: Some(after), ..
            } => {
                self.hear();
                Ok(jittered(after))
            }
            ClientError::Busy { after: None, .. } | ClientError::Unreachable { .. }
                if silent < self.limit =>
            {
                Ok(jittered(pause))
            }
            error => Err(error),
        }
    }
}

/// A bit longer, so that clients that were sent away together do not come back together.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(1.0..1.5))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn busy(after: Option<u64>) -> ClientError {
        ClientError::Busy {
            reason: "busy".into(),
            after: after.map(Duration::from_secs),
        }
    }

    fn patience() -> Patience {
        Patience::new(Duration::from_mins(1), CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_server_is_waited_for_as_long_as_it_says() {
        let tries = AtomicU32::new(0);
        let begun = Instant::now();
        let done = patience()
            .insist(|| async {
                match tries.fetch_add(1, Ordering::Relaxed) {
                    // Far beyond the patience for a server that is away.
                    0..20 => Err(busy(Some(30))),
                    _ => Ok(7),
                }
            })
            .await;
        assert_eq!(done.unwrap(), Some(7));
        assert!(begun.elapsed() >= Duration::from_mins(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stays_away_is_given_up() {
        let begun = Instant::now();
        let gone = patience()
            .insist(|| async { Err::<(), _>(busy(None)) })
            .await;
        assert!(gone.is_err());
        let waited = begun.elapsed();
        assert!(
            waited >= Duration::from_mins(1) && waited < Duration::from_mins(2),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_call_that_breaks_off_is_tried_again() {
        let tries = AtomicU32::new(0);
        let done = patience()
            .insist(|| async {
                sleep(Duration::from_mins(20)).await;
                match tries.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(busy(None)),
                    _ => Ok(7),
                }
            })
            .await;
        assert_eq!(done.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn a_no_is_not_asked_again() {
        let tries = AtomicU32::new(0);
        let refused = patience()
            .insist(|| async {
                tries.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(ClientError::Refused("no".into()))
            })
            .await;
        assert!(refused.is_err());
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn stopping_ends_the_wait() {
        let patience = patience();
        patience.stop.cancel();
        let tried = patience
            .insist(|| async { Err::<(), _>(busy(Some(3600))) })
            .await;
        assert_eq!(tried.unwrap(), None);
    }
}
