//! `WS /ws` for a client that negotiates nothing: four frames, byte for byte, and the four traps of the contract.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Socket, TestApp, Upload, fixtures, socket::Received};

fn parse(frame: &str) -> Value {
    serde_json::from_str(frame).unwrap()
}

/// Asserts what every whole stream of a completed job must be; returns the answer.
fn assert_stream(frames: &[String], job: &str) -> String {
    let (mut text, mut progress) = (String::new(), 0);
    for raw in frames {
        let frame = parse(raw);
        match frame["type"].as_str().unwrap() {
            "job_update" => {
                let now = frame["progress"].as_u64().unwrap();
                assert_eq!(
                    *raw,
                    format!(r#"{{"type":"job_update","job_id":"{job}","progress":{now}}}"#)
                );
                assert!(now >= progress && now <= 100, "{progress} -> {now}");
                progress = now;
            }
            "ai_chunk" => {
                text.push_str(frame["chunk"].as_str().unwrap());
                assert_eq!(frame["partial"], text);
                let (chunk, partial) = (&frame["chunk"], &frame["partial"]);
                assert_eq!(
                    *raw,
                    format!(
                        r#"{{"type":"ai_chunk","job_id":"{job}","chunk":{chunk},"partial":{partial}}}"#
                    )
                );
            }
            "job_completed" => {
                assert_eq!(frame["ai_response"], text);
                assert_eq!(
                    *raw,
                    format!(
                        r#"{{"type":"job_completed","job_id":"{job}","ai_response":{}}}"#,
                        frame["ai_response"]
                    )
                );
            }
            other => panic!("unexpected frame {other}"),
        }
    }
    text
}

#[tokio::test]
async fn a_listener_gets_exactly_the_four_frames() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    for (name, bytes, prompt) in [
        ("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION),
        ("table.csv", fixtures::csv(), "How many rows are there?"),
        ("scan.png", fixtures::png(), "What does it say?"),
    ] {
        let id = Upload::new(name, bytes, prompt).accepted(&app).await;
        let frames = socket.until_end(&id).await;
        assert!(
            frames.iter().any(|f| f.contains("job_update")),
            "{frames:?}"
        );
        let streamed = assert_stream(&frames, &id);
        assert_eq!(streamed, app.answer(&id).await);
    }
    let broken = Upload::new("broken.pdf", b"%PDF-1.4\nno document".to_vec(), "x")
        .accepted(&app)
        .await;
    let frames = socket.until_end(&broken).await;
    let last = parse(frames.last().unwrap());
    assert_eq!(
        *frames.last().unwrap(),
        format!(
            r#"{{"type":"job_failed","job_id":"{broken}","error":{}}}"#,
            last["error"]
        )
    );
    assert!(last["error"].is_string());
    app.stop().await;
}

#[tokio::test]
async fn trap_1_no_frame_overtakes_the_upload_reply() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    for _ in 0..5 {
        let upload = Upload::new("table.csv", fixtures::csv(), "How many rows?");
        let replied = async {
            let id = upload.accepted(&app).await;
            (id, std::time::Instant::now())
        };
        let first = async {
            let frame = socket.json().await;
            (
                frame["job_id"].as_str().unwrap().to_owned(),
                std::time::Instant::now(),
            )
        };
        let ((id, replied_at), (framed, framed_at)) = tokio::join!(replied, first);
        assert_eq!(framed, id);
        assert!(
            framed_at > replied_at,
            "a frame came {:?} before the reply",
            replied_at - framed_at
        );
        socket.until_end(&id).await;
    }
    app.stop().await;
}

#[tokio::test]
async fn trap_2_a_late_or_returning_listener_gets_the_state() {
    let app = TestApp::start().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    let answer = app.answer(&id).await;
    let mut late = Socket::connect(app.address, "/ws").await;
    let frames = late.until_end(&id).await;
    assert_eq!(
        parse(frames.last().unwrap())["ai_response"],
        answer.as_str()
    );
    assert!(
        late.next_within(Duration::from_millis(300)).await.is_none(),
        "an end is told once"
    );
    app.stop().await;
}

#[tokio::test]
async fn every_listener_gets_everything_on_every_path() {
    let app = TestApp::start().await;
    let mut sockets = Vec::new();
    for path in ["/ws", "/ws/somebody", "/api/chat/ws"] {
        sockets.push(Socket::connect(app.address, path).await);
    }
    let id = Upload::new("report.pdf", fixtures::pdf(), "Summarise")
        .accepted(&app)
        .await;
    let mut answers = Vec::new();
    for socket in &mut sockets {
        answers.push(assert_stream(&socket.until_end(&id).await, &id));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_stopping_server_says_so() {
    let app = TestApp::api_only().await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let (closed, ()) = tokio::join!(socket.next(), app.stop());
    assert!(
        matches!(closed, Received::Closed(Some(code)) if u16::from(code) == 1012),
        "{closed:?}"
    );
}
