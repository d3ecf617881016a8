//! Jobs that do nothing, drained by one process: through apalis alone, and through the whole life of a job (two stages: two
//! tickets fetched and acknowledged, two claims, a document, an answer, three events).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage, queries::push_tasks};
use quire_store::{JobState, QUEUE_ANSWER, QUEUE_EXTRACT, Stage, Store, Ticket, WorkerGuard};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{Figure, database::Server, enqueue};

/// Whole jobs.
const JOBS: usize = 2_000;
/// Jobs that one worker process may run at once in each queue.
const SLOTS: usize = 64;
/// Between two looks at an empty queue: the answering worker is faster than the extracting one.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Tickets fetched at once, of how many; one at once is what the service does.
const BATCHES: [(usize, usize); 2] = [(1, 1_000), (100, 10_000)];

/// Measures draining.
pub async fn measure(server: &Server) -> Vec<Figure> {
    let mut figures = Vec::new();
    let shipped = server.shipped("drain_shipped").await;
    for (batch, count) in BATCHES {
        let what = format!("no-op entries through apalis as shipped, batch {batch}");
        let took = entries(&shipped, batch, count).await;
        figures.push(Figure::rate(what, "", count, took));
    }
    shipped.close().await;
    let store = server.ours("drain_ours", 48).await;
    for (batch, count) in BATCHES {
        let what = format!("no-op entries through apalis with our fetch, batch {batch}");
        let took = entries(store.pool(), batch, count).await;
        figures.push(Figure::rate(what, "5,000/s", count, took));
    }
    enqueue::uploads(&store, 1, 1_000, JOBS).await;
    let took = jobs(&store).await;
    figures.push(Figure::rate(
        "no-op jobs, whole life, as the service runs them",
        "5,000/s",
        JOBS,
        took,
    ));
    store.close().await;
    figures
}

/// Entries whose handler does nothing.
async fn entries(pool: &PgPool, batch: usize, count: usize) -> Duration {
    for _ in 0..count / 1_000 {
        let tasks = (0..1_000)
            .map(|_| TaskBuilder::new(b"null".to_vec()).build())
            .collect();
        let mut conn = pool.acquire().await.unwrap();
        push_tasks(&mut *conn, "bench", tasks).await.unwrap();
    }
    let counter = Counter::of(count);
    let backend = PostgresStorage::<()>::new(pool)
        .with_config(Config::default().queue("bench").batch_size(batch))
        .poll_with_interval(LOOK_EVERY);
    let worker = WorkerBuilder::new(format!("bench-{batch}"))
        .backend(backend)
        .concurrency(SLOTS.max(batch))
        .data(counter.clone())
        .build(nothing);
    let started = Instant::now();
    worker.run_until(counter.ended()).await.unwrap();
    started.elapsed()
}

async fn nothing((): (), counter: Data<Counter>) -> Result<(), BoxDynError> {
    counter.count();
    Ok(())
}

/// Counts jobs and ends the workers after the last.
#[derive(Clone)]
struct Counter {
    left: Arc<AtomicUsize>,
    stop: CancellationToken,
}

impl Counter {
    fn of(count: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(count)),
            stop: CancellationToken::new(),
        }
    }

    fn count(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.cancel();
        }
    }

    async fn ended(self) -> Result<(), WorkerError> {
        self.stop.cancelled().await;
        Ok(())
    }
}

/// What a handler needs.
#[derive(Clone)]
struct Context {
    store: Store,
    worker: Arc<str>,
    counter: Counter,
}

/// Every waiting job, with workers set up as the service sets them up.
async fn jobs(store: &Store) -> Duration {
    let guard = store.register_worker("bench").await.unwrap();
    let context = Context {
        store: store.clone(),
        worker: guard.name().into(),
        counter: Counter::of(JOBS),
    };
    let started = Instant::now();
    tokio::join!(
        queue(&context, &guard, QUEUE_EXTRACT),
        queue(&context, &guard, QUEUE_ANSWER)
    );
    let took = started.elapsed();
    guard.stop().await;
    took
}

async fn queue(context: &Context, guard: &WorkerGuard, queue: &'static str) {
    let pool = context.store.pool();
    let backend = PostgresStorage::<Ticket>::new(pool)
        .with_config(Config::default().queue(queue).batch_size(1))
        .poll_with_interval(LOOK_EVERY);
    let worker = WorkerBuilder::new(guard.apalis_name(queue))
        .backend(backend)
        .concurrency(SLOTS)
        .data(context.clone())
        .build(job);
    let ended = context.counter.clone().ended();
    worker.run_until(ended).await.unwrap();
}

async fn job(ticket: Ticket, context: Data<Context>) -> Result<(), BoxDynError> {
    let Some(lease) = context.store.claim(&ticket, &context.worker).await? else {
        return Ok(());
    };
    assert_eq!(lease.job.state, JobState::Running);
    match lease.stage {
        Stage::Extract => {
            context
                .store
                .finish_extract(&lease, &serde_json::json!({}), 1)
                .await?;
        }
        Stage::Answer => {
            context
                .store
                .complete(&lease, "nothing", serde_json::json!({}))
                .await?;
            context.counter.count();
        }
    }
    Ok(())
}
