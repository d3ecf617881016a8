//! Pickup: from the first event of a job (inside the transaction that creates it, so before the commit: an upper bound) to the
//! first event of its handler, queue idle. The timeline has milliseconds.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::multipart::{Form, Part};
use tokio::runtime::Runtime;

use crate::{Figure, Program, program::data_dir, stats::Sample};

const JOBS: usize = 100;

/// Measures one job at a time.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    let data = data_dir();
    let server = Program::serve(data.path(), &["serve"]);
    let sample: Sample = runtime.block_on(async {
        one(&server.base()).await;
        let mut sample = Vec::new();
        for _ in 0..JOBS {
            sample.push(one(&server.base()).await);
        }
        sample.into_iter().collect()
    });
    vec![Figure {
        what: "pickup on an idle queue".into(),
        goal: "p50 10 ms, p99 25 ms",
        measured: sample.summary(),
    }]
}

async fn one(base: &str) -> Duration {
    let http = reqwest::Client::new();
    let form = Form::new()
        .part(
            "file",
            Part::bytes(b"a,b\n1,2\n".to_vec()).file_name("t.csv"),
        )
        .text("prompt", "How many rows?");
    let reply = http
        .post(format!("{base}/api/upload"))
        .multipart(form)
        .send()
        .await
        .unwrap();
    let body: serde_json::Value = reply.json().await.unwrap();
    let id = body["data"]["job_id"].as_str().unwrap().to_owned();
    loop {
        let url = format!("{base}/api/jobs/{id}?wait=10&expand=timeline");
        let job: serde_json::Value = http.get(url).send().await.unwrap().json().await.unwrap();
        if job["data"]["status"] == "completed" {
            let at = |index: usize| {
                job["data"]["timeline"][index]["at"]
                    .as_str()
                    .unwrap()
                    .parse::<DateTime<Utc>>()
                    .unwrap()
            };
            return (at(1) - at(0)).to_std().unwrap_or_default();
        }
    }
}
