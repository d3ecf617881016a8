//! The wire while real processes die and stop: what clients see of a kill -9 and of SIGTERM, what never reaches a log, and
//! `quire ask` in the hands of a shell.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Socket, Upload,
    client::PATIENCE,
    fixtures,
    process::{Process, command, free_port, signal},
    raw::{Raw, form, sized},
    socket::Received,
};

/// A directory that the user of the embedded Postgres can reach.
fn data_dir() -> TempDir {
    let data = TempDir::new().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(data.path(), mode).unwrap();
    data
}

/// `quire worker` beside a server; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(data: &Path) -> Self {
        let mut worker = command(data);
        worker.arg("worker").stdout(Stdio::null());
        Self(worker.spawn().unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Already gone after `kill`.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn api_only(data: &Path, port: u16) -> Process {
    let mut serve = command(data);
    serve.args(["--port", &port.to_string(), "serve", "--no-workers"]);
    Process::start(serve, port)
}

async fn upload(port: u16, name: &str, bytes: Vec<u8>, prompt: &str) -> String {
    let http = reqwest::Client::new();
    let upload = Upload::new(name, bytes, prompt);
    let reply = upload
        .send_to(&http, &format!("http://127.0.0.1:{port}"))
        .await;
    let body: Value = reply.json().await.unwrap();
    let id = body["data"]["job_id"].as_str();
    id.unwrap_or_else(|| panic!("{body}")).to_owned()
}

async fn get(port: u16, path: &str) -> Value {
    let reply = reqwest::get(format!("http://127.0.0.1:{port}{path}")).await;
    reply.unwrap().json().await.unwrap()
}

async fn ended(port: u16, id: &str) -> Value {
    loop {
        let job = get(port, &format!("/api/jobs/{id}?wait=30")).await["data"].clone();
        if matches!(
            job["status"].as_str(),
            Some("completed" | "failed" | "cancelled")
        ) {
            return job;
        }
    }
}

/// The state of a client of the upload contract: it keeps what the last frame of each job said.
#[derive(Default)]
struct Page {
    texts: HashMap<String, String>,
    ends: HashMap<String, Value>,
}

impl Page {
    fn hear(&mut self, frame: &Value) {
        let job = frame["job_id"].as_str().unwrap().to_owned();
        match frame["type"].as_str().unwrap() {
            "ai_chunk" => {
                let partial = frame["partial"].as_str().unwrap().to_owned();
                self.texts.insert(job, partial);
            }
            "job_completed" => {
                self.ends.insert(job, frame["ai_response"].clone());
            }
            "job_failed" => panic!("{frame}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_page_whose_server_is_killed_in_the_middle_ends_with_every_answer() {
    let (data, port) = (data_dir(), free_port());
    let server = Process::serve(data.path(), port);
    let mut socket = Socket::connect(server.address, "/ws").await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(upload(port, "r.pdf", fixtures::two_pages(), "Summarise").await);
    }
    let mut page = Page::default();
    while page.texts.is_empty() {
        page.hear(&socket.json().await);
    }
    server.kill();
    while let Some(Received::Frame(text)) = socket.next_within(PATIENCE).await {
        page.hear(&serde_json::from_str(&text).unwrap());
    }
    let server = Process::serve(data.path(), port);
    let mut socket = Socket::connect(server.address, "/ws").await;
    while ids.iter().any(|id| !page.ends.contains_key(id)) {
        page.hear(&socket.json().await);
    }
    for id in &ids {
        let job = ended(port, id).await;
        assert_eq!(
            (&job["status"], &job["ai_response"]),
            (&json!("completed"), &page.ends[id])
        );
    }
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn a_client_is_told_that_its_killed_job_starts_again() {
    let (data, port) = (data_dir(), free_port());
    let server = api_only(data.path(), port);
    let mut socket = Socket::connect_v1(server.address).await;
    socket
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let worker = Worker::start(data.path());
    let slow = upload(port, "slow.pdf", fixtures::form_bomb(), "Summarise").await;
    let mut heard = async |kind: &str| loop {
        let frame = socket.json().await;
        if frame["type"] == kind && frame["job_id"] == slow.as_str() {
            return frame;
        }
    };
    let before = heard("job_update").await;
    worker.kill();
    let next = Worker::start(data.path());
    let restarted = heard("restarted").await;
    assert!(restarted["seq"].as_i64() > before["seq"].as_i64());
    let after = heard("job_update").await;
    assert!(after["seq"].as_i64() > restarted["seq"].as_i64());
    let http = reqwest::Client::new();
    let cancel = http.post(format!("http://127.0.0.1:{port}/api/jobs/{slow}/cancel"));
    assert_eq!(cancel.send().await.unwrap().status(), 200);
    let end = heard("job_failed").await;
    assert_eq!(end["code"], "cancelled");
    drop(next);
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn an_answer_whose_worker_dies_is_the_whole_text_of_one_attempt() {
    let (data, port) = (data_dir(), free_port());
    let server = api_only(data.path(), port);
    let mut socket = Socket::connect_v1(server.address).await;
    socket
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let worker = Worker::start(data.path());
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(upload(port, "r.pdf", fixtures::two_pages(), "Summarise").await);
    }
    let (mut worker, mut next) = (Some(worker), None);
    let (mut texts, mut ends) = (HashMap::<String, String>::new(), HashMap::new());
    while ends.len() < ids.len() {
        let frame = socket.json().await;
        let job = frame["job_id"].as_str().unwrap_or_default().to_owned();
        let text = texts.entry(job.clone()).or_default();
        match frame["type"].as_str().unwrap() {
            "restarted" => text.clear(),
            "ai_chunk" => {
                assert_eq!(frame["offset"], text.len(), "{frame}");
                text.push_str(frame["chunk"].as_str().unwrap());
                if let Some(worker) = worker.take() {
                    worker.kill();
                    next = Some(Worker::start(data.path()));
                }
            }
            "job_completed" => {
                assert_eq!(frame["ai_response"], *text, "{job}");
                assert!(
                    ends.insert(job, frame["ai_response"].clone()).is_none(),
                    "two ends"
                );
            }
            "job_failed" => panic!("{frame}"),
            _ => {}
        }
    }
    for id in &ids {
        assert_eq!(ended(port, id).await["ai_response"], ends[id]);
    }
    drop(next);
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn every_socket_is_told_that_the_server_restarts() {
    let (data, port) = (data_dir(), free_port());
    let server = Process::serve(data.path(), port);
    let mut sockets = Vec::new();
    for number in 0..50 {
        if number % 2 == 0 {
            sockets.push(Socket::connect(server.address, "/ws").await);
        } else {
            let mut socket = Socket::connect_v1(server.address).await;
            socket
                .send(&json!({"type": "hello", "topics": ["jobs"]}))
                .await;
            sockets.push(socket);
        }
    }
    let stopping = tokio::task::spawn_blocking(|| server.terminate());
    for (number, socket) in sockets.iter_mut().enumerate() {
        loop {
            match socket.next().await {
                Received::Frame(_) => {}
                Received::Closed(Some(code)) if u16::from(code) == 1012 => break,
                Received::Closed(other) => panic!("socket {number}: {other:?}"),
            }
        }
    }
    assert_eq!(stopping.await.unwrap(), Some(0));
}

/// Files in the store of a data directory, also unfinished ones.
fn stored(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                stored(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn an_upload_under_way_at_sigterm_is_a_job_or_nothing() {
    let (data, port) = (data_dir(), free_port());
    let server = Process::serve(data.path(), port);
    let address = server.address;
    let body = form("t.csv", &fixtures::csv(), "How many rows?");
    let half = body.len() / 2;
    let begin = async |key: &str| {
        let mut raw = Raw::connect(address).await;
        let key = format!("Idempotency-Key: {key}\r\nExpect: 100-continue\r\n");
        raw.write(sized(body.len(), &key)).await;
        assert_eq!(
            raw.reply().await.unwrap().status,
            100,
            "the server reads the body"
        );
        raw.write(&body[..half]).await;
        raw
    };
    let (mut honest, mut stalled) = (begin("honest").await, begin("stalled").await);
    signal(server.pid(), "TERM");
    honest.write(&body[half..]).await;
    let reply = honest.reply().await;
    let status = reply.as_ref().map(|reply| reply.status);
    assert!(matches!(status, Some(200 | 503)), "{reply:?}");
    let stopped = tokio::task::spawn_blocking(move || server.wait());
    let stopped = tokio::time::timeout(Duration::from_secs(30), stopped).await;
    assert_eq!(
        stopped
            .expect("it does not wait for the stalled one")
            .unwrap(),
        Some(0)
    );
    stalled.rest().await;
    let accepted = usize::from(status == Some(200));
    assert_eq!(stored(&data.path().join("files")).len(), accepted);
    let server = Process::serve(data.path(), port);
    for key in ["honest", "stalled"] {
        let mut raw = Raw::connect(server.address).await;
        raw.write(sized(body.len(), &format!("Idempotency-Key: {key}\r\n")))
            .await;
        raw.write(&body).await;
        assert_eq!(raw.reply().await.unwrap().status, 200);
    }
    let jobs = get(port, "/api/jobs").await["data"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(jobs.len(), 2, "{jobs:?}");
    for job in &jobs {
        let id = job["job_id"].as_str().unwrap();
        assert_eq!(ended(port, id).await["status"], "completed");
    }
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn no_log_holds_what_users_say() {
    const CANARIES: [&str; 5] = [
        "canary-in-cell",
        "canary-in-prompt",
        "canary-in-name",
        "canary-in-key",
        "canary-in-query",
    ];
    let (data, port) = (data_dir(), free_port());
    let log = data.path().join("log");
    let mut serve = command(data.path());
    serve
        .args(["--port", &port.to_string(), "serve"])
        .env(
            "QUIRE_LOG",
            "debug,sqlx=debug,apalis=debug,hyper=debug,tower=debug",
        )
        .stderr(std::fs::File::create(&log).unwrap());
    let server = Process::start(serve, port);
    let base = format!("http://127.0.0.1:{port}");
    let http = reqwest::Client::new();
    let mut socket = Socket::connect_v1(server.address).await;
    socket
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let table = format!("place,remark\nweir,{}\nmill,none\n", CANARIES[0]);
    let prompt = format!("What is the remark of {}?", CANARIES[1]);
    let name = format!("{}.csv", CANARIES[2]);
    let send = || Upload::new(&name, table.clone(), &prompt).idempotency_key(CANARIES[3]);
    let body: Value = send().send_to(&http, &base).await.json().await.unwrap();
    let id = body["data"]["job_id"].as_str().unwrap().to_owned();
    assert_eq!(ended(port, &id).await["status"], "completed");
    send().send_to(&http, &base).await;
    // A body that cannot be read, a damaged file, a search, garbage on the socket: errors must not quote either.
    let damaged = format!("%PDF-1.4\n{}", CANARIES[0]);
    let damaged = upload(
        port,
        &format!("{}.pdf", CANARIES[2]),
        damaged.into(),
        CANARIES[1],
    )
    .await;
    ended(port, &damaged).await;
    let bad = Upload::new(&name, table.clone(), &prompt).text("priority", CANARIES[1]);
    assert_eq!(bad.send_to(&http, &base).await.status(), 422);
    for path in [
        "/api/jobs?q=",
        "/api/jobs?cursor=",
        "/api/jobs?status=",
        "/nowhere/",
        "/api/jobs/",
    ] {
        reqwest::get(format!("{base}{path}{}", CANARIES[4]))
            .await
            .unwrap();
    }
    socket
        .send(&json!({"type": "dance", "with": CANARIES[1]}))
        .await;
    socket
        .send(&json!({"type": "hello", "topics": [CANARIES[1]]}))
        .await;
    get(port, &format!("/api/jobs/{id}/result")).await;
    assert_eq!(server.terminate(), Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(
        log.contains("DEBUG") && log.contains("request answered"),
        "{log}"
    );
    for canary in CANARIES {
        let found: Vec<&str> = log.lines().filter(|line| line.contains(canary)).collect();
        assert!(found.is_empty(), "{canary}: {found:#?}");
    }
}

/// `quire ask` with a file of its own.
fn ask(data: &Path, port: u16, number: usize) -> Command {
    let file = data.join(format!("report-{number}.pdf"));
    std::fs::write(&file, fixtures::pdf()).unwrap();
    let mut ask = command(data);
    ask.args(["--port", &port.to_string(), "ask"])
        .arg(file)
        .arg(fixtures::PDF_QUESTION);
    ask.stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    ask
}

#[tokio::test]
async fn an_answer_that_nobody_reads_to_its_end_is_no_error() {
    let (data, port) = (data_dir(), free_port());
    let server = Process::serve(data.path(), port);
    let mut ask = ask(data.path(), port, 0).spawn().unwrap();
    let outcome = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        // `| head -1`: one line, then the pipe is closed.
        BufReader::new(ask.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut errors = String::new();
        ask.stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        (line, errors, ask.wait().unwrap().code())
    });
    let (line, errors, code) = outcome.await.unwrap();
    assert!(line.contains(fixtures::PDF_ANSWER), "{line}");
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    assert_eq!(server.terminate(), Some(0));
}

#[tokio::test]
async fn two_questions_at_once_without_a_server_are_both_answered() {
    let (data, port) = (data_dir(), free_port());
    let asking = (0..2).map(|number| {
        let ask = ask(data.path(), port, number).spawn().unwrap();
        tokio::task::spawn_blocking(move || ask.wait_with_output().unwrap())
    });
    for outcome in futures_util::future::join_all(asking).await {
        let output = outcome.unwrap();
        let (text, errors) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert!(text.contains(fixtures::PDF_ANSWER), "{text} {errors}");
    }
}
