//! Jobs that would never end by themselves.

use std::time::{Duration, Instant};

use quire_models::scripted::Scripted;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Socket, TestApp, Upload, app::TestOptions, fixtures};

/// One slot for each stage, and an engine that does what the script says.
async fn with(engine: Scripted, tweak: fn(&mut quire::config::Config)) -> TestApp {
    let options = TestOptions {
        workers: 1,
        engine: Some(engine),
        tweak,
        ..TestOptions::default()
    };
    TestApp::with(options).await
}

async fn upload(app: &TestApp) -> String {
    Upload::new("a.csv", fixtures::csv(), "Say it")
        .accepted(app)
        .await
}

fn speak_from_now_on(app: &TestApp) {
    app.replace_engine(Scripted::Speak {
        sentences: 2,
        pause: Duration::ZERO,
    });
}

#[tokio::test]
async fn a_handler_that_hangs_is_left_behind_at_the_deadline() {
    // Longer than the test takes, shorter than anybody waits for the end of its thread.
    let hang = Scripted::Hang(Duration::from_secs(8));
    let app = with(hang, |config| config.job_deadline_seconds = 1).await;
    let started = Instant::now();
    let hanging = upload(&app).await;
    let ended = app.ended(&hanging).await;
    assert_eq!(ended["status"], "failed", "{ended}");
    let line = app.line(&hanging).await;
    assert_eq!(line.error_code.as_deref(), Some("deadline_exceeded"));
    speak_from_now_on(&app);
    let next = upload(&app).await;
    assert_eq!(app.answer(&next).await, Scripted::text(2));
    assert!(
        started.elapsed() < Duration::from_secs(8),
        "the one slot was free while the thread still hung"
    );
    app.stop().await;
}

#[tokio::test]
async fn an_engine_that_falls_silent_is_stopped_and_the_job_tried_again() {
    let silent = Scripted::FallSilent(Duration::from_mins(10));
    let app = with(silent, |config| config.job_progress_seconds = 1).await;
    let mut socket = Socket::connect_v1(app.address).await;
    socket
        .send(&json!({"type": "hello", "topics": ["jobs"]}))
        .await;
    let id = upload(&app).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|kind| kind != "job_completed") {
        let frame = socket.json().await;
        if frame["job_id"] == id.as_str() {
            if frame["type"] == "ai_chunk" {
                speak_from_now_on(&app);
            }
            seen.push(frame["type"].as_str().unwrap().to_owned());
        }
    }
    assert!(seen.contains(&"restarted".to_owned()), "{seen:?}");
    let line = app.line(&id).await;
    assert_eq!((line.failures, line.crashes), (1, 0));
    assert_eq!(app.answer(&id).await, Scripted::text(2));
    app.stop().await;
}

#[tokio::test]
async fn an_engine_that_panics_spends_a_try_and_nothing_else() {
    let app = with(Scripted::Panic, |_| {}).await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let id = upload(&app).await;
    while socket.json().await["type"] != "ai_chunk" {}
    speak_from_now_on(&app);
    assert_eq!(app.answer(&id).await, Scripted::text(2));
    assert_eq!(app.line(&id).await.failures, 1);
    assert_eq!(app.get("/healthz").await.status(), StatusCode::OK);
    app.stop().await;
}
