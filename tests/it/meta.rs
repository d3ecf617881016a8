//! Health, metrics, documentation, the error envelope of unknown routes.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{TestApp, Upload, fixtures};

#[tokio::test]
async fn health_is_as_the_proxy_of_document_003_has_it() {
    let app = TestApp::start().await;
    let text = app.get("/health").await.text().await.unwrap();
    assert!(
        text.starts_with(r#"{"status":"healthy","backend_client":{"url":"http://127.0.0.1:"#),
        "{text}"
    );
    let health: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(health["backend_client"]["available"], true);
    for path in ["/healthz", "/readyz", "/version"] {
        assert_eq!(app.get(path).await.status(), StatusCode::OK, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let app = TestApp::start().await;
    let id = Upload::new("table.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    app.answer(&id).await;
    let metrics = app.get("/metrics").await.text().await.unwrap();
    assert!(
        metrics
            .lines()
            .any(|line| line.starts_with("quire_") && !line.ends_with(" 0")),
        "{metrics}"
    );
    assert!(metrics.contains("/api/upload"), "{metrics}");
    app.stop().await;
}

#[tokio::test]
async fn every_route_is_documented() {
    let app = TestApp::api_only().await;
    let document = app.json("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/upload",
        "/api/jobs",
        "/api/jobs/{id}",
        "/api/jobs/{id}/cancel",
        "/api/jobs/{id}/retry",
        "/api/jobs/{id}/result",
        "/api/jobs/{id}/events",
        "/health",
        "/healthz",
        "/readyz",
        "/metrics",
        "/version",
    ] {
        assert!(
            paths.contains_key(path),
            "{path} is not in {:?}",
            paths.keys()
        );
    }
    let docs = app.get("/docs/").await;
    assert_eq!(docs.status(), StatusCode::OK);
    assert!(
        !docs.text().await.unwrap().contains("https://"),
        "the page works without a network"
    );
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_route_has_the_error_envelope() {
    let app = TestApp::api_only().await;
    let response = app.get("/api/nothing").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let request_id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["code"], "not_found");
    assert_eq!(body["type"], "urn:quire:error:not_found");
    assert_eq!(body["request_id"], request_id.as_str());
    let wrong = app
        .http
        .delete(format!("{}/api/upload", app.base))
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.json::<Value>().await.unwrap()["success"], false);
    let problem = app
        .http
        .get(format!("{}/api/nothing", app.base))
        .header("Accept", "application/problem+json")
        .send()
        .await
        .unwrap();
    assert_eq!(
        problem.headers()["content-type"],
        "application/problem+json"
    );
    app.stop().await;
}
