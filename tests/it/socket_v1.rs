//! The negotiated socket `quire.v1`: sequence numbers, offsets, resume by cursor.

use serde_json::{Value, json};

use crate::support::{Socket, TestApp, Upload, fixtures};

async fn frames_of(socket: &mut Socket, job: &str) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = socket.json().await;
        if frame["job_id"] != job {
            continue;
        }
        let end = matches!(frame["type"].as_str(), Some("job_completed" | "job_failed"));
        frames.push(frame);
        if end {
            return frames;
        }
    }
}

fn text(frames: &[Value]) -> String {
    frames
        .iter()
        .filter(|f| f["type"] == "ai_chunk")
        .map(|f| f["chunk"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn frames_carry_increasing_numbers_and_offsets() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect_v1(app.address).await;
    socket
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let id = Upload::new("report.pdf", fixtures::pdf(), "Summarise")
        .accepted(&app)
        .await;
    let frames = frames_of(&mut socket, &id).await;
    let numbers: Vec<i64> = frames.iter().filter_map(|f| f["seq"].as_i64()).collect();
    assert!(
        numbers.len() >= 3 && numbers.is_sorted_by(|a, b| a < b),
        "{numbers:?}"
    );
    let mut so_far = 0;
    for chunk in frames.iter().filter(|f| f["type"] == "ai_chunk") {
        assert_eq!(chunk["offset"], so_far);
        assert!(chunk.get("partial").is_none());
        so_far += chunk["chunk"].as_str().unwrap().len();
    }
    assert_eq!(text(&frames), app.answer(&id).await);
    app.stop().await;
}

#[tokio::test]
async fn a_cursor_resumes_without_gap_or_repeat() {
    let app = TestApp::start().await;
    let mut whole = Socket::connect_v1(app.address).await;
    whole
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let id = Upload::new("report.pdf", fixtures::pdf(), "Summarise")
        .accepted(&app)
        .await;
    let all = frames_of(&mut whole, &id).await;
    let numbered: Vec<&Value> = all.iter().filter(|f| f["seq"].is_i64()).collect();
    for (position, frame) in numbered.iter().enumerate().take(numbered.len() - 1) {
        let mut resumed = Socket::connect_v1(app.address).await;
        resumed.send(&json!({"type": "hello", "topics": [format!("job:{id}")], "since": {"jobs": {(&id): frame["seq"]}}})).await;
        let rest = frames_of(&mut resumed, &id).await;
        let got: Vec<&Value> = rest.iter().filter_map(|f| f.get("seq")).collect();
        let expected: Vec<&Value> = numbered[position + 1..].iter().map(|f| &f["seq"]).collect();
        assert_eq!(got, expected, "resumed after {}", frame["seq"]);
    }
    app.stop().await;
}

#[tokio::test]
async fn nonsense_is_answered_and_the_socket_lives() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect_v1(app.address).await;
    socket.send(&json!({"type": "dance"})).await;
    let reply = socket.json().await;
    assert_eq!(reply["type"], "error", "{reply}");
    socket
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let id = Upload::new("table.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    assert_eq!(
        text(&frames_of(&mut socket, &id).await),
        app.answer(&id).await
    );
    app.stop().await;
}
