//! What a worker process does beside its jobs: recover jobs of dead workers, end those that outlive their time.
//!
//! Due jobs are queued, and lost attempts noticed, by the heartbeat of the store's worker registration.

use std::{sync::Arc, time::Duration};

use quire_store::StoreError;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::context::Context;

/// How often jobs are looked for that have outlived their deadline.
const OVERDUE_INTERVAL: Duration = Duration::from_secs(1);
/// Longest time for one piece of work; beyond it the database is taken for away.
const WORK_LIMIT: Duration = Duration::from_secs(15);

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
                .run_until_cancelled_owned(end_overdue(Arc::clone(context))),
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
    let interval = || context.store.reap_interval();
    every(interval, "recover jobs of dead workers", || {
        context.store.reap()
    })
    .await;
}

async fn end_overdue(context: Arc<Context>) {
    every(
        || OVERDUE_INTERVAL,
        "end jobs past their deadline",
        || context.store.end_overdue(),
    )
    .await;
}

/// Runs `work` again and again with a pause of `interval`; a failure is logged once until it works again.
pub(crate) async fn every<F>(
    interval: impl Fn() -> Duration,
    what: &'static str,
    work: impl Fn() -> F,
) where
    F: Future<Output = Result<u64, StoreError>> + Send,
{
    let mut failing = false;
    loop {
        let Ok(outcome) = timeout(WORK_LIMIT, work()).await else {
            tracing::warn!(what, "maintenance had no answer from the database");
            continue;
        };
        match outcome {
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
        sleep(interval()).await;
    }
}
