//! Findings 1, 5, 6, 7, 15 and 16: what a running apalis worker does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use apalis::{
    layers::WorkerBuilderExt as _,
    prelude::{
        AbortError, BackendExt as _, BoxDynError, Data, ParallelizeExt as _, RetryAfterError,
        WorkerBuilder,
    },
};
use apalis_postgres::{Config, PostgresStorage};
use tokio::sync::Semaphore;

use crate::support::{Queue, config, until};

/// How often an idle worker looks.
const POLL: Duration = Duration::from_millis(20);

/// What the handlers of a test do and did.
struct Probe {
    started: AtomicUsize,
    finished: AtomicUsize,
    dropped: AtomicBool,
    /// Handlers wait for a permit.
    go_on: Semaphore,
}

impl Probe {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            started: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            dropped: AtomicBool::new(false),
            go_on: Semaphore::new(0),
        })
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn finished(&self) -> usize {
        self.finished.load(Ordering::SeqCst)
    }

    async fn work(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        // Never closed.
        self.go_on.acquire().await.unwrap().forget();
        self.finished.fetch_add(1, Ordering::SeqCst);
    }
}

/// Notices that a handler is dropped in its work.
struct DropFlag(Arc<Probe>);

impl Drop for DropFlag {
    fn drop(&mut self) {
        let unfinished = self.0.finished() < self.0.started();
        self.0.dropped.fetch_or(unfinished, Ordering::SeqCst);
    }
}

/// A worker that runs `$handler`, with these layers before it.
macro_rules! start {
    ($queue:expr, $config:expr, $probe:expr, $handler:expr $(, $layer:ident($argument:expr))*) => {{
        let backend = PostgresStorage::<u32>::new(&$queue.pool)
            .with_config($config)
            .poll_with_interval(POLL);
        let worker = WorkerBuilder::new("w")
            .backend(backend)
            $(.$layer($argument))*
            .data(Arc::clone(&$probe))
            .build($handler);
        tokio::spawn(worker.run())
    }};
}

async fn wait_here(_: u32, probe: Data<Arc<Probe>>) -> Result<(), BoxDynError> {
    let _flag = DropFlag(Arc::clone(&probe));
    probe.work().await;
    Ok(())
}

/// As `workers/src/run.rs` does it.
async fn wait_in_a_task(_: u32, probe: Data<Arc<Probe>>) -> Result<(), BoxDynError> {
    let probe = Arc::clone(&probe);
    Ok(tokio::spawn(async move { probe.work().await }).await?)
}

async fn come_later(_: u32, probe: Data<Arc<Probe>>) -> Result<(), BoxDynError> {
    probe.started.fetch_add(1, Ordering::SeqCst);
    Err(RetryAfterError::new("not now", Duration::from_hours(1)).into())
}

async fn give_up(_: u32, probe: Data<Arc<Probe>>) -> Result<(), BoxDynError> {
    probe.started.fetch_add(1, Ordering::SeqCst);
    Err(AbortError::new("never").into())
}

async fn panics(_: u32, probe: Data<Arc<Probe>>) -> Result<(), BoxDynError> {
    probe.started.fetch_add(1, Ordering::SeqCst);
    panic!("as asked")
}

