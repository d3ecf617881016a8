//! Starting and stopping a server or worker process: what begins in which order, and what ends in which.
//!
//! Start: database, schema, port, workers, models in the background. Stop: intake, running jobs, sockets, pools,
//! embedded Postgres. Nothing listens before the settings and the database are known to be good.

mod connections;
mod database;
pub mod engines;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quire_extract::{ParseError, find_program};
use quire_store::{FileStore, Store, StoreError};
use quire_workers::{Engines, Housekeeping, JobLimits, WorkerConfig, WorkerError, Workers};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{net::TcpListener, signal::unix::SignalKind};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{self, AppState},
    config::Config,
};

pub use database::{Database, DatabaseError};

/// Open files that are enough for any number of sockets one process serves.
const MOST_OPEN_FILES: u64 = 65_536;

/// Which parts of quire a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// API and workers.
    All,
    /// API only.
    Api,
    /// Workers only.
    Worker,
    /// Bring the schema up to date and end.
    Migrate,
}

/// Why a process could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The async runtime or a signal handler could not be set up.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),
    /// A directory of the data directory cannot be used.
    #[error("cannot use the data directory {dir}: {source}")]
    DataDir {
        /// The directory.
        dir: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another program listens there, or the address is not ours.
    #[error(
        "cannot listen on {address}: {source}; another port can be chosen with --port or QUIRE_PORT"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The schema or a query.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The workers.
    #[error(transparent)]
    Workers(#[from] WorkerError),
    /// The parser program is missing.
    #[error(transparent)]
    Parser(#[from] ParseError),
}

/// Runs a process until it is told to stop by SIGINT or SIGTERM.
pub fn run(config: Config, role: Role) -> Result<(), ServeError> {
    allow_open_files();
    create_dirs(&config)?;
    // The embedded server is a child process: it starts before this process has threads and memory to fork.
    let database = Database::start(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let outcome = runtime.block_on(async {
        let stop = stop_on_signal().map_err(ServeError::Runtime)?;
        serve(config, role, &database, stop).await
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    database.stop()?;
    outcome
}

async fn serve(
    config: Config,
    role: Role,
    database: &Database,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let store = database.open(&config, role).await?;
    store.migrate().await?;
    if role == Role::Migrate {
        store.close().await;
        return Ok(());
    }
    let server = Server::start(config, role, store).await?;
    server.announce();
    stop.cancelled().await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// The running parts of one process.
pub struct Server {
    config: Arc<Config>,
    store: Store,
    /// Keeps tables and files small.
    housekeeping: Housekeeping,
    /// What answers; the workers follow a change.
    engines: Arc<Engines>,
    workers: Option<Workers>,
    http: Option<connections::Http>,
}

impl Server {
    /// Starts the parts of `role` on a migrated store.
    pub async fn start(config: Config, role: Role, store: Store) -> Result<Self, ServeError> {
        let config = Arc::new(config);
        let files_dir = config.files_dir();
        let files = FileStore::open(&files_dir).map_err(|source| ServeError::DataDir {
            dir: files_dir,
            source,
        })?;
        let listeners = if role == Role::Worker {
            Vec::new()
        } else {
            listen(&config)?
        };
        let housekeeping = Housekeeping::start(&store, &files, config.retention());
        let (engines, models) = engines::start(&config);
        let workers = match role {
            Role::Api | Role::Migrate => None,
            Role::All | Role::Worker => Some(
                Workers::start(
                    store.for_workers(config.worker_connections()),
                    files.clone(),
                    Arc::clone(&engines),
                    worker_config(&config)?,
                )
                .await?,
            ),
        };
        let http = (!listeners.is_empty()).then(|| {
            let state = AppState::new(
                Arc::clone(&config),
                store.clone(),
                files,
                workers.as_ref().map(Workers::status),
                models,
            );
            connections::Http::serve(
                listeners,
                &app::router(state.clone()),
                (state.shutdown.clone(), state.sockets.clone()),
            )
        });
        Ok(Self {
            config,
            store,
            housekeeping,
            engines,
            workers,
            http,
        })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.http
            .as_ref()
            .map(|http| http.addresses().to_vec())
            .unwrap_or_default()
    }

    /// The engines that answer; the workers of this process follow a change.
    pub fn engines(&self) -> &Arc<Engines> {
        &self.engines
    }

    /// Ends every part in order; running jobs finish or go back to the queue.
    pub async fn stop(self) {
        if let Some(http) = &self.http {
            http.refuse_new();
        }
        let grace = self.config.shutdown_grace();
        let workers = async {
            if let Some(workers) = self.workers {
                workers.stop(grace).await;
            }
        };
        let http = async {
            if let Some(http) = self.http {
                http.stop().await;
            }
        };
        tokio::join!(workers, http);
        self.housekeeping.stop().await;
        self.store.close().await;
    }

    fn announce(&self) {
        for address in self.addresses() {
            tracing::info!(%address, "quire serves");
        }
        let Some(address) = self.addresses().first().copied() else {
            return;
        };
        let hint = format!(
            "\n  quire is ready: http://localhost:{port}\n\n  In a browser   http://localhost:{port}/   (API description: /docs)\n  In a terminal  quire ask FILE \"your question\"\n  With curl      curl -F file=@FILE -F prompt=\"your question\" http://localhost:{port}/api/upload\n\n  Ctrl-C stops it; nothing that was accepted is lost.\n",
            port = address.port()
        );
        crate::cli::say(hint);
    }
}

/// Raises the number of files that may be open to what the system allows this process: every socket is one, and the usual limit
/// of 1024 is meant for programs that use `select`.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(MOST_OPEN_FILES, |most| most.min(MOST_OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            ..limit
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files could not be raised");
        }
    }
}

fn create_dirs(config: &Config) -> Result<(), ServeError> {
    for dir in [&config.data_dir, &config.models_dir] {
        std::fs::create_dir_all(dir).map_err(|source| ServeError::DataDir {
            dir: dir.clone(),
            source,
        })?;
    }
    Ok(())
}

fn listen(config: &Config) -> Result<Vec<TcpListener>, ServeError> {
    let mut listeners = Vec::with_capacity(config.bind.len());
    for ip in &config.bind {
        let address = SocketAddr::new(*ip, config.port);
        let listener = connections::bind(address);
        listeners.push(listener.map_err(|source| ServeError::Listen { address, source })?);
    }
    Ok(listeners)
}

fn worker_config(config: &Config) -> Result<WorkerConfig, ServeError> {
    Ok(WorkerConfig {
        extract_slots: config.workers,
        answer_slots: config.workers,
        parse_program: find_program()?,
        ocr_languages: config.ocr_languages.clone(),
        require_sandbox: config.require_sandbox,
        limits: JobLimits {
            deadline: Duration::from_secs(config.job_deadline_seconds),
            progress: Duration::from_secs(config.job_progress_seconds),
            owner_slots: config.owner_slots,
        },
    })
}

/// A token that SIGINT or SIGTERM cancels; the second signal ends the process at once.
fn stop_on_signal() -> Result<CancellationToken, std::io::Error> {
    let token = CancellationToken::new();
    let mut interrupt = tokio::signal::unix::signal(SignalKind::interrupt())?;
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())?;
    let stop = token.clone();
    tokio::spawn(async move {
        for signals in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.cancel();
            if signals == 1 {
                std::process::exit(130);
            }
        }
    });
    Ok(token)
}
