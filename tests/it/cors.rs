//! Browsers: preflight, origins, sockets of foreign pages.

use reqwest::{Method, StatusCode};

use crate::support::TestApp;

#[tokio::test]
async fn a_page_on_another_local_port_may_upload() {
    let app = TestApp::api_only().await;
    let preflight = app
        .http
        .request(Method::OPTIONS, format!("{}/api/upload", app.base))
        .header("Origin", "http://localhost:3000")
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type,idempotency-key",
        )
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success());
    assert_eq!(
        preflight.headers()["access-control-allow-origin"],
        "http://localhost:3000"
    );
    let allowed = preflight.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .to_lowercase();
    assert!(
        ["authorization", "content-type", "idempotency-key"]
            .iter()
            .all(|h| allowed.contains(h)),
        "{allowed}"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_foreign_page_may_not() {
    let app = TestApp::api_only().await;
    for origin in [
        "https://evil.example",
        "http://localhost.evil.example",
        "null",
        "http://127.0.0.1.evil.example:80",
    ] {
        let response = app
            .http
            .get(format!("{}/api/jobs", app.base))
            .header("Origin", origin)
            .send()
            .await
            .unwrap();
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin"),
            "{origin}"
        );
        let upgrade = app
            .http
            .get(format!("{}/ws", app.base))
            .header("Origin", origin)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
            .send()
            .await
            .unwrap();
        assert_eq!(upgrade.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    app.stop().await;
}
