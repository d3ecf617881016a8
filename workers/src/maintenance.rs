//! What a worker process does beside its jobs: recover jobs of dead workers, keep tables small.
//!
//! Due jobs are queued, and lost attempts noticed, by the heartbeat of the store's worker registration.

use std::{sync::Arc, time::Duration};

use quire_store::StoreError;
use tokio::time::MissedTickBehavior;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::context::Context;

/// How often dead workers are looked for: with one other process alive, the jobs of a killed one wait this long at most.
const REAP_INTERVAL: Duration = Duration::from_millis(500);
/// How often finished queue rows and old events are removed.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_mins(1);
/// Events older than this are dropped; the answers themselves stay in the jobs.
const EVENT_RETENTION_DAYS: u32 = 3;

/// The tasks of one worker process that are not jobs.
pub(crate) struct Maintenance {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Maintenance {
    /// Starts the tasks.
    pub(crate) fn start(context: &Arc<Context>) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(
            stop.clone()
                .run_until_cancelled_owned(reap(Arc::clone(context))),
        );
        tasks.spawn(
            stop.clone()
                .run_until_cancelled_owned(keep_house(Arc::clone(context))),
        );
        tasks.close();
        Self { stop, tasks }
    }

    /// Ends the tasks.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn reap(context: Arc<Context>) {
    every(REAP_INTERVAL, "recover jobs of dead workers", || {
        context.store.reap()
    })
    .await;
}

async fn keep_house(context: Arc<Context>) {
    every(HOUSEKEEPING_INTERVAL, "keep tables small", || async {
        context.store.housekeeping(EVENT_RETENTION_DAYS).await?;
        Ok(0)
    })
    .await;
}

/// Runs `work` at every tick; a failure is logged once until it works again.
async fn every<F>(interval: Duration, what: &'static str, work: impl Fn() -> F)
where
    F: Future<Output = Result<u64, StoreError>> + Send,
{
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        match work().await {
            Ok(0) => failing = false,
            Ok(count) => {
                failing = false;
                tracing::info!(what, count, "maintenance did something");
            }
            Err(error) if failing => tracing::debug!(what, %error, "maintenance still fails"),
            Err(error) => {
                failing = true;
                tracing::warn!(what, %error, "maintenance failed and goes on trying");
            }
        }
    }
}
