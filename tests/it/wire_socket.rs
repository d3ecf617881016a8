//! Sockets under bad conditions: cut after every frame, too slow, too loud, on another process, with the database gone.
//!
//! Whatever happens to a connection, the client that comes back ends with the whole text of one attempt.

use std::{collections::HashMap, time::Duration};

use quire::serve::Role;
use quire_store::testing::TestDb;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Socket, TestApp, Upload,
    app::TestOptions,
    client::PATIENCE,
    fixtures,
    proxy::{Fault, FaultProxy},
    raw::Raw,
    socket::Received,
};

fn is_end(frame: &Value) -> bool {
    matches!(frame["type"].as_str(), Some("job_completed" | "job_failed"))
}

/// A `quire.v1` socket that has said hello.
async fn greeted(address: std::net::SocketAddr, hello: &Value) -> Socket {
    let mut socket = Socket::connect_v1(address).await;
    socket.send(hello).await;
    socket
}

async fn follow(address: std::net::SocketAddr, job: &str, since: Option<i64>) -> Socket {
    let topics = [format!("job:{job}")];
    greeted(
        address,
        &json!({"type": "hello", "topics": topics, "since": since}),
    )
    .await
}

async fn report(app: &TestApp) -> String {
    Upload::new("report.pdf", fixtures::two_pages(), "Summarise")
        .accepted(app)
        .await
}

#[tokio::test]
async fn a_stream_cut_after_every_frame_is_the_whole_text() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        let id = report(&app).await;
        let (mut since, mut text, mut cuts) = (None, String::new(), 0);
        let end = loop {
            let mut socket = follow(app.address, &id, since).await;
            let frame = loop {
                let frame = socket.json().await;
                if frame["seq"].is_i64() {
                    break frame;
                }
            };
            let seq = frame["seq"].as_i64();
            assert!(seq > since, "{seq:?} after {since:?}");
            since = seq;
            if frame["type"] == "ai_chunk" {
                assert_eq!(frame["offset"], text.len(), "{frame}");
                text.push_str(frame["chunk"].as_str().unwrap());
            }
            if is_end(&frame) {
                break frame;
            }
            cuts += 1;
        };
        assert!(cuts >= 3, "{cuts} cuts");
        assert_eq!(end["ai_response"], text);
        assert_eq!(app.answer(&id).await, text);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_second_hello_replaces_the_first() {
    let app = TestApp::start().await;
    let (one, two) = (report(&app).await, report(&app).await);
    app.answer(&one).await;
    app.answer(&two).await;
    let mut socket = follow(app.address, &one, None).await;
    let read = async |socket: &mut Socket| {
        let mut frames = Vec::new();
        loop {
            frames.push(socket.json().await);
            if is_end(frames.last().unwrap()) {
                return frames;
            }
        }
    };
    let first = read(&mut socket).await;
    let hello = |job: &str| json!({"type": "hello", "topics": [format!("job:{job}")]});
    socket.send(&hello(&two)).await;
    let second = read(&mut socket).await;
    assert!(
        second.iter().all(|frame| frame["job_id"] == two.as_str()),
        "{second:?}"
    );
    socket.send(&hello(&one)).await;
    assert_eq!(
        read(&mut socket).await,
        first,
        "the history again, from its beginning"
    );
    app.stop().await;
}