async fn returns(_: u32, probe: Data<Arc<Probe>>) -> Result<(), BoxDynError> {
    probe.started.fetch_add(1, Ordering::SeqCst);
    probe.finished.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Whether a worker beats while its only slot is taken and tickets may wait.
async fn beats(config: Config) -> bool {
    let (queue, probe) = (Queue::ours().await, Probe::new());
    queue.push(4, 25).await;
    let worker = start!(queue, config, probe, wait_here, concurrency(1));
    until("a task runs", async || probe.started() == 1).await;
    queue.silence().await;
    let seen = async {
        let question =
            "select count(*) from apalis.workers where last_seen > now() - interval '30 seconds'";
        while queue.count(question).await == 0 {
            tokio::time::sleep(POLL).await;
        }
    };
    // Ten heartbeats: that there is none cannot be awaited.
    let beats = tokio::time::timeout(Duration::from_secs(1), seen)
        .await
        .is_ok();
    worker.abort();
    beats
}

#[tokio::test]
async fn a_worker_beats_only_while_no_fetched_ticket_waits() {
    assert!(!beats(config().batch_size(4)).await);
    assert!(beats(config().batch_size(1)).await);
}

#[tokio::test]
async fn a_task_that_asks_to_come_later_comes_at_once_and_without_end_or_so_often() {
    const MAX_ATTEMPTS: usize = 3;
    let (queue, probe) = (Queue::shipped().await, Probe::new());
    queue.push(1, MAX_ATTEMPTS).await;
    let worker = start!(queue, config(), probe, come_later);
    until("it has run far too often", async || {
        probe.started() > 3 * MAX_ATTEMPTS
    })
    .await;
    worker.abort();

    let (queue, probe) = (Queue::ours().await, Probe::new());
    queue.push(1, MAX_ATTEMPTS).await;
    let worker = start!(queue, config(), probe, come_later);
    until("it is given up", async || queue.status().await == "Killed").await;
    worker.abort();
    assert_eq!(probe.started(), MAX_ATTEMPTS);
}

#[tokio::test]
async fn a_panic_leaves_a_task_running_or_failed() {
    for (queue, wanted) in [
        (Queue::shipped().await, "Running"),
        (Queue::ours().await, "Failed"),
    ] {
        let probe = Probe::new();
        queue.push(1, 25).await;
        let worker = start!(queue, config(), probe, panics, parallelize(tokio::spawn));
        until("it is acknowledged", async || {
            queue
                .count("select count(*) from apalis.jobs where done_at is not null")
                .await
                == 1
        })
        .await;
        worker.abort();
        assert_eq!(queue.status().await, wanted);
    }
}

#[tokio::test]
async fn an_abort_ends_a_task_after_its_first_try() {
    let (queue, probe) = (Queue::ours().await, Probe::new());
    queue.push(1, 25).await;
    let worker = start!(queue, config(), probe, give_up);
    until("it is given up", async || queue.status().await == "Killed").await;
    worker.abort();
    assert_eq!(probe.started(), 1);
}

#[tokio::test]
async fn a_database_error_ends_a_worker_and_what_runs_in_it_but_not_a_task_of_its_own() {
    for in_a_task in [false, true] {
        let (queue, probe) = (Queue::shipped().await, Probe::new());
        queue.push(1, 25).await;
        let worker = if in_a_task {
            start!(queue, config(), probe, wait_in_a_task)
        } else {
            start!(queue, config(), probe, wait_here)
        };
        until("it runs", async || probe.started() == 1).await;
        // One heartbeat that fails is enough.
        queue
            .execute("alter table apalis.workers rename to away")
            .await;
        assert!(worker.await.unwrap().is_err(), "the worker is gone");
        probe.go_on.add_permits(1);
        if in_a_task {
            until("the work is done", async || probe.finished() == 1).await;
        } else {
            assert!(probe.dropped.load(Ordering::SeqCst));
        }
        // Either way nobody acknowledges it, and it will come again: hence the ticket.
        assert_ne!(queue.status().await, "Done");
    }
}

#[tokio::test]
async fn without_results_there_is_no_acknowledgement() {
    for (persist, wanted) in [(false, 0), (true, 1)] {
        let (queue, probe) = (Queue::ours().await, Probe::new());
        queue.push(2, 25).await;
        let config = Config {
            persist_results: persist,
            ..config()
        };
        let worker = start!(queue, config, probe, returns);
        until("both have run", async || probe.finished() == 2).await;
        // What could be written of them is written with a later heartbeat.
        queue.silence().await;
        until("a heartbeat", async || {
            queue
                .count("select count(*) from apalis.workers where last_seen > now() - interval '30 seconds'")
                .await
                == 1
        })
        .await;
        if persist {
            until("acknowledged", async || queue.status().await == "Done").await;
        }
        worker.abort();
        let done = queue
            .count("select count(*) from apalis.jobs where status = 'Done'")
            .await;
        assert_eq!(done, 2 * wanted);
    }
}
