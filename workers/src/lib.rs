//! The job handlers of quire and the apalis workers that run them.
//!
//! A queue entry is a ticket: two ids, never content. The handler of its stage claims the job, works on dedicated
//! threads and writes every result through the store, fenced by the attempt. apalis carries tickets and keeps the
//! slots; retries, backoff, cancellation and crash recovery are decided here and in the store, because what apalis
//! ships for them loses work (`research/queue.md`, section 1). This crate knows no HTTP.

mod answer;
mod caption;
mod context;
mod engines;
mod extract;
mod failure;
mod housekeeping;
mod maintenance;
mod passages;
mod persist;
mod pulse;
mod quarantine;
mod queues;
mod run;
mod running;
mod vectors;
mod wakeups;
mod watch;
mod whole_table;

use std::{path::PathBuf, sync::Arc, time::Duration};

use quire_extract::{ParseError, ParserPool, PoolConfig, SandboxStatus};
use quire_store::{FileStore, Store, StoreError, WorkerGuard};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use ulid::Ulid;

pub use engines::{Engines, Slot};
pub use housekeeping::{Housekeeping, Retention};

use crate::{context::Context, maintenance::Maintenance};

/// What a worker process is given.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Jobs extracted at the same time; also the number of parser processes.
    pub extract_slots: usize,
    /// Jobs answered at the same time.
    pub answer_slots: usize,
    /// The `quire-parse` program.
    pub parse_program: PathBuf,
    /// Tesseract language codes.
    pub ocr_languages: Vec<String>,
    /// Refuse to start with a degraded sandbox.
    pub require_sandbox: bool,
    /// What jobs may take.
    pub limits: JobLimits,
}

/// What jobs may take.
#[derive(Clone, Copy, Debug)]
pub struct JobLimits {
    /// Running time of one run of a job, all its attempts together. A job beyond it fails.
    pub deadline: Duration,
    /// Time without any progress, after which a stage is stopped and tried again.
    pub progress: Duration,
    /// Jobs of one owner that each queue runs at once, all processes together; 0: any number.
    pub owner_slots: u32,
}

impl Default for JobLimits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_hours(1),
            progress: Duration::from_mins(5),
            owner_slots: 0,
        }
    }
}

/// Time kept at the end of the grace of a stop, for handing back what has not finished by then.
const HAND_BACK: Duration = Duration::from_secs(2);

/// Why workers could not start.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The parser process cannot be started, or not with the sandbox that was demanded.
    #[error("cannot start the document parser: {0}")]
    Parser(#[from] ParseError),
    /// The database refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the workers of this process are and do.
#[derive(Clone, Debug)]
pub struct WorkersStatus {
    /// Name of this worker process in the database.
    pub worker: String,
    /// Jobs running now.
    pub running: usize,
    /// State of the parser's sandbox.
    pub sandbox: SandboxStatus,
}

/// The running workers of one process.
pub struct Workers {
    context: Arc<Context>,
    /// Ends the intake of new tickets.
    intake: CancellationToken,
    /// The apalis workers; end after `intake` once no handler is left.
    queues: JoinHandle<()>,
    /// Reaper and deadlines.
    maintenance: Maintenance,
    /// The registration of this process: its lock tells other processes that this one lives.
    worker: WorkerGuard,
}

impl Workers {
    /// Starts the parser pool, registers this process and begins to take jobs.
    pub async fn start(
        store: Store,
        files: FileStore,
        engines: Arc<Engines>,
        config: WorkerConfig,
    ) -> Result<Self, WorkerError> {
        let parser = start_parser(&config).await?;
        let worker = store
            .register_worker_with(&worker_name(), config.limits.deadline)
            .await?;
        store.limit_owner_slots(config.limits.owner_slots).await?;
        store
            .note_slots(worker.name(), config.extract_slots, config.answer_slots)
            .await?;
        let context = Arc::new(Context {
            store,
            files,
            engines,
            parser: Arc::new(parser),
            worker: worker.name().to_owned(),
            apalis_prefix: worker.apalis_name(""),
            ocr_languages: config.ocr_languages.clone(),
            limits: config.limits,
            running: running::Running::default(),
            quarantine: quarantine::Quarantine::default(),
            attempts: TaskTracker::new(),
            left_behind: TaskTracker::new(),
        });
        let intake = CancellationToken::new();
        let maintenance = Maintenance::start(&context);
        let queues = tokio::spawn(queues::run(Arc::clone(&context), config, intake.clone()));
        tracing::info!(worker.name = context.worker, "workers take jobs");
        Ok(Self {
            context,
            intake,
            queues,
            maintenance,
            worker,
        })
    }

    /// What runs now.
    pub fn status(&self) -> WorkersStatus {
        WorkersStatus {
            worker: self.context.worker.clone(),
            running: self.context.running.len(),
            sandbox: self.context.parser.sandbox_status(),
        }
    }

    /// Takes no more jobs and lets the running ones finish. Those that have not by the end of `grace` are back in the queue
    /// then, as if they had not been taken.
    pub async fn stop(self, grace: Duration) {
        self.intake.cancel();
        let mut queues = self.queues;
        let ended = if let Ok(ended) = timeout(grace.saturating_sub(HAND_BACK), &mut queues).await {
            Some(ended)
        } else {
            tracing::info!(
                jobs.running = self.context.running.len(),
                "running jobs go back to the queue"
            );
            self.context.running.hand_back_all();
            timeout(HAND_BACK, &mut queues).await.ok()
        };
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::error!(%error, "the queue workers panicked"),
            // What they still hold is taken back by the sign-off, or by another process.
            None => queues.abort(),
        }
        self.context.running.give_up();
        self.context.attempts.close();
        // Nothing in an attempt waits for anything now.
        if timeout(HAND_BACK, self.context.attempts.wait())
            .await
            .is_err()
        {
            tracing::error!("attempts did not end");
        }
        self.maintenance.stop().await;
        self.worker.stop().await;
    }
}

async fn start_parser(config: &WorkerConfig) -> Result<ParserPool, ParseError> {
    let mut pool = PoolConfig::with_program(config.parse_program.clone(), config.extract_slots);
    pool.require_sandbox = config.require_sandbox;
    tokio::task::spawn_blocking(move || ParserPool::start(pool))
        .await
        .map_err(|panic| ParseError::Unavailable(panic.to_string()))?
}

/// A name that no process ever had: apalis strands the jobs of a worker that comes back under its old name.
fn worker_name() -> String {
    format!("quire-{}-{}", std::process::id(), Ulid::generate())
}
