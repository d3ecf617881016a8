//! Pages as pictures, and the document in its forms.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{TestApp, Upload, fixtures};

/// Width and height as the PNG states them.
fn size(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

async fn code(response: reqwest::Response) -> (StatusCode, String) {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn pages_are_pictures_from_the_moment_of_the_upload() {
    let app = TestApp::api_only().await;
    let id = Upload::new("a.pdf", fixtures::two_pages(), "?")
        .accepted(&app)
        .await;
    let path = format!("/api/jobs/{id}/pages/2.png?w=300");
    let response = app.get(&path).await;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let (kind, tag, cache) = (
        header("content-type"),
        header("etag"),
        header("cache-control"),
    );
    assert_eq!(kind, "image/png");
    assert!(cache.contains("immutable"), "{cache}");
    let png = response.bytes().await.unwrap();
    assert_eq!(size(&png), (300, 424));
    assert_eq!(app.get(&path).await.bytes().await.unwrap(), png);
    let again = app
        .http
        .get(format!("{}{path}", app.base))
        .header("If-None-Match", &tag);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(again.headers()["etag"].to_str().unwrap(), tag);
    let small = app
        .get(&format!("/api/jobs/{id}/thumbnail"))
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(size(&small).0, 320);
    let clamped = app
        .get(&format!("/api/jobs/{id}/thumbnail?w=1"))
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(size(&clamped).0, 16);
    app.stop().await;
}

#[tokio::test]
async fn an_image_is_its_own_page() {
    let app = TestApp::api_only().await;
    let id = Upload::new("a.png", fixtures::png(), "?")
        .accepted(&app)
        .await;
    let png = app
        .get(&format!("/api/jobs/{id}/pages/1.png?w=200"))
        .await
        .bytes()
        .await
        .unwrap();
    assert_eq!(size(&png).0, 200);
    let missing = app.get(&format!("/api/jobs/{id}/pages/2.png")).await;
    assert_eq!(
        code(missing).await,
        (StatusCode::NOT_FOUND, "not_found".into())
    );
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_shown_says_why() {
    let app = TestApp::api_only().await;
    let accepted =
        |name: &'static str, bytes: Vec<u8>| Upload::new(name, bytes, "?").accepted(&app);
    let pdf = accepted("a.pdf", fixtures::two_pages()).await;
    let csv = accepted("a.csv", fixtures::csv()).await;
    let locked = accepted("locked.pdf", fixtures::locked_pdf()).await;
    let damaged = accepted("broken.pdf", b"%PDF-1.7\nnothing else".to_vec()).await;
    let bomb = accepted("bomb.pdf", fixtures::form_bomb()).await;
    let no_one = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11";
    for (path, status, expected) in [
        (format!("{pdf}/pages/4.png"), 404, "not_found"),
        (format!("{pdf}/pages/0.png"), 404, "not_found"),
        (format!("{pdf}/pages/1"), 404, "not_found"),
        (
            format!("{pdf}/pages/1.png?w=wide"),
            422,
            "validation_failed",
        ),
        (format!("{no_one}/pages/1.png"), 404, "not_found"),
        (format!("{no_one}/thumbnail"), 404, "not_found"),
        (format!("{csv}/thumbnail"), 415, "no_picture"),
        (format!("{locked}/pages/1.png"), 409, "password_needed"),
        (format!("{damaged}/thumbnail"), 424, "page_failed"),
        (format!("{bomb}/thumbnail"), 424, "page_failed"),
    ] {
        let response = app.get(&format!("/api/jobs/{path}")).await;
        let (found, word) = code(response).await;
        assert_eq!(
            (found.as_u16(), word.as_str()),
            (status, expected),
            "{path}"
        );
    }
    // Hostile pages cost nobody else a picture.
    assert_eq!(
        app.get(&format!("/api/jobs/{pdf}/thumbnail"))
            .await
            .status(),
        StatusCode::OK
    );
    app.stop().await;
}

#[tokio::test]
async fn a_document_comes_in_its_forms_and_pieces_are_slices_of_its_pages() {
    let app = TestApp::start().await;
    let id = Upload::new("a.pdf", fixtures::two_pages(), "What is on the roof?")
        .accepted(&app)
        .await;
    app.ended(&id).await;
    let document = app.json(&format!("/api/jobs/{id}/document")).await["data"].clone();
    let text_of = |page: &Value| {
        document["pages"][page.as_u64().unwrap() as usize - 1]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for path in ["document", "result"] {
        let path = format!("/api/jobs/{id}/{path}?format=chunks&characters=300&overlap=40");
        let response = app.get(&path).await;
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let lines = response.text().await.unwrap();
        let chunks: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(chunks.len() > 4, "{lines}");
        for chunk in &chunks {
            let (start, end) = (
                chunk["start"].as_u64().unwrap(),
                chunk["end"].as_u64().unwrap(),
            );
            let page = text_of(&chunk["page"]);
            let slice: String = page
                .chars()
                .skip(start as usize)
                .take((end - start) as usize)
                .collect();
            assert_eq!(chunk["text"], slice);
            assert!(end - start <= 300);
        }
    }
    let markdown = app
        .get(&format!("/api/jobs/{id}/document?format=md"))
        .await
        .text()
        .await
        .unwrap();
    assert!(
        markdown.starts_with("<!-- quire pdf, extractor "),
        "{markdown}"
    );
    assert!(markdown.contains("<!-- page 3 -->"), "{markdown}");
    let again = Upload::new("b.pdf", fixtures::two_pages(), "again?")
        .accepted(&app)
        .await;
    app.ended(&again).await;
    let same = app
        .get(&format!("/api/jobs/{again}/document?format=md"))
        .await
        .text()
        .await
        .unwrap();
    assert_eq!(same, markdown, "the same bytes give the same output");
    let refused = app
        .get(&format!("/api/jobs/{id}/document?format=docx"))
        .await;
    assert_eq!(code(refused).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    app.stop().await;
}

#[tokio::test]
async fn a_document_is_waited_for_and_a_failed_one_says_so() {
    let app = TestApp::api_only().await;
    let id = Upload::new("a.pdf", fixtures::pdf(), "?")
        .accepted(&app)
        .await;
    let waiting = app.get(&format!("/api/jobs/{id}/document")).await;
    assert!(waiting.headers().contains_key("retry-after"));
    assert_eq!(
        code(waiting).await,
        (StatusCode::CONFLICT, "not_finished".into())
    );
    app.post(&format!("/api/jobs/{id}/cancel")).await;
    let cancelled = app.get(&format!("/api/jobs/{id}/document")).await;
    assert_eq!(
        code(cancelled).await,
        (StatusCode::FAILED_DEPENDENCY, "job_failed".into())
    );
    app.stop().await;
}
