//! The apalis workers: one for each queue, with the guards that its 1.0 needs.
//!
//! Never `.timeout()`, `.catch_panic()`, `.retry()` or `.parallelize()`: those layers leave rows `Running` for ever
//! (`research/queue.md`, findings 5 and 6). One ticket is fetched at a time, because heartbeats stop while fetched
//! tickets wait (finding 1). A worker's name is never used twice (finding 2).

use std::{sync::Arc, time::Duration};

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage};
use quire_store::{QUEUE_ANSWER, QUEUE_EXTRACT, Ticket};
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use crate::{WorkerConfig, context::Context, run};

/// NOTIFY wakes a worker at once; this finds what a lost notification would leave (findings 11 to 13).
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Of apalis' own worker rows; ours are kept alive by a lock.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// With `HEARTBEAT`, apalis hands tickets of a silent worker on after 30 s; the store's reaper is much faster.
const MISSED_HEARTBEATS: usize = 6;
/// Longest pause before a failed worker is started again.
const MAX_RESTART_DELAY: Duration = Duration::from_secs(5);

/// Runs the workers of every queue until `intake` is cancelled and the last handler has returned.
pub(crate) async fn run(context: Arc<Context>, config: WorkerConfig, intake: CancellationToken) {
    let mut restarts: u32 = 0;
    while !intake.is_cancelled() {
        let monitor = monitor(&context, &config);
        let stop = intake.clone();
        let ended = monitor
            .run_with_signal(async move {
                stop.cancelled().await;
                Ok(())
            })
            .await;
        if let Err(error) = ended {
            tracing::warn!(%error, "queue workers ended and are started again");
        }
        restarts += 1;
        let delay = MAX_RESTART_DELAY.min(Duration::from_millis(100) * 2_u32.saturating_pow(restarts.min(6)));
        tokio::select! {
            () = intake.cancelled() => {}
            () = tokio::time::sleep(delay) => {}
        }
    }
}

fn monitor(context: &Arc<Context>, config: &WorkerConfig) -> Monitor {
    [(QUEUE_EXTRACT, config.extract_slots), (QUEUE_ANSWER, config.answer_slots)]
        .into_iter()
        .fold(Monitor::new(), |monitor, (queue, slots)| register(monitor, Arc::clone(context), queue, slots))
}

fn register(monitor: Monitor, context: Arc<Context>, queue: &'static str, slots: usize) -> Monitor {
    monitor.register(move |_| {
        let backend = PostgresStorage::<Ticket>::new(context.store.pool())
            .with_config(
                Config::default()
                    .queue(queue)
                    .batch_size(1)
                    .heartbeat_interval(HEARTBEAT)
                    .missed_heartbeats(MISSED_HEARTBEATS),
            )
            .with_pubsub()
            .poll_with_interval(POLL_INTERVAL);
        WorkerBuilder::new(format!("{}{queue}/{}", context.apalis_prefix, Ulid::generate()))
            .backend(backend)
            .concurrency(slots)
            .data(Arc::clone(&context))
            .build(handle)
    })
}

async fn handle(ticket: Ticket, context: Data<Arc<Context>>) -> Result<(), BoxDynError> {
    run::ticket(ticket, Arc::clone(&context)).await
}
