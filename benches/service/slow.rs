//! One client that does not read, beside 100 that do: the latency of every frame at those, with and without it.
//!
//! Rounds with and without alternate, because what else the machine does would otherwise be taken for the difference.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{SinkExt, StreamExt};
use reqwest::multipart::{Form, Part};
use tokio::{net::TcpStream, runtime::Runtime, task::JoinHandle};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::{Figure, Program, one_page, program::data_dir, stats::Sample};

const READERS: usize = 100;
const ROUNDS: usize = 8;
const JOBS: usize = 20;

/// Longest answer to a ping that does not come: by then the way back is full.
const STUCK: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Measures in alternating rounds.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    let data = data_dir();
    let server = Program::serve(data.path(), &["serve"]);
    let (mut without, mut with) = (Sample::default(), Sample::default());
    runtime.block_on(async {
        round(server.port, false).await;
        for _ in 0..ROUNDS {
            round(server.port, false)
                .await
                .into_iter()
                .for_each(|d| without.push(d));
            round(server.port, true)
                .await
                .into_iter()
                .for_each(|d| with.push(d));
        }
    });
    let ratio = with.percentile(0.99).as_secs_f64() / without.percentile(0.99).as_secs_f64();
    vec![Figure {
        what: format!("event to frame at {READERS} sockets, beside one that does not read"),
        goal: "p99 within 1.1 x of that without it",
        measured: format!(
            "{ratio:.2} x: {} against {}",
            with.summary(),
            without.summary()
        ),
    }]
}

async fn round(port: u16, with_slow: bool) -> Vec<Duration> {
    // In both kinds of round, so that they begin alike.
    let slow = stuck(port).await;
    let slow = with_slow.then_some(slow);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(read(greeted(port).await));
    }
    for number in 0..JOBS {
        upload(port, number).await;
    }
    let mut all = Vec::new();
    for reader in readers {
        all.extend(reader.await.unwrap());
    }
    drop(slow);
    all
}

/// A socket whose hello has been dealt with: what is uploaded from now on comes as it happens.
async fn greeted(port: u16) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://127.0.0.1:{port}/ws?v=1"))
        .await
        .unwrap();
    for message in [
        r#"{"type":"hello","topics":["jobs"]}"#,
        r#"{"type":"ping"}"#,
    ] {
        socket.send(Message::text(message)).await.unwrap();
    }
    loop {
        let message = socket.next().await.unwrap().unwrap();
        if message.to_text().is_ok_and(|text| text.contains("pong")) {
            return socket;
        }
    }
}

/// A client whose pongs fill the way back until the server cannot write to it.
async fn stuck(port: u16) -> Socket {
    let mut socket = greeted(port).await;
    let ping = || Message::text(r#"{"type":"ping"}"#);
    loop {
        match tokio::time::timeout(STUCK, socket.send(ping())).await {
            Ok(sent) => sent.unwrap(),
            Err(_) => return socket,
        }
    }
}

/// Reads until all jobs have ended; how old each event was.
fn read(mut socket: Socket) -> JoinHandle<Vec<Duration>> {
    tokio::spawn(async move {
        let (mut ages, mut ended) = (Vec::new(), 0);
        while ended < JOBS {
            let message = socket.next().await.unwrap().unwrap();
            let arrived = now();
            let Message::Text(text) = message else {
                continue;
            };
            let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
            // The state of older jobs says nothing about now.
            if frame["type"] == "resync" || !frame["seq"].is_i64() {
                continue;
            }
            let at = frame["ts"]
                .as_str()
                .unwrap()
                .parse::<DateTime<Utc>>()
                .unwrap();
            ages.push((arrived - at).to_std().unwrap_or_default());
            ended += usize::from(frame["type"] == "job_completed");
        }
        ages
    })
}

async fn upload(port: u16, number: usize) {
    let form = Form::new()
        .part("file", Part::bytes(one_page()).file_name("r.pdf"))
        .text("prompt", format!("Summarise {number}"));
    let url = format!("http://127.0.0.1:{port}/api/upload");
    let reply = reqwest::Client::new()
        .post(url)
        .multipart(form)
        .send()
        .await;
    assert!(reply.unwrap().status().is_success());
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark compares with the clock of the machine"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
