//! Upload of a one-page PDF to `job_completed` on the socket of the contract, warm.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use reqwest::multipart::{Form, Part};
use tokio::{net::TcpStream, runtime::Runtime};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::{Figure, Program, one_page, program::data_dir, stats::Sample};

const JOBS: usize = 60;

/// Measures the same bytes again and again (extraction cached) and new bytes each time.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    let data = data_dir();
    let server = Program::serve(data.path(), &["serve"]);
    runtime.block_on(async {
        wait_for_model(server.port).await;
        let (mut socket, _) = connect_async(format!("ws://127.0.0.1:{}/ws", server.port))
            .await
            .unwrap();
        let mut figures = Vec::new();
        for (name, fresh) in [("new bytes each time", true), ("same bytes", false)] {
            let mut sample = Sample::default();
            for number in 0..JOBS + 3 {
                let elapsed = one(server.port, &mut socket, if fresh { number } else { 0 }).await;
                if number >= 3 {
                    sample.push(elapsed);
                }
            }
            figures.push(Figure {
                what: format!("upload of a one-page PDF to job_completed, {name}"),
                goal: "p50 under 300 ms",
                measured: sample.summary(),
            });
        }
        figures
    })
}

async fn one(
    port: u16,
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    number: usize,
) -> Duration {
    let mut bytes = one_page();
    // Bytes after the end of the file change its hash and nothing else.
    bytes.extend_from_slice(format!("\n% {number}\n").as_bytes());
    let form = Form::new()
        .part("file", Part::bytes(bytes).file_name("r.pdf"))
        .text("prompt", "When was the bridge opened?");
    let started = Instant::now();
    let reply = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/api/upload"))
        .multipart(form)
        .send()
        .await
        .unwrap();
    let body: serde_json::Value = reply.json().await.unwrap();
    let id = body["data"]["job_id"].as_str().unwrap().to_owned();
    loop {
        let text = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let Ok(frame) = serde_json::from_str::<serde_json::Value>(&text) else {
            continue;
        };
        assert_ne!(frame["type"], "job_failed", "{frame}");
        if frame["type"] == "job_completed" && frame["job_id"] == id.as_str() {
            return started.elapsed();
        }
    }
}

/// Returns once `/health` no longer reports the model as loading.
pub async fn wait_for_model(port: u16) {
    loop {
        let health = reqwest::get(format!("http://127.0.0.1:{port}/health"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        if !health.contains("loading") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
