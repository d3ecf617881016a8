//! Cancel and retry.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{Socket, TestApp, Upload, fixtures};

#[tokio::test]
async fn a_pending_job_is_cancelled_once() {
    let app = TestApp::api_only().await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let id = Upload::new("report.pdf", fixtures::pdf(), "x")
        .accepted(&app)
        .await;
    let cancelled = app.post(&format!("/api/jobs/{id}/cancel")).await;
    assert_eq!(cancelled.status(), StatusCode::OK);
    assert_eq!(
        cancelled.json::<Value>().await.unwrap()["data"]["status"],
        "cancelled"
    );
    let again = app.post(&format!("/api/jobs/{id}/cancel")).await;
    assert_eq!(again.status(), StatusCode::CONFLICT);
    assert_eq!(
        again.json::<Value>().await.unwrap()["code"],
        "invalid_state"
    );
    let frames = socket.until_end(&id).await;
    assert!(frames.last().unwrap().contains("cancelled"), "{frames:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_cancelled_job_can_be_tried_again() {
    let app = TestApp::api_only().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    app.post(&format!("/api/jobs/{id}/cancel")).await;
    let retried = app.post(&format!("/api/jobs/{id}/retry")).await;
    assert_eq!(retried.status(), StatusCode::OK);
    let worker = app.second(quire::serve::Role::Worker).await;
    assert!(app.answer(&id).await.contains(fixtures::PDF_ANSWER));
    let done = app.post(&format!("/api/jobs/{id}/retry")).await;
    assert_eq!(done.status(), StatusCode::CONFLICT);
    worker.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_running_job_stops_and_its_slot_is_free() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let slow = Upload::new("slow.pdf", fixtures::form_bomb(), "Summarise")
        .accepted(&app)
        .await;
    loop {
        let frame = socket.json().await;
        if frame["job_id"] == slow.as_str() && frame["type"] == "job_update" {
            break;
        }
    }
    let cancelled = app.post(&format!("/api/jobs/{slow}/cancel")).await;
    assert_eq!(
        cancelled.status(),
        StatusCode::OK,
        "the file was slow enough to be cancelled while it ran"
    );
    socket.until_end(&slow).await;
    let next = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    assert!(app.answer(&next).await.contains(fixtures::PDF_ANSWER));
    assert_eq!(app.job(&slow).await["status"], "cancelled");
    app.stop().await;
}