#[tokio::test]
async fn waiting_jobs_are_told_when_they_move_up() {
    let app = TestApp::api_only().await;
    let mut socket = greeted(app.address, &json!({"type": "hello", "topics": ["jobs"]})).await;
    let mut ids = Vec::new();
    for name in ["a.csv", "b.csv", "c.csv"] {
        ids.push(Upload::new(name, fixtures::csv(), "x").accepted(&app).await);
    }
    let mut positions: HashMap<String, i64> = HashMap::new();
    while positions.len() < 3 {
        let frame = socket.json().await;
        assert_eq!(
            (&frame["type"], frame["seq"].is_i64()),
            (&json!("queue_position"), true)
        );
        let job = frame["job_id"].as_str().unwrap().to_owned();
        positions.insert(job, frame["position"].as_i64().unwrap());
    }
    let of =
        |positions: &HashMap<String, i64>| ids.iter().map(|id| positions[id]).collect::<Vec<_>>();
    assert_eq!(of(&positions), [1, 2, 3]);
    app.post(&format!("/api/jobs/{}/cancel", ids[0])).await;
    while of(&positions)[1..] != [1, 2] {
        let frame = socket.json().await;
        if frame["type"] == "queue_position" {
            assert!(frame.get("seq").is_none(), "it moves no cursor: {frame}");
            let job = frame["job_id"].as_str().unwrap().to_owned();
            let position = frame["position"].as_i64().unwrap();
            let before = positions.insert(job, position);
            assert!(before > Some(position), "{frame} after {before:?}");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn no_frame_overtakes_a_reply_of_another_process() {
    let app = TestApp::api_only().await;
    let second = app.second(Role::Api).await;
    let worker = app.second(Role::Worker).await;
    let mut socket = Socket::connect(second.addresses()[0], "/ws").await;
    for _ in 0..5 {
        let upload = Upload::new("t.csv", fixtures::csv(), "How many rows?");
        let replied = async { (upload.accepted(&app).await, Instant::now()) };
        let framed = async { (socket.json().await, Instant::now()) };
        let ((id, replied_at), (frame, framed_at)) = tokio::join!(replied, framed);
        assert_eq!(frame["job_id"], id.as_str());
        assert!(
            framed_at > replied_at,
            "{:?} too early",
            replied_at - framed_at
        );
        let frames = socket.until_end(&id).await;
        let last: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
        assert_eq!(last["ai_response"], app.answer(&id).await);
    }
    worker.stop().await;
    second.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn streams_outlive_a_cut_of_the_database() {
    let db = TestDb::new().await;
    let proxy = FaultProxy::start(db.url()).await;
    let options = TestOptions {
        database_url: Some(proxy.url.clone()),
        ..TestOptions::default()
    };
    let app = TestApp::on(db, options).await;
    let mut legacy = Socket::connect(app.address, "/ws").await;
    let mut v1 = greeted(app.address, &json!({"type": "hello", "topics": ["jobs"]})).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(report(&app).await);
    }
    loop {
        let frame = legacy.json().await;
        if frame["type"] == "ai_chunk" || is_end(&frame) {
            break;
        }
    }
    proxy.set(Fault::Cut);
    let away = app.get("/readyz").await;
    assert_eq!(away.status(), 503);
    proxy.set(Fault::None);
    let (mut texts, mut ends) = (HashMap::<String, String>::new(), HashMap::new());
    while ends.len() < ids.len() {
        let frame = v1.json().await;
        let job = frame["job_id"].as_str().unwrap_or_default().to_owned();
        let text = texts.entry(job.clone()).or_default();
        match frame["type"].as_str().unwrap() {
            "restarted" => text.clear(),
            "ai_chunk" => {
                assert_eq!(frame["offset"], text.len(), "{frame}");
                text.push_str(frame["chunk"].as_str().unwrap());
            }
            "resync" => frame["partial"].as_str().unwrap().clone_into(text),
            "job_completed" => {
                assert_eq!(frame["ai_response"], *text);
                ends.insert(job, frame["ai_response"].clone());
            }
            _ => {}
        }
    }
    let back = async { while app.get("/readyz").await.status() != 200 {} };
    timeout(PATIENCE, back).await.expect("the database is back");
    for id in &ids {
        // A pooled connection may still be one that was cut: such a reply says when to ask again.
        while app.get(&format!("/api/jobs/{id}")).await.status() == 503 {}
        assert_eq!(ends[id], app.answer(id).await, "{id}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_left_and_may_come_back() {
    let app = TestApp::start().await;
    let first = report(&app).await;
    app.answer(&first).await;
    let mut slow = greeted(app.address, &json!({"type": "hello", "topics": ["jobs"]})).await;
    let ping = || Message::text(r#"{"type":"ping"}"#);
    // The answers fill the way back until the server cannot write, and then it does not read either.
    let stuck = async {
        while timeout(Duration::from_millis(500), slow.send_message(ping())).await == Ok(true) {}
    };
    timeout(PATIENCE, stuck)
        .await
        .expect("the server reads on for ever");
    let stuck_at = Instant::now();
    let mut other = Socket::connect(app.address, "/ws").await;
    let meanwhile = report(&app).await;
    other.until_end(&meanwhile).await;
    assert!(
        stuck_at.elapsed() < Duration::from_secs(8),
        "others are not slowed"
    );
    tokio::time::sleep_until(stuck_at + Duration::from_millis(10_200)).await;
    let mut pongs = 0;
    let code = loop {
        match slow.next().await {
            Received::Frame(_) => pongs += 1,
            Received::Closed(code) => break code,
        }
    };
    assert!(pongs > 100, "{pongs}");
    assert!(code.is_none_or(|code| u16::from(code) == 4408), "{code:?}");
    for id in [&first, &meanwhile] {
        let mut back = follow(app.address, id, None).await;
        let mut text = String::new();
        loop {
            let frame = back.json().await;
            text.push_str(frame["chunk"].as_str().unwrap_or_default());
            if is_end(&frame) {
                break;
            }
        }
        assert_eq!(text, app.answer(id).await);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_message_that_is_too_big_closes_with_1009() {
    let app = TestApp::api_only().await;
    for v1 in [false, true] {
        for size in [2 << 20, 100_000] {
            let mut socket = if v1 {
                greeted(app.address, &json!({"type": "hello"})).await
            } else {
                Socket::connect(app.address, "/ws").await
            };
            socket.send_message(Message::text("x".repeat(size))).await;
            let closed = socket.next().await;
            assert!(
                matches!(closed, Received::Closed(Some(code)) if u16::from(code) == 1009),
                "v1 {v1}, {size}: {closed:?}"
            );
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn what_no_protocol_knows_harms_nobody() {
    let app = TestApp::start().await;
    let mut legacy = Socket::connect(app.address, "/ws").await;
    let mut v1 = greeted(app.address, &json!({"type": "hello", "topics": ["jobs"]})).await;
    for message in [
        Message::binary(vec![0, 159, 146, 150]),
        Message::text("not json"),
        Message::text("\u{0}"),
        Message::Ping("hello".into()),
        Message::Pong("unasked".into()),
    ] {
        assert!(legacy.send_message(message.clone()).await);
        assert!(v1.send_message(message).await);
    }
    for _ in 0..3 {
        assert_eq!(v1.json().await["code"], "bad_message");
    }
    // Bytes that are no frames end their own connection and no other.
    let upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for garbage in [
        &[0xff; 64][..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x81\x05hello",
        b"\x81\x82\0\0\0\0\xff\xfe",
    ] {
        let mut raw = Raw::connect(app.address).await;
        raw.write(upgrade).await;
        assert_eq!(raw.reply().await.unwrap().status, 101);
        raw.write(garbage).await;
        raw.rest().await;
    }
    let id = report(&app).await;
    let answer = app.answer(&id).await;
    let frames = legacy.until_end(&id).await;
    assert!(frames.last().unwrap().contains(&json!(answer).to_string()));
    loop {
        let frame = v1.json().await;
        if is_end(&frame) {
            assert_eq!(frame["ai_response"], answer);
            break;
        }
    }
    app.stop().await;
}
