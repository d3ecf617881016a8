//! Overload, open loop: uploads come at 150 % of what the server can take, whether it answers or not.
//!
//! Capacity is measured first, closed loop. Then nobody waits for anybody, so a server that slows down meets ever more
//! requests: it must refuse what is too much, at once and politely, and go on doing the rest. The requests are written by
//! hand, because a client library on the same cores would take more of them than the server.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
    sync::Mutex,
    task::JoinSet,
    time::MissedTickBehavior,
};

use crate::{
    Figure, Program,
    program::{command, data_dir, free_port},
    stats::Sample,
};

/// Clients of the closed loop.
const CLIENTS: usize = 32;

/// Length of each of the two loads.
const LOAD: Duration = Duration::from_secs(12);

/// Load in the open loop, as a share of the capacity.
const OVERLOAD: f64 = 1.5;

/// Requests are sent in bursts of this distance; a timer for each would measure the timer.
const BEAT: Duration = Duration::from_millis(10);

/// What became of the requests of one load.
#[derive(Default)]
struct Outcome {
    sent: usize,
    accepted: Sample,
    refused: usize,
    /// Neither accepted nor refused as agreed: by what.
    wrong: BTreeMap<String, usize>,
}

/// Measures the accept path alone, then the whole service with a queue that may be 200 long.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    vec![
        overload(
            runtime,
            "uploads accepted, API alone",
            &["serve", "--no-workers"],
            None,
        ),
        overload(
            runtime,
            "jobs completed, queue of 200",
            &["serve"],
            Some("200"),
        ),
    ]
}

fn overload(runtime: &Runtime, what: &str, args: &[&str], queue: Option<&str>) -> Figure {
    let data = data_dir();
    let port = free_port();
    let mut serve = command(data.path(), port);
    serve.args(args);
    if let Some(queue) = queue {
        serve.env("QUIRE_MAX_WAITING_JOBS", queue);
    }
    let server = Program::start(serve, port);
    let base: Arc<str> = server.base().into();
    runtime.block_on(async {
        let counts = queue.is_some();
        let capacity = rate(&base, counts, closed(&base, counts)).await;
        if counts {
            drained(&base).await;
        }
        // What is sent is measured against what can be accepted, which for the whole service is what can be completed.
        let (goodput, outcome) = rate(&base, counts, open(&base, capacity.0 * OVERLOAD)).await;
        let share = 100.0 * goodput / capacity.0;
        let Outcome { sent, accepted, refused, wrong } = outcome;
        Figure {
            what: format!("overload, open loop at 150 %: {what}"),
            goal: "goodput at least 90 % of capacity, only 429 and 503 with Retry-After",
            measured: format!(
                "{share:.0} % ({goodput:.0}/s of {:.0}/s); {sent} sent, {refused} refused, accepted {}; otherwise {wrong:?}",
                capacity.0,
                accepted.summary()
            ),
        }
    })
}

/// How much came out per second while the load ran: completed jobs, or accepted uploads.
async fn rate(base: &str, completed: bool, load: impl Future<Output = Outcome>) -> (f64, Outcome) {
    let (before, started) = (finished(base).await, Instant::now());
    let outcome = load.await;
    let seconds = started.elapsed().as_secs_f64();
    let done = if completed {
        finished(base).await - before
    } else {
        outcome.accepted.len() as f64
    };
    (done / seconds, outcome)
}

async fn finished(base: &str) -> f64 {
    jobs(base, "completed").await
}

/// How many jobs have one of these statuses; the list counts no further than 10,000.
async fn jobs(base: &str, status: &str) -> f64 {
    let url = format!("{base}/api/jobs?limit=1&status={status}");
    let body: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let count = body["page"]["total_estimate"].as_f64().unwrap();
    assert!(
        count < 10_000.0,
        "too many jobs to be counted: shorten the load"
    );
    count
}

/// Waits until nothing waits or runs.
async fn drained(base: &str) {
    while jobs(base, "pending,processing").await > 0.0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// As many clients as are useful, each waiting for its reply, or for the end of its job, before the next upload.
async fn closed(base: &Arc<str>, to_the_end: bool) -> Outcome {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let mut clients = JoinSet::new();
    let until = Instant::now() + LOAD;
    for client in 0..CLIENTS {
        let (base, outcome) = (Arc::clone(base), Arc::clone(&outcome));
        clients.spawn(async move {
            let mut number = 0;
            while Instant::now() < until {
                number += 1;
                let job = send(&base, client * 1_000_000 + number, &outcome).await;
                if let (Some(job), true) = (job, to_the_end) {
                    let reply = reqwest::get(format!("{base}{job}?wait=30")).await;
                    reply.unwrap().bytes().await.unwrap();
                }
            }
        });
    }
    clients.join_all().await;
    Arc::into_inner(outcome).unwrap().into_inner()
}

/// So many uploads a second, whatever becomes of them.
async fn open(base: &Arc<str>, per_second: f64) -> Outcome {
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let mut requests = JoinSet::new();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (started, mut sent) = (Instant::now(), 0);
    while started.elapsed() < LOAD {
        beat.tick().await;
        let due = (started.elapsed().as_secs_f64() * per_second) as usize;
        while sent < due {
            sent += 1;
            let (base, outcome) = (Arc::clone(base), Arc::clone(&outcome));
            requests.spawn(async move {
                send(&base, 500_000_000 + sent, &outcome).await;
            });
        }
        while requests.try_join_next().is_some() {}
    }
    requests.join_all().await;
    Arc::into_inner(outcome).unwrap().into_inner()
}

/// Sends one upload; the job's path if it was accepted.
async fn send(base: &str, number: usize, outcome: &Mutex<Outcome>) -> Option<String> {
    let started = Instant::now();
    let reply = exchange(base, number).await;
    let elapsed = started.elapsed();
    let mut outcome = outcome.lock().await;
    outcome.sent += 1;
    let what = match reply {
        Ok(reply) => {
            let header = |name: &str| reply.lines().find_map(|line| line.strip_prefix(name));
            let status = reply.split(' ').nth(1).unwrap_or_default();
            if status == "200" {
                outcome.accepted.push(elapsed);
                return header("location: ").map(str::to_owned);
            }
            if matches!(status, "429" | "503") && header("retry-after: ").is_some() {
                outcome.refused += 1;
                return None;
            }
            status.to_owned()
        }
        Err(error) => error.to_string(),
    };
    *outcome.wrong.entry(what).or_default() += 1;
    None
}

/// One upload on a connection of its own; the whole reply.
async fn exchange(base: &str, number: usize) -> std::io::Result<String> {
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nHow many rows?\r\n\
         --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.csv\"\r\n\r\n\
         number,half\n{number},{}\n\r\n--B--\r\n",
        number / 2
    );
    let request = format!(
        "POST /api/upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}
