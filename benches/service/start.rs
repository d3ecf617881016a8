//! Warm start: from exec to the first 200 of `/health`, on an initialised data directory.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::runtime::Runtime;

use crate::{
    Figure, Program,
    program::{command, data_dir, free_port},
    stats::{Sample, ms},
};

const ROUNDS: usize = 7;

/// Measures cold and warm starts.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    let data = data_dir();
    let cold = Instant::now();
    drop(Program::serve(data.path(), &["serve"]));
    let cold = cold.elapsed();
    let warm: Sample = (0..ROUNDS)
        .map(|_| runtime.block_on(warm_start(data.path())))
        .collect();
    vec![
        Figure {
            what: "warm start to first 200 of /health".into(),
            goal: "under 1 s",
            measured: format!(
                "p50 {}, max {}",
                ms(warm.percentile(0.5)),
                ms(warm.percentile(1.0))
            ),
        },
        Figure {
            what: "cold start and stop with initdb".into(),
            goal: "-",
            measured: ms(cold),
        },
    ]
}

async fn warm_start(data: &std::path::Path) -> Duration {
    let port = free_port();
    let http = reqwest::Client::new();
    let started = Instant::now();
    let mut child = command(data, port)
        .arg("serve")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/health");
    while !matches!(http.get(&url).send().await, Ok(reply) if reply.status().is_success()) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let elapsed = started.elapsed();
    std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    child.wait().unwrap();
    elapsed
}
