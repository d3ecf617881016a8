//! The accept path: 4 KB uploads from 16 clients, each waiting for its reply before the next.

use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use tokio::runtime::Runtime;

use crate::{Figure, Program, program::data_dir, stats::Sample};

const CLIENTS: usize = 16;
const UPLOADS_EACH: usize = 100;
const FILE_BYTES: usize = 4 << 10;

/// Measures with the API alone, and with workers that compete for the same cores.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    [
        ("API alone", &["serve", "--no-workers"][..]),
        ("workers running beside", &["serve"][..]),
    ]
    .into_iter()
    .map(|(name, args)| {
        let data = data_dir();
        let server = Program::serve(data.path(), args);
        runtime.block_on(load(&server.base(), 5));
        let started = Instant::now();
        let sample = runtime.block_on(load(&server.base(), UPLOADS_EACH));
        let rate = sample.len() as f64 / started.elapsed().as_secs_f64();
        Figure {
            what: format!("accept of a 4 KB upload, 16 clients, {name}"),
            goal: "p99 under 25 ms, at least 300/s",
            measured: format!("{rate:.0}/s, {}", sample.summary()),
        }
    })
    .collect()
}

async fn load(base: &str, each: usize) -> Sample {
    let clients =
        (0..CLIENTS).map(|client| tokio::spawn(client_loop(base.to_owned(), client, each)));
    let mut all = Sample::default();
    for durations in futures_util::future::join_all(clients).await {
        durations.unwrap().into_iter().for_each(|d| all.push(d));
    }
    all
}

async fn client_loop(base: String, client: usize, each: usize) -> Vec<Duration> {
    let http = reqwest::Client::new();
    let mut durations = Vec::with_capacity(each);
    for number in 0..each {
        let form = Form::new()
            .part(
                "file",
                Part::bytes(table(client, number)).file_name("table.csv"),
            )
            .text("prompt", "How many rows are there?");
        let started = Instant::now();
        let reply = http
            .post(format!("{base}/api/upload"))
            .multipart(form)
            .send()
            .await
            .unwrap();
        assert!(reply.status().is_success(), "{}", reply.status());
        reply.bytes().await.unwrap();
        durations.push(started.elapsed());
    }
    durations
}

/// A CSV that no other upload has, so that every one is written and synced.
fn table(client: usize, number: usize) -> Vec<u8> {
    let mut text = format!("client,number\n{client},{number}\n");
    while text.len() < FILE_BYTES {
        text.push_str("1,2\n");
    }
    text.into_bytes()
}
