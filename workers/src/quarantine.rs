//! Lets a job that has lost a worker run alone.
//!
//! When a process dies, every job it had is a suspect, and all but one of them are innocent. If they ran together again, the guilty
//! one would take the others along a second time. So a suspect waits until the jobs of this process are done and runs while no other
//! does: only a death in that time counts against it (`quire_store::rules`). Suspects are rare, and everybody else only takes a
//! lock that is free.

use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A suspect goes on in company after this: a neighbour may run for an hour, and further jobs wait behind the suspect. A death
/// does not count against it then.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who may run beside whom.
#[derive(Debug, Default)]
pub(crate) struct Quarantine {
    room: RwLock<()>,
}

/// The right to run; ends when dropped.
#[expect(dead_code, reason = "held, never read")]
pub(crate) enum Admitted<'a> {
    /// Beside others.
    Together(RwLockReadGuard<'a, ()>),
    /// While nobody else runs.
    Alone(RwLockWriteGuard<'a, ()>),
}

impl Quarantine {
    /// Waits until the job may run.
    pub(crate) async fn admit(&self, is_suspect: bool) -> Admitted<'_> {
        if is_suspect && let Ok(alone) = tokio::time::timeout(PATIENCE, self.room.write()).await {
            return Admitted::Alone(alone);
        }
        Admitted::Together(self.room.read().await)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Whether it is let in without waiting.
    async fn at_once(quarantine: &Quarantine, is_suspect: bool) -> bool {
        let mut asking = Box::pin(quarantine.admit(is_suspect));
        poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspect_runs_while_nobody_else_does() {
        let quarantine = Quarantine::default();
        let innocent = quarantine.admit(false).await;
        assert!(at_once(&quarantine, false).await, "innocents run together");
        assert!(!at_once(&quarantine, true).await);
        drop(innocent);
        let suspect = quarantine.admit(true).await;
        assert!(matches!(suspect, Admitted::Alone(_)));
        assert!(!at_once(&quarantine, false).await && !at_once(&quarantine, true).await);
        drop(suspect);
        assert!(at_once(&quarantine, false).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_job_holds_a_suspect_up_for_a_while_only() {
        let quarantine = Quarantine::default();
        let _long = quarantine.admit(false).await;
        let suspect = quarantine.admit(true).await;
        assert!(matches!(suspect, Admitted::Together(_)));
        assert!(at_once(&quarantine, false).await);
    }
}
