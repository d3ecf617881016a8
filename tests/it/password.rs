//! Encrypted files: the right password, the wrong one, none, and that no trace of one is left.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, Upload, app::TestOptions, fixtures};

fn locked(password: Option<&str>) -> Upload {
    let upload = Upload::new("locked.pdf", fixtures::locked_pdf(), fixtures::PDF_QUESTION);
    match password {
        Some(password) => upload.text("password", password),
        None => upload,
    }
}

/// Error code and text of a job that failed.
async fn failure(app: &TestApp, id: &str) -> (String, String) {
    app.ended(id).await;
    let job = app.json(&format!("/api/jobs/{id}?expand=error")).await["data"].clone();
    assert_eq!(job["status"], "failed", "{job}");
    let text = |key: &str| job[key].as_str().unwrap().to_owned();
    (text("error_code"), text("error"))
}

/// Rows in which a password is kept.
async fn kept(app: &TestApp) -> i64 {
    app.store.kept_passwords().await.unwrap()
}

#[tokio::test]
async fn the_passwords_of_user_and_owner_open_the_file() {
    let app = TestApp::start().await;
    for password in [fixtures::USER_PASSWORD, fixtures::OWNER_PASSWORD] {
        let id = locked(Some(password)).accepted(&app).await;
        let answer = app.answer(&id).await;
        assert!(
            answer.contains(fixtures::PDF_ANSWER),
            "{password}: {answer}"
        );
    }
    assert_eq!(kept(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_missing_and_a_wrong_password_are_told_apart_and_can_be_mended() {
    let app = TestApp::start().await;
    let missing = locked(None).accepted(&app).await;
    let wrong = locked(Some("guess")).accepted(&app).await;
    let (code, text) = failure(&app, &missing).await;
    assert_eq!(code, "password_needed");
    assert!(
        text.contains("encrypted") && text.contains("retry"),
        "{text}"
    );
    let (code, text) = failure(&app, &wrong).await;
    assert_eq!(code, "wrong_password");
    assert!(!text.contains("guess"), "{text}");
    // The password is gone with the end of the job: a retry has to bring it again.
    let retry = |id: String, body: Value| {
        let request = app.http.post(format!("{}/api/jobs/{id}/retry", app.base));
        request.json(&body).send()
    };
    retry(wrong.clone(), json!({})).await.unwrap();
    assert_eq!(failure(&app, &wrong).await.0, "password_needed");
    let body = json!({"password": fixtures::USER_PASSWORD});
    assert_eq!(
        retry(wrong.clone(), body).await.unwrap().status(),
        StatusCode::OK
    );
    assert!(app.answer(&wrong).await.contains(fixtures::PDF_ANSWER));
    let too_long = json!({"password": "x".repeat(300)});
    let refused = retry(missing, too_long).await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kept(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_document_that_a_password_opened_is_no_cache_for_those_who_have_none() {
    let app = TestApp::start().await;
    let owner = locked(Some(fixtures::USER_PASSWORD)).accepted(&app).await;
    app.answer(&owner).await;
    for (password, code) in [(None, "password_needed"), (Some("guess"), "wrong_password")] {
        let id = locked(password).accepted(&app).await;
        assert_eq!(failure(&app, &id).await.0, code);
        for path in ["result", "document"] {
            let response = app.get(&format!("/api/jobs/{id}/{path}")).await;
            assert_eq!(response.status(), StatusCode::FAILED_DEPENDENCY, "{path}");
        }
    }
    let response = app
        .get(&format!("/api/jobs/{owner}/document?format=md"))
        .await;
    assert!(
        response
            .text()
            .await
            .unwrap()
            .contains(fixtures::PDF_ANSWER)
    );
    app.stop().await;
}

#[tokio::test]
async fn an_unneeded_password_does_no_harm() {
    let app = TestApp::start().await;
    let id = Upload::new("a.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .text("password", "unneeded")
        .accepted(&app)
        .await;
    assert!(app.answer(&id).await.contains(fixtures::PDF_ANSWER));
    let id = Upload::new("a.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    assert!(app.answer(&id).await.contains(fixtures::PDF_ANSWER));
    app.stop().await;
}

#[tokio::test]
async fn a_password_waits_with_its_job_and_is_forgotten_when_that_is_cancelled() {
    let app = TestApp::api_only().await;
    let id = locked(Some(fixtures::USER_PASSWORD)).accepted(&app).await;
    assert_eq!(kept(&app).await, 1);
    app.post(&format!("/api/jobs/{id}/cancel")).await;
    assert_eq!(kept(&app).await, 0);
    app.stop().await;
}

/// Every reply, event and row that a job leaves behind.
#[tokio::test]
async fn no_trace_of_a_password_is_left() {
    let app = TestApp::start().await;
    let id = locked(Some(fixtures::USER_PASSWORD)).accepted(&app).await;
    app.answer(&id).await;
    let wrong = locked(Some("s3cret-guess")).accepted(&app).await;
    failure(&app, &wrong).await;
    for id in [&id, &wrong] {
        for path in ["", "/events", "/result", "/document"] {
            let url = format!("/api/jobs/{id}{path}");
            let text = app
                .get(&format!("{url}?expand=timeline"))
                .await
                .text()
                .await
                .unwrap();
            assert!(!text.contains(fixtures::USER_PASSWORD), "{url}");
            assert!(!text.contains("s3cret-guess"), "{url}");
        }
    }
    for password in [fixtures::USER_PASSWORD, "s3cret-guess"] {
        let rows = app.store.rows_with_text(password).await.unwrap();
        assert_eq!(rows, Vec::<String>::new());
    }
    app.stop().await;
}

#[tokio::test]
async fn files_of_a_batch_have_their_own_passwords() {
    let app = TestApp::with(TestOptions::default()).await;
    let part = |name: &str| {
        reqwest::multipart::Part::bytes(fixtures::locked_pdf()).file_name(name.to_owned())
    };
    let manifest = format!(
        "file,password\na.pdf,{}\nb.pdf,guess\nc.pdf,\n",
        fixtures::OWNER_PASSWORD
    );
    let form = reqwest::multipart::Form::new()
        .text("prompt", fixtures::PDF_QUESTION)
        .text("password", fixtures::USER_PASSWORD)
        .text("manifest", manifest)
        .part("file", part("a.pdf"))
        .part("file", part("b.pdf"))
        .part("file", part("c.pdf"));
    let request = app.http.post(format!("{}/api/batches", app.base));
    let response = request.multipart(form).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let reply = response.text().await.unwrap();
    let body: Value = serde_json::from_str(&reply).unwrap();
    let mut codes = Vec::new();
    for item in body["data"]["items"].as_array().unwrap() {
        let id = item["job_id"].as_str().unwrap();
        app.ended(id).await;
        let job = app.json(&format!("/api/jobs/{id}?expand=error")).await["data"].clone();
        codes.push(job["error_code"].as_str().unwrap_or("completed").to_owned());
    }
    assert_eq!(codes, ["completed", "wrong_password", "completed"]);
    let batch = body["data"]["batch_id"].as_str().unwrap();
    let results = app
        .get(&format!("/api/batches/{batch}/results"))
        .await
        .text()
        .await
        .unwrap();
    for text in [reply, results] {
        assert!(
            !text.contains("guess") && !text.contains(fixtures::USER_PASSWORD),
            "{text}"
        );
    }
    app.stop().await;
}
