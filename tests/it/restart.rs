//! Processes that are told to stop while they work: nothing is lost, nothing is spent, and what was accepted is done.

use std::{
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use quire_store::testing::TestDb;
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    Socket, TestApp, Upload, fixtures,
    process::{Process, command, free_port, signal},
};

/// A process has finished or handed back what it works on by then, 10 s by default, and ended soon after.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);

fn serve(data: &TempDir, db: &TestDb, port: u16, engine: &str) -> Process {
    let mut command = command(data.path());
    command
        .args(["--port", &port.to_string(), "serve"])
        .env("DATABASE_URL", db.url())
        .env("QUIRE_TEST_ENGINE", engine);
    Process::start(command, port)
}

fn question() -> Upload {
    Upload::new("a.csv", fixtures::csv(), "How many rows?")
}

async fn stop(process: Process) -> Duration {
    let asked = Instant::now();
    let code = tokio::task::spawn_blocking(|| process.terminate())
        .await
        .unwrap();
    assert_eq!(code, Some(0));
    assert!(asked.elapsed() < STOPPED_WITHIN, "{:?}", asked.elapsed());
    asked.elapsed()
}

#[tokio::test]
async fn a_job_that_cannot_finish_in_time_goes_back_and_has_lost_nothing() {
    let (db, data, port) = (TestDb::new().await, TempDir::new().unwrap(), free_port());
    let store = db.store().await;
    let server = serve(&data, &db, port, "speak 1000 100");
    let mut socket = Socket::connect(server.address, "/ws").await;
    let http = reqwest::Client::new();
    let base = format!("http://127.0.0.1:{port}");
    let body: Value = question().send_to(&http, &base).await.json().await.unwrap();
    let id = body["data"]["job_id"].as_str().unwrap();
    while socket.json().await["type"] != "ai_chunk" {}
    println!("stopped after {:?}", stop(server).await);
    let line = store.tables().await.unwrap().jobs.remove(0);
    assert_eq!((line.state.as_str(), line.attempt), ("queued", 0));
    assert_eq!((line.failures, line.crashes), (0, 0));
    let server = serve(&data, &db, port, "speak 3 0");
    let job: Value = reqwest::get(format!("{base}/api/jobs/{id}?wait=30"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(job["data"]["status"], "completed", "{job}");
    stop(server).await;
}

/// Uploads to whichever of two servers takes it, as clients do behind a balancer, until told to stop.
struct Clients {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<Vec<String>>>,
}

impl Clients {
    fn start(ports: [u16; 2], count: usize) -> Self {
        let (stop, accepted) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let tasks = (0..count).map(|number| {
            let (stop, accepted) = (Arc::clone(&stop), Arc::clone(&accepted));
            tokio::spawn(async move {
                let (http, mut ids) = (reqwest::Client::new(), Vec::new());
                for turn in number.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let base = format!("http://127.0.0.1:{}", ports[turn % 2]);
                    // Nobody there, or a server that stops: the next turn asks the other one.
                    if let Ok((status, body)) = question().try_send_to(&http, &base).await
                        && status == StatusCode::OK
                    {
                        ids.push(body["data"]["job_id"].as_str().unwrap().to_owned());
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                ids
            })
        });
        Self {
            tasks: tasks.collect(),
            stop,
            accepted,
        }
    }

    /// Waits until so many more have been accepted.
    async fn accept(&self, more: usize) {
        let wanted = self.accepted.load(Ordering::Relaxed) + more;
        while self.accepted.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn finish(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut ids = Vec::new();
        for task in self.tasks {
            ids.extend(task.await.unwrap());
        }
        ids
    }
}

#[tokio::test]
async fn a_rolling_restart_under_load_loses_nothing() {
    let (db, data) = (TestDb::new().await, TempDir::new().unwrap());
    let (store, ports) = (db.store().await, [free_port(), free_port()]);
    let script = "speak 4 50";
    let mut servers = ports.map(|port| Some(serve(&data, &db, port, script)));
    let clients = Clients::start(ports, 4);
    clients.accept(10).await;
    for _ in 0..2 {
        for (server, port) in servers.iter_mut().zip(ports) {
            println!("stopped after {:?}", stop(server.take().unwrap()).await);
            clients.accept(5).await;
            *server = Some(serve(&data, &db, port, script));
            clients.accept(5).await;
        }
    }
    let ids = clients.finish().await;
    println!("{} uploads were accepted", ids.len());
    let done = Instant::now();
    while store.unfinished().await.unwrap() > 0 {
        assert!(done.elapsed() < Duration::from_mins(2), "jobs are stuck");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let jobs = store.tables().await.unwrap().jobs;
    assert!(jobs.len() >= ids.len());
    for id in &ids {
        assert!(
            jobs.iter().any(|job| job.id.to_string() == *id),
            "{id} is lost"
        );
    }
    for job in &jobs {
        assert_eq!(job.state, "completed", "{job:?}");
        assert_eq!((job.failures, job.crashes), (0, 0), "{job:?}");
    }
    for server in servers.into_iter().flatten() {
        stop(server).await;
    }
}

/// A `quire worker` process; killed when dropped.
struct Worker(Child);

impl Worker {
    async fn start(app: &TestApp, engine: &str) -> Self {
        let before = app.store.queue_snapshot().await.unwrap().workers.len();
        let mut worker: Command = command(app.data.path());
        worker
            .arg("worker")
            .env("DATABASE_URL", app.db.url())
            .env("QUIRE_TEST_ENGINE", engine)
            .stdout(Stdio::null());
        let worker = Self(worker.spawn().unwrap());
        while app.store.queue_snapshot().await.unwrap().workers.len() <= before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        worker
    }

    fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Already gone when it was killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Rounds of a test that measures; `ROUNDS=30` for figures worth quoting.
fn rounds() -> usize {
    std::env::var("ROUNDS").map_or(3, |rounds| rounds.parse().unwrap())
}

/// From `signal` to one of two workers until the other begins its job again: one figure for each round.
async fn recoveries(name: &str) -> Vec<Duration> {
    let app = TestApp::api_only().await;
    let mut heard = app.store.events().subscribe();
    let mut busy = Worker::start(&app, "speak 10000 20").await;
    let mut figures = Vec::new();
    for _ in 0..rounds() {
        let id = question().accepted(&app).await;
        let mut until = async |kind: &str| loop {
            let record = heard.recv().await.unwrap();
            if record.job_id.to_string() == id && record.event.kind() == kind {
                return;
            }
        };
        until("chunk").await;
        let next = Worker::start(&app, "speak 10000 20").await;
        // Longer than it takes to see the new one, so that looks come at their usual pace.
        tokio::time::sleep(Duration::from_millis(600)).await;
        busy.signal(name);
        let killed = Instant::now();
        until("restarted").await;
        figures.push(killed.elapsed());
        busy = next;
        app.post(&format!("/api/jobs/{id}/cancel")).await;
    }
    drop(busy);
    app.stop().await;
    figures.sort();
    let (median, last) = (figures[figures.len() / 2], figures[figures.len() - 1]);
    println!(
        "{name}: {} rounds, median {median:?}, longest {last:?}",
        figures.len()
    );
    figures
}

#[tokio::test]
async fn the_job_of_a_killed_worker_is_taken_up_at_once() {
    let longest = *recoveries("KILL").await.last().unwrap();
    // The promise is 1 s; this machine runs other tests.
    assert!(longest < Duration::from_secs(3), "{longest:?}");
}

#[tokio::test]
async fn the_job_of_a_frozen_worker_is_taken_up_within_seconds() {
    let longest = *recoveries("STOP").await.last().unwrap();
    // The promise is 5 s.
    assert!(longest < Duration::from_secs(8), "{longest:?}");
}
