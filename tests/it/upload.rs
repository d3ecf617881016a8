//! `POST /api/upload`: the reply byte for byte, every refusal, nothing half stored.

use reqwest::{StatusCode, multipart::Part};
use serde_json::Value;

use crate::support::{TestApp, Upload, app::TestOptions, fixtures, socket::Received};

/// The code of each field error, by field.
async fn field_errors(response: reqwest::Response) -> Vec<(String, String)> {
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["success"], false, "{body}");
    assert!(
        body["error"].is_string() && body["error"] == body["detail"],
        "{body}"
    );
    let pairs = body["errors"].as_array().into_iter().flatten();
    pairs
        .map(|e| {
            (
                e["field"].as_str().unwrap().to_owned(),
                e["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[tokio::test]
async fn reply_is_byte_exact() {
    let app = TestApp::api_only().await;
    let response = Upload::new("report.pdf", fixtures::pdf(), "When?")
        .send(&app)
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(response.headers().contains_key("etag"));
    let body = response.text().await.unwrap();
    let id = location.strip_prefix("/api/jobs/").unwrap();
    assert_eq!(
        body,
        format!(
            r#"{{"success":true,"data":{{"job_id":"{id}","status":"pending","progress":0,"message":"File uploaded successfully"}}}}"#
        )
    );
    app.stop().await;
}

#[tokio::test]
async fn fields_come_in_any_order_and_unknown_ones_are_ignored() {
    let app = TestApp::api_only().await;
    let id = Upload::default()
        .text("priority", "7")
        .text("prompt", "How many rows?")
        .text("colour", "green")
        .file("table.csv", fixtures::csv())
        .accepted(&app)
        .await;
    assert_eq!(app.job(&id).await["file_name"], "table.csv");
    app.stop().await;
}

#[tokio::test]
async fn type_is_decided_by_content() {
    let app = TestApp::api_only().await;
    let disguised = Upload::new("image.png", fixtures::pdf(), "x")
        .accepted(&app)
        .await;
    assert_eq!(app.job(&disguised).await["status"], "pending");
    for (name, bytes) in [
        (
            "program.pdf",
            b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec(),
        ),
        (
            "archive.csv",
            b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(),
        ),
    ] {
        let response = Upload::new(name, bytes, "x").send(&app).await;
        assert_eq!(
            response.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{name}"
        );
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], "unsupported_type");
    }
    assert_eq!(app.stored_files().len(), 1, "refused files leave nothing");
    app.stop().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = TestApp::api_only().await;
    let pdf = fixtures::pdf();
    let cases: [(Upload, &[(&str, &str)]); 8] = [
        (
            Upload::default().text("prompt", "x"),
            &[("file", "required")],
        ),
        (
            Upload::default().file("a.pdf", pdf.clone()),
            &[("prompt", "required")],
        ),
        (
            Upload::new("a.pdf", pdf.clone(), "  "),
            &[("prompt", "required")],
        ),
        (Upload::new("a.pdf", Vec::new(), "x"), &[("file", "empty")]),
        (
            Upload::new("a.pdf", pdf.clone(), "x").text("priority", "high"),
            &[("priority", "invalid")],
        ),
        (
            Upload::new("a.pdf", pdf.clone(), "x").text("scheduled_at", "tomorrow"),
            &[("scheduled_at", "invalid")],
        ),
        (
            Upload::new("a.pdf", pdf.clone(), "x").text("scheduled_at", "2030-01-01T10:00:00"),
            &[("scheduled_at", "invalid")],
        ),
        (
            Upload::new("a.pdf", pdf.clone(), "x")
                .text("priority", "1.5")
                .text("scheduled_at", "0"),
            &[("priority", "invalid"), ("scheduled_at", "invalid")],
        ),
    ];
    for (upload, expected) in cases {
        let response = upload.send(&app).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let errors = field_errors(response).await;
        let errors: Vec<(&str, &str)> = errors
            .iter()
            .map(|(f, c)| (f.as_str(), c.as_str()))
            .collect();
        assert_eq!(errors, expected);
    }
    assert_eq!(
        app.stored_files(),
        Vec::<std::path::PathBuf>::new(),
        "refused uploads leave nothing"
    );
    assert_eq!(app.json("/api/jobs").await["data"], serde_json::json!([]));
    app.stop().await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let app = TestApp::api_only().await;
    let response = Upload::default()
        .file("a.pdf", fixtures::pdf())
        .part("prompt", Part::bytes(vec![0x66, 0xff, 0xfe]))
        .send(&app)
        .await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(field_errors(response).await[0].0, "prompt");
    app.stop().await;
}

#[tokio::test]
async fn too_large_is_refused_before_and_while_reading() {
    let app = TestApp::with(TestOptions {
        role: quire::serve::Role::Api,
        max_upload_bytes: 10_000,
        ..TestOptions::default()
    })
    .await;
    let mut big = fixtures::pdf();
    big.resize(200_000, b' ');
    let announced = Upload::new("big.pdf", big.clone(), "x").send(&app).await;
    assert_eq!(announced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        big.chunks(5_000).map(|chunk| Ok(chunk.to_vec())).collect();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks));
    let unannounced = Upload::default()
        .part("file", Part::stream(stream).file_name("big.pdf"))
        .text("prompt", "x")
        .send(&app)
        .await;
    assert_eq!(unannounced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(app.stored_files(), Vec::<std::path::PathBuf>::new());
    app.stop().await;
}

#[tokio::test]
async fn a_hostile_file_name_is_only_text() {
    let app = TestApp::api_only().await;
    let id = Upload::new("../../etc/\u{202e}passwd.pdf", fixtures::pdf(), "x")
        .accepted(&app)
        .await;
    assert_eq!(app.job(&id).await["file_name"], "passwd.pdf");
    app.stop().await;
}

#[tokio::test]
async fn the_same_key_gives_the_same_job_once() {
    let app = TestApp::api_only().await;
    let upload = || Upload::new("a.pdf", fixtures::pdf(), "x").idempotency_key("key-1");
    let replies = futures_util::future::join_all((0..12).map(|_| upload().send(&app))).await;
    let replayed = replies
        .iter()
        .filter(|r| r.headers().contains_key("idempotent-replayed"))
        .count();
    let mut ids = Vec::new();
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::OK);
        ids.push(
            reply.json::<Value>().await.unwrap()["data"]["job_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    ids.dedup();
    assert_eq!((ids.len(), replayed), (1, 11));
    assert_eq!(
        app.json("/api/jobs").await["data"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let other = Upload::new("a.pdf", fixtures::pdf(), "another question")
        .idempotency_key("key-1")
        .send(&app)
        .await;
    assert_eq!(other.status(), StatusCode::CONFLICT);
    assert_eq!(
        other.json::<Value>().await.unwrap()["code"],
        "idempotency_mismatch"
    );
    app.stop().await;
}

#[tokio::test]
async fn an_upload_cut_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt as _;
    let app = TestApp::api_only().await;
    let mut tcp = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = "POST /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 5000\r\n\r\n\
                --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF-1.4 half";
    tcp.write_all(head.as_bytes()).await.unwrap();
    tcp.shutdown().await.unwrap();
    let mut reply = Vec::new();
    // The server answers 400 or just closes; either way it has dropped the upload by then.
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut reply).await;
    assert!(!String::from_utf8_lossy(&reply).starts_with("HTTP/1.1 200"));
    assert_eq!(app.stored_files(), Vec::<std::path::PathBuf>::new());
    assert_eq!(app.json("/api/jobs").await["data"], serde_json::json!([]));
    app.stop().await;
}

#[tokio::test]
async fn two_uploads_of_the_same_bytes_are_stored_once() {
    let app = TestApp::start().await;
    let mut socket = crate::support::Socket::connect(app.address, "/ws").await;
    let first = Upload::new("a.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    let second = Upload::new("b.csv", fixtures::csv(), "Which columns are there?")
        .accepted(&app)
        .await;
    app.answer(&first).await;
    app.answer(&second).await;
    assert_eq!(app.stored_files().len(), 1);
    assert!(matches!(socket.next().await, Received::Frame(_)));
    app.stop().await;
}
