//! Batches: many files in one request or over many, refusals beside acceptances, results in input order, backpressure.

use std::time::Duration;

use reqwest::{Response, StatusCode, multipart};
use serde_json::Value;

use crate::support::{TestApp, Upload, app::TestOptions, client::PATIENCE, fixtures};

#[tokio::test]
async fn too_many_waiting_jobs_are_refused_with_a_time_to_come_back() {
    let app = TestApp::with(TestOptions {
        role: quire::serve::Role::Api,
        max_waiting_jobs: 3,
        ..TestOptions::default()
    })
    .await;
    let upload = || Upload::new("a.csv", fixtures::csv(), "How many rows?");
    let mut accepted = Vec::new();
    for _ in 0..3 {
        accepted.push(upload().accepted(&app).await);
    }
    let refused = upload().send(&app).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let seconds: u64 = refused.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(seconds >= 1);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["code"], "overloaded", "{body}");
    assert_eq!(body["retryable"], true, "{body}");
    assert_eq!(app.stored_files().len(), 1, "the refused one was not read");
    // Room is noticed at the next look.
    let cancelled = app.post(&format!("/api/jobs/{}/cancel", accepted[0])).await;
    assert_eq!(cancelled.status(), StatusCode::OK);
    let admitted = async {
        while upload().send(&app).await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, admitted)
        .await
        .expect("an upload is let in again");
    app.stop().await;
}

/// A batch's form under construction.
#[derive(Default)]
struct Form {
    form: multipart::Form,
    key: Option<&'static str>,
}

impl Form {
    fn text(mut self, name: &'static str, value: &str) -> Self {
        self.form = self.form.text(name, value.to_owned());
        self
    }

    fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let part = multipart::Part::bytes(bytes.into()).file_name(name.to_owned());
        self.form = self.form.part("file", part);
        self
    }

    fn key(mut self, key: &'static str) -> Self {
        self.key = Some(key);
        self
    }

    async fn send(self, app: &TestApp, path: &str) -> Response {
        let request = app.http.post(format!("{}{path}", app.base));
        let request = match self.key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        request.multipart(self.form).send().await.unwrap()
    }

    async fn accepted(self, app: &TestApp, path: &str) -> Value {
        let response = self.send(app, path).await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        assert_eq!(body["success"], true);
        body["data"].clone()
    }
}

/// A table of its own for each number, so that its answer can be told from the others'.
fn table(n: usize) -> String {
    format!("station,level\ngauge-{n},{n}\nother,5\n")
}

