//! The event path: from the moment a worker gives an event its time to the frame on a socket.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{SinkExt, StreamExt};
use reqwest::multipart::{Form, Part};
use tokio::runtime::Runtime;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{Figure, Program, one_page, program::data_dir, stats::Sample};

const JOBS: usize = 40;

/// Measures worker and socket in one process, then in two.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    let data = data_dir();
    let same = {
        let server = Program::serve(data.path(), &["serve"]);
        runtime.block_on(latencies(server.port))
    };
    let other = {
        let server = Program::serve(data.path(), &["serve", "--no-workers"]);
        let _worker = Program::worker(data.path());
        runtime.block_on(latencies(server.port))
    };
    vec![
        Figure {
            what: "event to frame, same process".into(),
            goal: "p99 5 ms",
            measured: same.summary(),
        },
        Figure {
            what: "event to frame, another process".into(),
            goal: "p99 60 ms",
            measured: other.summary(),
        },
    ]
}

async fn latencies(port: u16) -> Sample {
    let mut request = format!("ws://127.0.0.1:{port}/ws")
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("Sec-WebSocket-Protocol", "quire.v1".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    socket
        .send(Message::text(r#"{"type":"hello","topics":["jobs"]}"#))
        .await
        .unwrap();
    let mut sample = Sample::default();
    for number in 0..JOBS {
        let form = Form::new()
            .part("file", Part::bytes(one_page()).file_name("r.pdf"))
            .text("prompt", format!("Summarise {number}"));
        let url = format!("http://127.0.0.1:{port}/api/upload");
        reqwest::Client::new()
            .post(url)
            .multipart(form)
            .send()
            .await
            .unwrap();
        while let Some(Ok(message)) = socket.next().await {
            let arrived = now();
            let Message::Text(text) = message else {
                continue;
            };
            let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
            if let Some(at) = frame["ts"]
                .as_str()
                .and_then(|ts| ts.parse::<DateTime<Utc>>().ok())
            {
                sample.push((arrived - at).to_std().unwrap_or(Duration::ZERO));
            }
            if frame["type"] == "job_completed" {
                break;
            }
        }
    }
    sample
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark compares with the clock of the machine"
)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
