//! Something that the service needs is not to be had for a while: connections to the database, the parser program.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use quire_store::{EmbeddedPostgres, JobState, testing::open_store};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Socket, Upload,
    cluster::{children_of, copy_programs},
    fixtures,
    process::{Process, command_of, free_port, signal},
    proxy::{Fault, FaultProxy},
};

/// The promise is a second; machines that run other tests get some more.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// Only a broken build waits this long.
const DEADLINE: Duration = Duration::from_mins(1);
/// Uploads sent at once: more than the service has connections.
const BURST: usize = 48;

/// The real program on a Postgres of its own, from copies of the programs that a test may take away.
struct Service {
    // Ended first.
    process: Process,
    http: reqwest::Client,
    base: String,
    data: TempDir,
}

impl Service {
    async fn start(data: TempDir, database: &str) -> Self {
        let program = copy_programs(Path::new(env!("CARGO_BIN_EXE_quire")), data.path());
        let port = free_port();
        let mut command = command_of(&program, &data.path().join("data"));
        command
            .args(["--port", &port.to_string(), "serve"])
            .env("DATABASE_URL", database)
            .stderr(File::create(data.path().join("log")).unwrap());
        let process = tokio::task::spawn_blocking(move || Process::start(command, port));
        Self {
            process: process.await.unwrap(),
            http: reqwest::Client::new(),
            base: format!("http://127.0.0.1:{port}"),
            data,
        }
    }

    async fn upload(&self) -> reqwest::Response {
        Upload::new("a.csv", fixtures::csv(), "How many rows?")
            .send_to(&self.http, &self.base)
            .await
    }

    /// Uploads until it is taken, as a client does that honours 503; returns the job's id.
    async fn accepted(&self) -> String {
        let begun = Instant::now();
        loop {
            let response = self.upload().await;
            if response.status() == StatusCode::OK {
                let body: Value = response.json().await.unwrap();
                return body["data"]["job_id"].as_str().unwrap().to_owned();
            }
            assert!(begun.elapsed() < DEADLINE, "{}", response.status());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.base);
        let response = self.http.get(url).send().await.unwrap();
        response.json().await.unwrap()
    }

    async fn completed(&self, id: &str) {
        let job = self.get(&format!("/api/jobs/{id}?wait=60")).await;
        assert_eq!(job["data"]["status"], "completed", "{job}");
    }
}

/// A directory that the user of the database server may enter.
fn directory() -> TempDir {
    let data = TempDir::new().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    data
}

#[tokio::test]
async fn without_a_free_connection_uploads_are_refused_in_time_and_all_moves_again_after() {
    let data = directory();
    let server = EmbeddedPostgres::start(&data.path().join("postgres")).unwrap();
    let proxy = FaultProxy::start(server.url()).await;
    let service = Service::start(data, &proxy.url).await;
    let mut socket = Socket::connect(service.process.address, "/ws").await;
    service.completed(&service.accepted().await).await;

    // Somebody else takes every connection, also those that the service has had.
    let greedy = open_store(server.url(), 1_000).await;
    let mut held = Vec::new();
    for fault in [Fault::None, Fault::Cut] {
        proxy.set(fault);
        while let Ok(connection) = greedy.pool().acquire().await {
            held.push(connection);
        }
    }
    proxy.set(Fault::None);
    let uploads = (0..BURST).map(async |_| {
        let asked = Instant::now();
        (service.upload().await, asked.elapsed())
    });
    for (response, after) in join_all(uploads).await {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        assert!(after < REFUSED_WITHIN, "{after:?}");
    }
    assert_eq!(service.get("/health").await["status"], "healthy");

    let count = held.len();
    held.clear();
    greedy.close().await;
    let back = Instant::now();
    let id = service.accepted().await;
    service.completed(&id).await;
    println!(
        "{count} connections were held; a job was done {:?} after they were free",
        back.elapsed()
    );
    let frames = socket.until_end(&id).await;
    assert!(
        frames.last().unwrap().contains("job_completed"),
        "{frames:?}"
    );
    let store = open_store(server.url(), 2).await;
    let jobs = store.tables().await.unwrap().jobs;
    assert_eq!(jobs.len(), 2, "what was refused has left nothing behind");
    store.close().await;
    assert_eq!(service.process.terminate(), Some(0));
    server.stop().unwrap();
}

#[tokio::test]
async fn a_parser_that_is_missing_for_a_while_costs_a_job_nothing() {
    let data = directory();
    let server = EmbeddedPostgres::start(&data.path().join("postgres")).unwrap();
    let service = Service::start(data, server.url()).await;
    let parser = service.data.path().join("bin/quire-parse");
    let aside = parser.with_extension("aside");
    fs::rename(&parser, &aside).unwrap();
    for pid in children_of(service.process.pid()) {
        signal(pid, "KILL");
    }
    let store = open_store(server.url(), 2).await;
    let put_off = async || {
        let jobs = store.tables().await.unwrap().jobs;
        jobs.iter()
            .any(|job| job.state == JobState::Scheduled.as_str())
    };
    let id = service.accepted().await;
    let begun = Instant::now();
    while !put_off().await {
        assert!(begun.elapsed() < DEADLINE, "the job is not put off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fs::rename(&aside, &parser).unwrap();
    service.completed(&id).await;
    let jobs = store.tables().await.unwrap().jobs;
    assert_eq!((jobs[0].failures, jobs[0].crashes), (0, 0));
    store.close().await;
    assert_eq!(service.process.terminate(), Some(0));
    server.stop().unwrap();
}
