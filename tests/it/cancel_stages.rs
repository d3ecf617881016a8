//! A cancel frees the slot at every stage: the job behind the cancelled one begins at once.
//!
//! The promise is 250 ms; the assertion allows for a machine that runs other tests, and each test prints what it took.

use std::time::{Duration, Instant};

use quire::serve::Role;
use quire_models::scripted::Scripted;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{Socket, TestApp, Upload, app::TestOptions, fixtures};

/// From the cancel request to the first sign of the next job.
const SLOT_IS_FREE: Duration = Duration::from_secs(2);

async fn one_slot(engine: Option<Scripted>) -> TestApp {
    let options = TestOptions {
        workers: 1,
        engine,
        ..TestOptions::default()
    };
    TestApp::with(options).await
}

/// Reads frames until one of this job says this.
async fn heard(socket: &mut Socket, job: &str, kind: &str) -> Value {
    loop {
        let frame = socket.json().await;
        if frame["job_id"] == job && frame["type"] == kind {
            return frame;
        }
    }
}

/// Cancels `busy` and waits for the first frame of `next`, which waits for its slot.
async fn cancel_frees_the_slot(app: &TestApp, socket: &mut Socket, busy: &str, next: &str) {
    let asked = Instant::now();
    let cancelled = app.post(&format!("/api/jobs/{busy}/cancel")).await;
    let answered = asked.elapsed();
    assert_eq!(cancelled.status(), StatusCode::OK, "it was still running");
    heard(socket, next, "job_update").await;
    let freed = asked.elapsed();
    println!("cancel answered in {answered:?}, the next job began after {freed:?}");
    assert!(freed < SLOT_IS_FREE, "{freed:?}");
    assert_eq!(app.job(busy).await["status"], "cancelled");
}

#[tokio::test]
async fn while_it_is_scheduled() {
    let app = one_slot(None).await;
    let id = Upload::new("a.csv", fixtures::csv(), "x")
        .text("scheduled_at", "2099-01-01T00:00:00Z")
        .accepted(&app)
        .await;
    let cancelled = app.post(&format!("/api/jobs/{id}/cancel")).await;
    assert_eq!(cancelled.status(), StatusCode::OK);
    assert_eq!(app.job(&id).await["status"], "cancelled");
    assert_eq!(app.store.promote_due().await.unwrap(), 0);
    app.stop().await;
}

#[tokio::test]
async fn while_its_file_is_read() {
    let app = one_slot(None).await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let slow = Upload::new("slow.pdf", fixtures::form_bomb(), "x")
        .accepted(&app)
        .await;
    heard(&mut socket, &slow, "job_update").await;
    let next = Upload::new("a.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    cancel_frees_the_slot(&app, &mut socket, &slow, &next).await;
    app.answer(&next).await;
    app.stop().await;
}

/// Tesseract processes that this test has started, by way of its parser pool.
fn recognising() -> Vec<u32> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok())
        .filter(|stat| stat.contains("(tesseract)"))
        .filter_map(|stat| {
            let (pid, rest) = stat.split_once(" (tesseract) ")?;
            let parent = rest.split(' ').nth(1)?;
            (parent == own).then(|| pid.parse().ok())?
        })
        .collect()
}

#[tokio::test]
async fn while_its_picture_is_recognised() {
    let app = one_slot(None).await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let slow = Upload::new("slow.png", fixtures::endless_page(), "x")
        .accepted(&app)
        .await;
    while recognising().is_empty() {
        assert!(
            app.job(&slow).await["completed_at"].is_null(),
            "recognition was never seen"
        );
    }
    let next = Upload::new("a.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    cancel_frees_the_slot(&app, &mut socket, &slow, &next).await;
    app.answer(&next).await;
    assert_eq!(recognising(), [] as [u32; 0], "no process is left behind");
    app.stop().await;
}

#[tokio::test]
async fn in_the_middle_of_its_answer() {
    let slow = Scripted::Speak {
        sentences: 1_000,
        pause: Duration::from_millis(100),
    };
    let app = one_slot(Some(slow)).await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let busy = Upload::new("a.csv", fixtures::csv(), "x")
        .accepted(&app)
        .await;
    let next = Upload::new("a.csv", fixtures::csv(), "y")
        .accepted(&app)
        .await;
    heard(&mut socket, &busy, "ai_chunk").await;
    let asked = Instant::now();
    app.post(&format!("/api/jobs/{busy}/cancel")).await;
    heard(&mut socket, &next, "ai_chunk").await;
    println!("the next job was answered after {:?}", asked.elapsed());
    assert!(asked.elapsed() < SLOT_IS_FREE, "{:?}", asked.elapsed());
    let spoken = app.job(&busy).await;
    assert_eq!(spoken["status"], "cancelled", "{spoken}");
    app.post(&format!("/api/jobs/{next}/cancel")).await;
    app.stop().await;
}

#[tokio::test]
async fn in_another_process() {
    let app = TestApp::api_only().await;
    let worker = app.second(Role::Worker).await;
    let slow = Scripted::Speak {
        sentences: 1_000,
        pause: Duration::from_millis(100),
    };
    worker.engines().replace(std::sync::Arc::new(slow));
    let mut socket = Socket::connect(app.address, "/ws").await;
    let busy = [
        Upload::new("a.csv", fixtures::csv(), "x")
            .accepted(&app)
            .await,
        Upload::new("a.csv", fixtures::csv(), "y")
            .accepted(&app)
            .await,
    ];
    for id in &busy {
        heard(&mut socket, id, "ai_chunk").await;
    }
    let next = Upload::new("a.csv", fixtures::csv(), "z")
        .accepted(&app)
        .await;
    let asked = Instant::now();
    app.post(&format!("/api/jobs/{}/cancel", busy[0])).await;
    heard(&mut socket, &next, "ai_chunk").await;
    println!("the next job was answered after {:?}", asked.elapsed());
    assert!(asked.elapsed() < SLOT_IS_FREE, "{:?}", asked.elapsed());
    for id in [&busy[1], &next] {
        app.post(&format!("/api/jobs/{id}/cancel")).await;
    }
    worker.stop().await;
    app.stop().await;
}
