//! The job handlers of quire and the apalis workers that run them.
//!
//! A queue entry is a ticket: two ids, never content. The handler of its stage claims the job, works on dedicated
//! threads and writes every result through the store, fenced by the attempt. apalis carries tickets and keeps the
//! slots; retries, backoff, cancellation and crash recovery are decided here and in the store, because what apalis
//! ships for them loses work (`research/queue.md`, section 1). This crate knows no HTTP.

mod answer;
mod context;
mod engines;
mod extract;
mod failure;
mod maintenance;
mod passages;
mod queues;
mod run;
mod running;
mod wakeups;

use std::{path::PathBuf, sync::Arc, time::Duration};

use quire_extract::{ParseError, ParserPool, PoolConfig, SandboxStatus};
use quire_store::{FileStore, Store, StoreError, WorkerGuard};
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use ulid::Ulid;

pub use engines::Engines;

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
}

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
    /// Reaper and housekeeping.
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
        let worker = store.register_worker(&worker_name()).await?;
        let context = Arc::new(Context {
            store,
            files,
            engines,
            parser: Arc::new(parser),
            worker: worker.name().to_owned(),
            apalis_prefix: worker.apalis_name(""),
            ocr_languages: config.ocr_languages.clone(),
            running: running::Running::default(),
            attempts: TaskTracker::new(),
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

    /// Takes no more jobs, lets the running ones finish for `grace`, then hands the rest back to the queue.
    pub async fn stop(self, grace: Duration) {
        self.intake.cancel();
        let mut queues = self.queues;
        let ended = if let Ok(ended) = tokio::time::timeout(grace, &mut queues).await {
            ended
        } else {
            tracing::info!(
                jobs.running = self.context.running.len(),
                "running jobs go back to the queue"
            );
            self.context.running.hand_back_all();
            queues.await
        };
        if let Err(error) = ended {
            tracing::error!(%error, "the queue workers panicked");
        }
        self.context.attempts.close();
        self.context.attempts.wait().await;
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
