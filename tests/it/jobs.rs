//! `GET /api/jobs/{id}`, the list, results.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{TestApp, Upload, fixtures};

fn keys(text: &str) -> Vec<String> {
    let data: Value = serde_json::from_str(text).unwrap();
    let raw = text.split_once("\"data\":{").unwrap().1;
    let mut names: Vec<(usize, String)> = data["data"]
        .as_object()
        .unwrap()
        .keys()
        .map(|key| (raw.find(&format!("\"{key}\":")).unwrap(), key.clone()))
        .collect();
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}

const SEVEN: [&str; 7] = [
    "job_id",
    "status",
    "progress",
    "file_name",
    "created_at",
    "completed_at",
    "ai_response",
];

#[tokio::test]
async fn a_pending_job_has_seven_keys_in_order() {
    let app = TestApp::api_only().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), "x")
        .accepted(&app)
        .await;
    let text = app
        .get(&format!("/api/jobs/{id}"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(keys(&text), SEVEN);
    let data = &serde_json::from_str::<Value>(&text).unwrap()["data"];
    assert_eq!(data["status"], "pending");
    assert_eq!(data["progress"], 0);
    assert!(data["completed_at"].is_null() && data["ai_response"].is_null());
    let created = data["created_at"].as_str().unwrap();
    assert!(
        created.len() == 20 && created.ends_with('Z') && created.contains('T'),
        "{created}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_failed_job_has_its_error_as_eighth_key() {
    let app = TestApp::start().await;
    let id = Upload::new("broken.pdf", b"%PDF-1.4\nthis is no document".to_vec(), "x")
        .accepted(&app)
        .await;
    app.ended(&id).await;
    let text = app
        .get(&format!("/api/jobs/{id}"))
        .await
        .text()
        .await
        .unwrap();
    let mut expected = SEVEN.to_vec();
    expected.push("error");
    assert_eq!(keys(&text), expected);
    let data = serde_json::from_str::<Value>(&text).unwrap()["data"].clone();
    assert_eq!(data["status"], "failed");
    assert!(data["error"].as_str().is_some_and(|e| !e.is_empty()));
    let result = app.get(&format!("/api/jobs/{id}/result")).await;
    assert_eq!(result.status(), StatusCode::FAILED_DEPENDENCY);
    app.stop().await;
}

#[tokio::test]
async fn unknown_and_malformed_ids_are_not_found() {
    let app = TestApp::api_only().await;
    for id in [
        "00000000-0000-7000-8000-000000000000",
        "nonsense",
        "%27%3B--",
    ] {
        for path in [
            format!("/api/jobs/{id}"),
            format!("/api/jobs/{id}/result"),
            format!("/api/jobs/{id}/events"),
        ] {
            let response = app.get(&path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(response.json::<Value>().await.unwrap()["code"], "not_found");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn an_unchanged_view_is_not_sent_again() {
    let app = TestApp::api_only().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), "x")
        .accepted(&app)
        .await;
    let url = format!("{}/api/jobs/{id}", app.base);
    let first = app.http.get(&url).send().await.unwrap();
    let etag = first.headers()["etag"].clone();
    let second = app
        .http
        .get(&url)
        .header("If-None-Match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    app.stop().await;
}

#[tokio::test]
async fn the_list_is_paged_without_gap_or_repeat() {
    let app = TestApp::api_only().await;
    let mut uploaded = Vec::new();
    for i in 0..7 {
        uploaded.push(
            Upload::new(&format!("file-{i}.csv"), fixtures::csv(), "x")
                .accepted(&app)
                .await,
        );
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.json(&format!("/api/jobs?limit=3{cursor}")).await;
        listed.extend(
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["job_id"].as_str().unwrap().to_owned()),
        );
        // A job that arrives while the list is read belongs before it.
        Upload::new("late.csv", fixtures::csv(), "x")
            .accepted(&app)
            .await;
        match page["page"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    uploaded.reverse();
    assert_eq!(listed, uploaded);
    let none = app.json("/api/jobs?status=completed").await;
    assert_eq!(none["data"], serde_json::json!([]));
    let bad = app.get("/api/jobs?cursor=%00nonsense").await;
    assert_eq!(bad.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(bad.json::<Value>().await.unwrap()["code"], "bad_cursor");
    app.stop().await;
}

#[tokio::test]
async fn a_result_waits_for_its_job() {
    let app = TestApp::api_only().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), "x")
        .accepted(&app)
        .await;
    let early = app.get(&format!("/api/jobs/{id}/result")).await;
    assert_eq!(early.status(), StatusCode::CONFLICT);
    assert_eq!(early.json::<Value>().await.unwrap()["code"], "not_finished");
    app.stop().await;
}
