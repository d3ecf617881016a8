//! The real program: kill -9, restart, graceful stop, embedded Postgres.

use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{
    Socket, Upload, fixtures,
    process::{Process, free_port},
    socket::Received,
};

async fn upload(port: u16, name: &str, bytes: Vec<u8>, prompt: &str) -> String {
    let http = reqwest::Client::new();
    let response = Upload::new(name, bytes, prompt)
        .send_to(&http, &format!("http://127.0.0.1:{port}"))
        .await;
    let body: serde_json::Value = response.json().await.unwrap();
    body["data"]["job_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{body}"))
        .to_owned()
}

async fn ended(port: u16, id: &str) -> serde_json::Value {
    let url = format!("http://127.0.0.1:{port}/api/jobs/{id}?wait=30");
    loop {
        let body: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        if matches!(
            body["data"]["status"].as_str(),
            Some("completed" | "failed" | "cancelled")
        ) {
            return body["data"].clone();
        }
    }
}

/// Processes whose command line names the data directory.
fn servers_of(data: &std::path::Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&*data.to_string_lossy()))
        .collect()
}

#[tokio::test]
async fn kill_9_loses_nothing_and_the_next_start_is_quick() {
    let data = TempDir::new().unwrap();
    std::fs::set_permissions(
        data.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let port = free_port();
    let server = Process::serve(data.path(), port);
    let done = upload(port, "report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION).await;
    let answer = ended(port, &done).await["ai_response"].clone();
    let mut pending = Vec::new();
    for _ in 0..5 {
        pending.push(upload(port, "report.pdf", fixtures::two_pages(), "Summarise").await);
    }
    server.kill();
    let killed = Instant::now();
    while !servers_of(data.path()).is_empty() {
        assert!(
            killed.elapsed() < Duration::from_secs(5),
            "left behind: {:?}",
            servers_of(data.path())
        );
        tokio::task::yield_now().await;
    }
    let server = Process::serve(data.path(), port);
    let mut socket = Socket::connect(server.address, "/ws").await;
    assert!(
        killed.elapsed() < Duration::from_secs(15),
        "the client of the contract gives up after 15 s"
    );
    assert_eq!(ended(port, &done).await["ai_response"], answer);
    for id in &pending {
        let job = ended(port, id).await;
        assert_eq!(job["status"], "completed", "{job}");
    }
    assert!(
        matches!(socket.next().await, Received::Frame(_)),
        "the socket takes part again"
    );
    assert_eq!(server.terminate(), Some(0));
    assert!(
        servers_of(data.path()).is_empty(),
        "{:?}",
        servers_of(data.path())
    );
}

#[tokio::test]
async fn an_occupied_port_is_named() {
    let data = TempDir::new().unwrap();
    std::fs::set_permissions(
        data.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let output = crate::support::process::command(data.path())
        .args(["--port", &port.to_string()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains(&format!("cannot listen on 127.0.0.1:{port}")) && text.contains("--port"),
        "{text}"
    );
    assert!(servers_of(data.path()).is_empty());
}
