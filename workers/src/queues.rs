//! The apalis workers: one for each queue, with the guards that its 1.0 needs.
//!
//! Never `.timeout()`, `.catch_panic()`, `.retry()` or `.parallelize()`: those layers leave rows `Running` for ever
//! (`research/queue.md`, findings 5 and 6). One ticket is fetched at a time, because heartbeats stop while fetched
//! tickets wait (finding 1). A worker's name is never used twice (finding 2).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage, Pubsub};
use quire_store::{Call, QUEUE_ANSWER, QUEUE_EXTRACT};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::{WorkerConfig, context::Context, run, wakeups::Wakeups};

/// NOTIFY wakes a worker at once; this finds what a lost notification would leave (findings 11 to 13).
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Of apalis' own worker rows; ours are kept alive by a lock.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// With `HEARTBEAT`, apalis hands tickets of a silent worker on after 30 s; the store's reaper is much faster.
const MISSED_HEARTBEATS: usize = 6;
/// Pause before a failed worker is started again: the first, doubled up to the last while it keeps failing.
const RESTART_PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// Runs the workers of every queue until `intake` is cancelled and the last handler has returned.
pub(crate) async fn run(context: Arc<Context>, config: WorkerConfig, intake: CancellationToken) {
    tokio::join!(
        keep_running(&context, QUEUE_EXTRACT, config.extract_slots, &intake),
        keep_running(&context, QUEUE_ANSWER, config.answer_slots, &intake),
    );
}

/// Starts the worker of `queue` again whenever it fails, as each does when the database goes away (finding 15). Not with apalis'
/// monitor: that restarts without a pause, or waits for its stop signal although its workers are dead.
async fn keep_running(
    context: &Arc<Context>,
    queue: &'static str,
    slots: usize,
    intake: &CancellationToken,
) {
    let (first, last) = RESTART_PAUSE;
    let mut pause = first;
    let mut reachable = context.store.reachable();
    while !intake.is_cancelled() {
        // A worker that starts before the database is back meets the long pauses of its connection pool.
        let back = reachable.wait_for(|reachable| *reachable);
        if intake.run_until_cancelled(back).await.is_none() {
            break;
        }
        let started = Instant::now();
        let Err(error) = run_worker(Arc::clone(context), queue, slots, intake.clone()).await else {
            continue;
        };
        pause = if started.elapsed() > last {
            first
        } else {
            last.min(pause * 2)
        };
        tracing::warn!(queue, %error, "queue worker failed and is started again");
        // The token's end needs no handling: the loop looks at it.
        let _ = tokio::time::timeout(pause, intake.cancelled()).await;
    }
}

async fn run_worker(
    context: Arc<Context>,
    queue: &'static str,
    slots: usize,
    intake: CancellationToken,
) -> Result<(), WorkerError> {
    let backend = PostgresStorage::<Call>::new(context.store.pool())
        .with_config(
            Config::default()
                .queue(queue)
                .batch_size(1)
                .heartbeat_interval(HEARTBEAT)
                .missed_heartbeats(MISSED_HEARTBEATS),
        )
        .poll_with_interval(POLL_INTERVAL);
    let notifications = Pubsub::new(context.store.pool().clone(), queue.to_owned());
    let backend = PollWith::new(backend, Wakeups::new(notifications));
    let worker = WorkerBuilder::new(format!(
        "{}{queue}/{}",
        context.apalis_prefix,
        Ulid::generate()
    ))
    .backend(backend)
    .concurrency(slots)
    .data(context)
    .build(handle);
    worker
        .run_until(async move {
            intake.cancelled().await;
            Ok::<(), WorkerError>(())
        })
        .await
}

async fn handle(call: Call, context: Data<Arc<Context>>) -> Result<(), BoxDynError> {
    run::ticket(call, Arc::clone(&context)).await
}