async fn lines(app: &TestApp, batch: &str, query: &str) -> Vec<Value> {
    let response = app
        .get(&format!("/api/batches/{batch}/results{query}"))
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/jsonl");
    let text = response.text().await.unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until every job of a batch has ended; returns its view.
async fn done(app: &TestApp, batch: &str) -> Value {
    let waiting = async {
        loop {
            let view = app.json(&format!("/api/batches/{batch}")).await["data"].clone();
            if matches!(view["status"].as_str(), Some("completed" | "cancelled")) {
                return view;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the batch did not end")
}

fn id(data: &Value) -> String {
    data["batch_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn one_bad_file_does_not_sink_the_batch() {
    let app = TestApp::start().await;
    let response = Form::default()
        .text("name", "gauges")
        .text("prompt", "How many rows?")
        .file("a.csv", table(1))
        .file("program.pdf", b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec())
        .file("empty.csv", Vec::new())
        .file("broken.pdf", b"%PDF-1.4\nno document".to_vec())
        .file("../b.csv", table(2))
        .send(&app, "/api/batches")
        .await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let data = response.json::<Value>().await.unwrap()["data"].clone();
    let batch = id(&data);
    assert_eq!(location, format!("/api/batches/{batch}"));
    assert_eq!(data["counts"]["total"], 5, "{data}");
    assert_eq!(data["counts"]["refused"], 2, "{data}");
    let statuses: Vec<_> = data["items"].as_array().unwrap().iter().collect();
    assert_eq!(statuses[1]["error_code"], "unsupported_type");
    assert_eq!(statuses[2]["error_code"], "empty");
    assert_eq!(statuses[4]["file_name"], "b.csv");

    let view = done(&app, &batch).await;
    assert_eq!(view["status"], "completed", "{view}");
    assert_eq!(view["progress"], 100);
    assert_eq!(view["counts"]["completed"], 2, "{view}");
    assert_eq!(view["counts"]["failed"], 1, "{view}");
    let lines = lines(&app, &batch, "").await;
    let names: Vec<_> = lines
        .iter()
        .map(|line| line["file_name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["a.csv", "program.pdf", "empty.csv", "broken.pdf", "b.csv"]
    );
    let statuses: Vec<_> = lines
        .iter()
        .map(|line| line["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["completed", "refused", "refused", "failed", "completed"]
    );
    let job = app.job(lines[0]["job_id"].as_str().unwrap()).await;
    assert_eq!(lines[0]["answer"], job["ai_response"]);
    assert!(
        lines[3]["error"].is_string() && lines[3]["error_code"].is_string(),
        "{}",
        lines[3]
    );
    assert_eq!(app.stored_files().len(), 3, "refused files leave nothing");
    let listed = app.json("/api/batches?limit=1").await;
    assert_eq!(listed["data"][0]["name"], "gauges");
    assert_eq!(listed["data"][0]["items"], 5);
    app.stop().await;
}

#[tokio::test]
async fn a_manifest_says_what_is_asked_about_each_file() {
    let app = TestApp::api_only().await;
    let manifest = "file,prompt,priority,reference,scheduled_at\n\
                    b.csv,What is the level of gauge-2?,7,second,\n\
                    a.csv,\"Which, if any, station is first?\",,first,2100-01-01T00:00:00Z\n\
                    lost.csv,x,,third,\n";
    let data = Form::default()
        .text("prompt", "How many rows?")
        .text("manifest", manifest)
        .file("a.csv", table(1))
        .file("extra.csv", table(3))
        .file("b.csv", table(2))
        .accepted(&app, "/api/batches")
        .await;
    let items = data["items"].as_array().unwrap();
    let shown: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["index"].as_i64().unwrap(),
                item["reference"].as_str(),
                item["file_name"].as_str().unwrap(),
                item["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (0, Some("second"), "b.csv", "pending"),
            (1, Some("first"), "a.csv", "pending"),
            (2, Some("third"), "lost.csv", "refused"),
            (3, None, "extra.csv", "pending"),
        ]
    );
    assert_eq!(items[2]["error_code"], "file_missing");
    let stored = |at: usize| items[at]["job_id"].as_str().unwrap().parse().unwrap();
    let job = |id| app.store.job(quire_store::Owner::LOCAL, id);
    let second = job(stored(0)).await.unwrap().unwrap();
    assert_eq!(
        (second.prompt.as_str(), second.priority),
        ("What is the level of gauge-2?", 7)
    );
    let first = job(stored(1)).await.unwrap().unwrap();
    assert_eq!(first.state, quire_store::JobState::Scheduled);
    assert_eq!(
        job(stored(3)).await.unwrap().unwrap().prompt,
        "How many rows?"
    );

    // What was missing is sent later, under the index that it had.
    let batch = id(&data);
    let added = Form::default()
        .text(
            "manifest",
            r#"{"file":"lost.csv","prompt":"x","reference":"third","index":2}"#,
        )
        .file("lost.csv", table(4))
        .accepted(&app, &format!("/api/batches/{batch}/files"))
        .await;
    assert_eq!(added["items"][0]["status"], "pending", "{added}");
    let lines = lines(&app, &batch, "?answers=false").await;
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[2]["status"], "pending");
    assert!(lines[2].get("answer").is_none());
    app.stop().await;
}

#[tokio::test]
async fn wrong_fields_are_named_before_anything_is_stored() {
    let app = TestApp::api_only().await;
    let cases = [
        (
            Form::default().file("a.csv", table(1)),
            "prompt",
            "required",
        ),
        (
            Form::default().text("prompt", " ").file("a.csv", table(1)),
            "prompt",
            "required",
        ),
        (
            Form::default()
                .text("prompt", "x")
                .text("priority", "high")
                .file("a.csv", table(1)),
            "priority",
            "invalid",
        ),
        (
            Form::default()
                .text("manifest", "file,priority\na.csv,1000")
                .file("a.csv", table(1)),
            "manifest",
            "out_of_range",
        ),
        (
            Form::default().text("manifest", "colour\ngreen"),
            "manifest",
            "invalid",
        ),
        (
            Form::default().text("prompt", "x").text("prompt", "y"),
            "prompt",
            "duplicate",
        ),
        (
            Form::default().key("two words").text("prompt", "x"),
            "Idempotency-Key",
            "invalid_character",
        ),
    ];
    for (form, field, code) in cases {
        let response = form.send(&app, "/api/batches").await;
        assert_eq!(
            response.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{field}"
        );
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["code"], "validation_failed", "{body}");
        assert_eq!(body["errors"][0]["field"], field, "{body}");
        assert_eq!(body["errors"][0]["code"], code, "{body}");
    }
    assert_eq!(
        app.json("/api/batches").await["data"],
        serde_json::json!([])
    );
    assert_eq!(app.stored_files(), Vec::<std::path::PathBuf>::new());
    for path in [
        "/api/batches/none",
        "/api/batches/01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11/results",
    ] {
        assert_eq!(
            app.get(path).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_batch_sent_again_gives_the_same_jobs() {
    let app = TestApp::api_only().await;
    let form = || {
        Form::default()
            .key("may")
            .text("prompt", "How many rows?")
            .file("a.csv", table(1))
            .file("b.csv", table(2))
    };
    let replies =
        futures_util::future::join_all((0..4).map(|_| form().accepted(&app, "/api/batches"))).await;
    for reply in &replies {
        assert_eq!(reply["batch_id"], replies[0]["batch_id"]);
        assert_eq!(reply["items"], replies[0]["items"], "the same jobs");
        assert_eq!(reply["counts"]["total"], 2);
    }
    assert_eq!(
        app.json("/api/jobs").await["data"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let other = Form::default()
        .key("may")
        .text("prompt", "Another question?")
        .file("a.csv", table(1));
    assert_eq!(
        other.send(&app, "/api/batches").await.status(),
        StatusCode::CONFLICT
    );
    // The same form, another file: that item is told apart, the others stand.
    let mixed = Form::default()
        .key("may")
        .text("prompt", "How many rows?")
        .file("a.csv", table(9))
        .file("b.csv", table(2))
        .accepted(&app, "/api/batches")
        .await;
    assert_eq!(
        mixed["items"][0]["error_code"], "idempotency_mismatch",
        "{mixed}"
    );
    assert_eq!(mixed["items"][1], replies[0]["items"][1]);
    assert_eq!(
        lines(&app, &id(&mixed), "").await[0]["job_id"],
        replies[0]["items"][0]["job_id"]
    );
    app.stop().await;
}

#[tokio::test]
async fn a_key_of_the_clients_own_is_good_in_every_batch() {
    let app = TestApp::api_only().await;
    let with_key = || {
        Form::default()
            .text("manifest", r#"{"file":"c.csv","prompt":"x","key":"c-1"}"#)
            .file("c.csv", table(3))
    };
    let first = with_key().accepted(&app, "/api/batches").await;
    let second = with_key().accepted(&app, "/api/batches").await;
    assert_ne!(first["batch_id"], second["batch_id"]);
    assert_eq!(first["items"][0]["job_id"], second["items"][0]["job_id"]);
    app.stop().await;
}

#[tokio::test]
async fn a_form_that_breaks_off_keeps_what_came_and_is_continued() {
    use tokio::io::AsyncWriteExt as _;
    let app = TestApp::api_only().await;
    let part = |name: &str, content: &str| {
        let file = if name == "prompt" {
            String::new()
        } else {
            format!("; filename=\"{name}\"")
        };
        let field = if name == "prompt" { "prompt" } else { "file" };
        format!(
            "--B\r\nContent-Disposition: form-data; name=\"{field}\"{file}\r\n\r\n{content}\r\n"
        )
    };
    let begun = [
        part("prompt", "How many rows?"),
        part("a.csv", &table(1)),
        part("b.csv", &table(2)),
        "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"c.csv\"\r\n\r\nstation,lev".to_owned(),
    ]
    .concat();
    let mut tcp = tokio::net::TcpStream::connect(app.address).await.unwrap();
    let head = "POST /api/batches HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: cut\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 50000\r\n\r\n";
    tcp.write_all(format!("{head}{begun}").as_bytes())
        .await
        .unwrap();
    // The first two do not wait for the third, which does not end.
    let kept = async {
        while app.json("/api/jobs").await["data"]
            .as_array()
            .unwrap()
            .len()
            < 2
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, kept)
        .await
        .expect("what came whole is kept");
    tcp.shutdown().await.unwrap();
    let mut reply = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut reply).await;
    let whole = Form::default()
        .key("cut")
        .text("prompt", "How many rows?")
        .file("a.csv", table(1))
        .file("b.csv", table(2))
        .file("c.csv", table(3))
        .accepted(&app, "/api/batches")
        .await;
    assert_eq!(whole["counts"]["total"], 3, "{whole}");
    assert_eq!(
        app.json("/api/jobs").await["data"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(app.stored_files().len(), 3, "nothing half is left");
    app.stop().await;
}

#[tokio::test]
async fn cancelling_ends_every_job_and_closes_the_batch() {
    let app = TestApp::api_only().await;
    let mut form = Form::default().text("prompt", "How many rows?");
    for n in 0..20 {
        form = form.file(&format!("{n}.csv"), table(n));
    }
    let batch = id(&form.accepted(&app, "/api/batches").await);
    let cancelled = app.post(&format!("/api/batches/{batch}/cancel")).await;
    assert_eq!(cancelled.status(), StatusCode::OK);
    let view = cancelled.json::<Value>().await.unwrap()["data"].clone();
    assert_eq!(
        (&view["status"], &view["counts"]["cancelled"]),
        (&"cancelled".into(), &20.into()),
        "{view}"
    );
    let again = app.post(&format!("/api/batches/{batch}/cancel")).await;
    assert_eq!(again.status(), StatusCode::OK);
    let late = Form::default()
        .text("prompt", "x")
        .file("late.csv", table(99))
        .send(&app, &format!("/api/batches/{batch}/files"))
        .await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    assert_eq!(late.json::<Value>().await.unwrap()["code"], "invalid_state");
    assert!(
        lines(&app, &batch, "")
            .await
            .iter()
            .all(|line| line["status"] == "cancelled")
    );
    app.stop().await;
}

#[tokio::test]
async fn limits_are_said_and_what_came_before_is_kept() {
    let app = TestApp::with(TestOptions {
        role: quire::serve::Role::Api,
        max_upload_bytes: 2_000,
        max_batch_files: 2,
        ..TestOptions::default()
    })
    .await;
    let large = Form::default()
        .text("prompt", "x")
        .file("large.csv", "station,level\n".repeat(10_000))
        .file("a.csv", table(1))
        .accepted(&app, "/api/batches")
        .await;
    assert_eq!(large["items"][0]["error_code"], "too_large", "{large}");
    assert_eq!(large["items"][1]["status"], "pending", "{large}");
    let mut many = Form::default().key("many").text("prompt", "x");
    for n in 0..3 {
        many = many.file(&format!("{n}.csv"), table(n));
    }
    let refused = many.send(&app, "/api/batches").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let body: Value = refused.json().await.unwrap();
    assert_eq!(body["errors"][0]["code"], "too_many", "{body}");
    let batch = app.json("/api/batches?limit=1").await["data"][0].clone();
    assert_eq!(batch["items"], 2, "the first two are kept: {batch}");
    let list = Form::default().text("manifest", "file\na\nb\nc\n");
    let body: Value = list.send(&app, "/api/batches").await.json().await.unwrap();
    assert_eq!(body["errors"][0]["field"], "manifest", "{body}");
    assert_eq!(body["errors"][0]["code"], "too_long", "{body}");
    app.stop().await;
}

#[tokio::test]
async fn what_is_sent_again_takes_no_room_in_a_full_queue() {
    let app = TestApp::with(TestOptions {
        role: quire::serve::Role::Api,
        max_waiting_jobs: 4,
        ..TestOptions::default()
    })
    .await;
    let form = |files: usize| {
        let mut form = Form::default().key("again").text("prompt", "x");
        for n in 0..files {
            form = form.file(&format!("{n}.csv"), table(n));
        }
        form
    };
    form(3).accepted(&app, "/api/batches").await;
    let four = form(4).accepted(&app, "/api/batches").await;
    assert_eq!(four["counts"]["pending"], 4, "{four}");
    let five = form(5).send(&app, "/api/batches").await;
    assert_eq!(five.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(five.headers().contains_key("retry-after"));
    app.stop().await;
}
