//! Jobs and files that are deleted, and files that vanish or rot by themselves.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use quire::serve::Role;
use quire_models::scripted::Scripted;
use quire_store::Owner;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::support::{TestApp, Upload, app::TestOptions, fixtures};

async fn delete(app: &TestApp, id: &str, query: &str) -> Response {
    let url = format!("{}/api/jobs/{id}{query}", app.base);
    app.http.delete(url).send().await.unwrap()
}

/// As if it had been uploaded long ago.
fn age(path: &Path) {
    let then = SystemTime::now() - Duration::from_hours(24);
    File::open(path).unwrap().set_modified(then).unwrap();
}

fn only_file(app: &TestApp) -> PathBuf {
    let files = app.stored_files();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[tokio::test]
async fn a_deleted_job_is_gone_and_its_file_only_when_asked_for() {
    let app = TestApp::start().await;
    let upload = || Upload::new("gauges.csv", fixtures::csv(), fixtures::CSV_QUESTION);
    let (kept, purged) = (upload().accepted(&app).await, upload().accepted(&app).await);
    app.answer(&kept).await;
    app.answer(&purged).await;
    let path = only_file(&app);
    age(&path);

    let wrong = delete(&app, &kept, "?purge=everything").await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let deleted = delete(&app, &kept, "").await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert!(deleted.bytes().await.unwrap().is_empty());
    let path_of = |id: &str, part: &str| format!("/api/jobs/{id}{part}");
    for part in ["", "/result", "/events"] {
        let gone = app.get(&path_of(&kept, part)).await;
        assert_eq!(gone.status(), StatusCode::NOT_FOUND, "{part}");
    }
    assert_eq!(
        delete(&app, &kept, "").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        delete(&app, "no-id", "").await.status(),
        StatusCode::NOT_FOUND
    );
    assert!(path.exists());

    // The other job's file is still named by the row that was kept.
    let deleted = delete(&app, &purged, "?purge=file").await;
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    assert!(path.exists(), "the first job's file was to be kept");

    let last = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    app.answer(&last).await;
    let report = app
        .stored_files()
        .into_iter()
        .find(|file| *file != path)
        .unwrap();
    age(&report);
    delete(&app, &last, "?purge=file").await;
    assert!(!report.exists(), "nobody else has it");
    assert_eq!(
        app.json("/api/jobs").await["data"],
        Value::Array(Vec::new())
    );
    app.stop().await;
}

#[tokio::test]
async fn a_running_job_is_not_deleted_and_a_waiting_one_is() {
    let app = TestApp::with(TestOptions {
        engine: Some(Scripted::Speak {
            sentences: 10_000,
            pause: Duration::from_millis(20),
        }),
        workers: 1,
        ..TestOptions::default()
    })
    .await;
    let running = Upload::new("report.pdf", fixtures::pdf(), "Talk")
        .accepted(&app)
        .await;
    while app.job(&running).await["status"] != "processing"
        || app.job(&running).await["progress"].as_i64() < Some(50)
    {
        tokio::task::yield_now().await;
    }
    let refused = delete(&app, &running, "").await;
    assert_eq!(refused.status(), StatusCode::CONFLICT);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "invalid_state", "{body}");
    assert_eq!(body["error"], "a job that is processing cannot be deleted");

    let waiting = Upload::new("report.pdf", fixtures::pdf(), "Later")
        .text("scheduled_at", "2100-01-01T00:00:00Z")
        .accepted(&app)
        .await;
    assert_eq!(
        delete(&app, &waiting, "").await.status(),
        StatusCode::NO_CONTENT
    );
    app.post(&format!("/api/jobs/{running}/cancel")).await;
    assert_eq!(
        delete(&app, &running, "?purge=file").await.status(),
        StatusCode::NO_CONTENT
    );
    app.stop().await;
}

/// Uploads, does something to the stored file, and lets a worker at it. Returns the job's error code and its attempts.
async fn after(damage: impl FnOnce(&Path)) -> (Option<String>, i32) {
    let app = TestApp::api_only().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    damage(&only_file(&app));
    let worker = app.second(Role::Worker).await;
    let view = app.ended(&id).await;
    assert_eq!(view["status"], "failed", "{view}");
    let job = app.store.job(Owner::LOCAL, id.parse().unwrap()).await;
    let job = job.unwrap().unwrap();
    worker.stop().await;
    app.stop().await;
    (job.error_code, job.attempt)
}

#[tokio::test]
async fn a_file_that_vanished_under_its_job_is_told_once() {
    let (code, attempts) = after(|path| fs::remove_file(path).unwrap()).await;
    assert_eq!((code.as_deref(), attempts), (Some("input_missing"), 1));
}

#[tokio::test]
async fn a_file_that_rotted_under_its_job_is_not_answered_from() {
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let (code, attempts) = after(flip).await;
    assert_eq!((code.as_deref(), attempts), (Some("checksum"), 1));
}
