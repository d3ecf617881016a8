//! A storm: the server is killed under 10,000 sockets and starts again; all of them dial every 250 ms until it answers.
//!
//! A listener is served when it has been told the end of a job that it missed or had before, which the server must read from
//! the table. How often it reads is on `/metrics`; a reading is one transaction of two queries.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use tokio::runtime::Runtime;

use crate::{
    Figure, Program,
    herd::{Herd, now_ms},
    program::data_dir,
};

const SOCKETS: usize = 10_000;

/// Measures listeners of the upload contract, then of `quire.v1`.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    [("upload contract", false), ("quire.v1, all jobs", true)]
        .into_iter()
        .map(|(name, hello)| storm(runtime, name, hello))
        .collect()
}

fn storm(runtime: &Runtime, name: &str, hello: bool) -> Figure {
    let data = data_dir();
    let server = Program::serve(data.path(), &["serve"]);
    let port = server.port;
    let mut herd = Herd::open(port, SOCKETS, hello);
    // An end that is not older than 30 s when they come back.
    runtime.block_on(complete_a_job(port));
    if !hello {
        herd.heard();
    }
    server.kill();
    let server = Program::serve_on(data.path(), &["serve"], port);
    let ready = now_ms();
    let times = herd.heard();
    let readings = runtime.block_on(readings(port));
    let after = |share: f64| {
        let index = ((times.len() - 1) as f64 * share) as usize;
        Duration::from_millis(times[index].saturating_sub(ready)).as_secs_f64()
    };
    drop(server);
    Figure {
        what: format!("storm of {SOCKETS} reconnects after kill -9, {name}"),
        goal: "all served in 10 s, at most 1 query each",
        measured: format!(
            "half after {:.2} s, all after {:.2} s from ready; {readings} readings = {:.3} queries each",
            after(0.5),
            after(1.0),
            readings * 2.0 / SOCKETS as f64
        ),
    }
}

async fn complete_a_job(port: u16) {
    let table = Part::bytes(b"a,b\n1,2\n".to_vec()).file_name("t.csv");
    let form = Form::new()
        .part("file", table)
        .text("prompt", "How many rows?");
    let http = reqwest::Client::new();
    let base = format!("http://127.0.0.1:{port}");
    let upload = http.post(format!("{base}/api/upload")).multipart(form);
    let body: serde_json::Value = upload.send().await.unwrap().json().await.unwrap();
    let id = body["data"]["job_id"].as_str().unwrap().to_owned();
    loop {
        let reply = http
            .get(format!("{base}/api/jobs/{id}?wait=30"))
            .send()
            .await;
        let body: serde_json::Value = reply.unwrap().json().await.unwrap();
        if body["data"]["status"] == "completed" {
            return;
        }
    }
}

/// How often the server has read the jobs for its sockets.
async fn readings(port: u16) -> f64 {
    let url = format!("http://127.0.0.1:{port}/metrics");
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("quire_socket_readings_total "));
    line.expect("the server counts its readings")
        .trim()
        .parse()
        .unwrap()
}
