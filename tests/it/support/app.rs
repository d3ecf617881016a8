//! `TestApp`: the whole service in this process, on a fresh database and port.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use quire::{
    config::{Config, Overrides},
    serve::{Role, Server},
};
use quire_models::scripted::Scripted;
use quire_store::{
    Store,
    history::JobLine,
    testing::{TestDb, open_store},
};
use tempfile::TempDir;

/// Connections of a service under test.
const CONNECTIONS: u32 = 10;

/// A running service. Call [`TestApp::stop`] at the end: it ends the service the way SIGTERM does.
pub struct TestApp {
    /// Base URL without a slash at the end.
    pub base: String,
    /// Address of the port.
    pub address: SocketAddr,
    /// Plain HTTP client.
    pub http: reqwest::Client,
    /// Another connection to the database, for looking from outside.
    pub store: Store,
    /// Data directory of the service.
    pub data: TempDir,
    server: Option<Server>,
    /// Dropped last: the database goes with it.
    pub db: TestDb,
}

/// Settings of a test that differ from the defaults.
#[derive(Clone, Debug)]
pub struct TestOptions {
    /// Parts that run.
    pub role: Role,
    /// Upload limit in bytes.
    pub max_upload_bytes: u64,
    /// Files in one request of a batch.
    pub max_batch_files: usize,
    /// Waiting jobs above which uploads are refused.
    pub max_waiting_jobs: u64,
    /// Database URL in place of the direct one, such as a fault proxy's.
    pub database_url: Option<String>,
    /// Directory with models; `None` leaves the service without any.
    pub models_dir: Option<PathBuf>,
    /// Parallel jobs of each stage.
    pub workers: usize,
    /// What answers in place of the real engine.
    pub engine: Option<Scripted>,
    /// Changes further settings.
    pub tweak: fn(&mut Config),
}

impl Default for TestOptions {
    fn default() -> Self {
        Self {
            role: Role::All,
            max_upload_bytes: 50 << 20,
            max_batch_files: 10_000,
            max_waiting_jobs: 200_000,
            database_url: None,
            models_dir: None,
            workers: 2,
            engine: None,
            tweak: |_| {},
        }
    }
}

impl TestApp {
    /// Starts API and workers, without a model: answers are found by words.
    pub async fn start() -> Self {
        Self::with(TestOptions::default()).await
    }

    /// Starts the API alone: jobs stay queued.
    pub async fn api_only() -> Self {
        Self::with(TestOptions {
            role: Role::Api,
            ..TestOptions::default()
        })
        .await
    }

    /// Starts with `options` on a fresh database.
    pub async fn with(options: TestOptions) -> Self {
        let db = TestDb::new().await;
        Self::on(db, options).await
    }

    /// Starts on an existing database.
    pub async fn on(db: TestDb, options: TestOptions) -> Self {
        let data = TempDir::new().unwrap();
        let config = config(&data, &options);
        // QUIRE_LOG=debug shows what the service does in a test.
        if std::env::var_os("QUIRE_LOG").is_some() {
            quire::telemetry::init(&config);
        }
        let url = options
            .database_url
            .clone()
            .unwrap_or_else(|| db.url().to_owned());
        let store = open_store(&url, CONNECTIONS).await;
        let server = Server::start(config, options.role, store).await.unwrap();
        if let Some(script) = options.engine {
            server.engines().replace(Arc::new(script));
        }
        let address = server
            .addresses()
            .first()
            .copied()
            .unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let outside = open_store(db.url(), CONNECTIONS).await;
        Self {
            base: format!("http://{address}"),
            address,
            http: reqwest::Client::new(),
            store: outside,
            data,
            server: Some(server),
            db,
        }
    }

    /// Starts a further process' worth of service on the same database and files.
    pub async fn second(&self, role: Role) -> Server {
        let config = config(
            &self.data,
            &TestOptions {
                role,
                ..TestOptions::default()
            },
        );
        Server::start(config, role, open_store(self.db.url(), CONNECTIONS).await)
            .await
            .unwrap()
    }

    /// Later jobs are answered by this.
    pub fn replace_engine(&self, engine: Scripted) {
        if let Some(server) = &self.server {
            server.engines().replace(Arc::new(engine));
        }
    }

    /// The row of a job.
    pub async fn line(&self, id: &str) -> JobLine {
        let tables = self.store.tables().await.unwrap();
        let line = tables.jobs.into_iter().find(|job| job.id.to_string() == id);
        line.unwrap_or_else(|| panic!("no job {id}"))
    }

    /// Ends the service as SIGTERM does.
    pub async fn stop(mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        self.store.close().await;
    }

    /// Files in the file store, temporary ones included.
    pub fn stored_files(&self) -> Vec<PathBuf> {
        let mut files = walk(&self.data.path().join("files"));
        // Which database the files belong to is noted beside them.
        files.retain(|path| !path.ends_with("database"));
        files
    }
}

fn config(data: &TempDir, options: &TestOptions) -> Config {
    let mut config = Config::load(
        None,
        &Overrides {
            data_dir: Some(data.path().to_owned()),
            ..Overrides::default()
        },
    )
    .unwrap();
    config.port = 0;
    config.max_upload_bytes = options.max_upload_bytes;
    config.max_batch_files = options.max_batch_files;
    config.max_waiting_jobs = options.max_waiting_jobs;
    config.workers = options.workers;
    (options.tweak)(&mut config);
    config.shutdown_seconds = 5;
    config.models_dir = options
        .models_dir
        .clone()
        .unwrap_or_else(|| data.path().join("models"));
    config
}

fn walk(dir: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    entries
        .flatten()
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}
