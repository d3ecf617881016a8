//! Who answers, and in which shape: what an upload may say about it, and what the result says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use quire::config::Config;
use serde_json::{Value, json};

use crate::support::{TestApp, Upload, app::TestOptions, fixtures};

async fn result(app: &TestApp, id: &str) -> Value {
    app.json(&format!("/api/jobs/{id}/result")).await["data"].clone()
}

fn question() -> Upload {
    Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_replaced_and_the_result_says_so() {
    let app = TestApp::start().await;
    let id = question().text("model", "remote").accepted(&app).await;
    let answer = app.answer(&id).await;
    assert!(answer.contains(fixtures::PDF_ANSWER), "{answer}");
    let result = result(&app, &id).await;
    assert_eq!(result["engine"], "extractive");
    let note = result["notes"][0].as_str().unwrap();
    assert!(note.contains("remote is not available"), "{note}");
    app.stop().await;
}

#[tokio::test]
async fn unknown_models_and_schemas_are_refused_with_the_choices() {
    let app = TestApp::api_only().await;
    let reply = question()
        .text("model", "gpt-9")
        .text(
            "schema",
            r#"{"type":"object","properties":{"a":{"$ref":"http://x"}}}"#,
        )
        .send(&app)
        .await;
    assert_eq!(reply.status(), 422);
    let body: Value = reply.json().await.unwrap();
    let errors = body["errors"].as_array().unwrap();
    let of = |field: &str| errors.iter().find(|e| e["field"] == field).unwrap();
    assert_eq!(of("model")["code"], "unknown_model");
    assert!(
        of("model")["message"]
            .as_str()
            .unwrap()
            .contains("extractive")
    );
    assert_eq!(of("schema")["code"], "unsupported_schema");
    app.stop().await;
}

#[tokio::test]
async fn a_flat_schema_is_filled_from_the_document() {
    let app = TestApp::start().await;
    let schema = json!({"type": "object", "additionalProperties": false, "properties": {
        "opened": {"type": ["string", "null"], "format": "date", "description": "day on which the bridge was opened"},
        "captain": {"type": ["string", "null"], "format": "date", "description": "birthday of the zeppelin captain"},
    }, "required": ["opened", "captain"]});
    let id = question()
        .text("schema", &schema.to_string())
        .accepted(&app)
        .await;
    app.answer(&id).await;
    let record = result(&app, &id).await["record"].clone();
    assert_eq!(
        record["value"],
        json!({"opened": "1932-05-14", "captain": null})
    );
    let source = &record["sources"]["/opened"];
    assert!(
        source["page"].as_u64().is_some_and(|page| page > 0),
        "{source}"
    );
    assert!(
        source["quote"]
            .as_str()
            .unwrap()
            .contains(fixtures::PDF_ANSWER)
    );
    app.stop().await;
}

#[tokio::test]
async fn a_schema_that_needs_another_engine_fails_with_its_reason() {
    let app = TestApp::start().await;
    let schema =
        r#"{"type":"object","properties":{"dates":{"type":"array","items":{"type":"string"}}}}"#;
    let id = question().text("schema", schema).accepted(&app).await;
    let job = app.json(&format!("/api/jobs/{id}?wait=30")).await["data"].clone();
    assert_eq!(job["status"], "failed");
    assert!(
        job["error"]
            .as_str()
            .unwrap()
            .contains("generate or remote"),
        "{job}"
    );
    app.stop().await;
}

/// Answers one chat request with what the test wants, and gives back what was asked.
fn chat_server(reply: &str) -> (String, std::thread::JoinHandle<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let chunk = json!({"choices": [{"delta": {"content": reply}, "finish_reason": "stop"}]});
    let body = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut asked = vec![0; length];
        reader.read_exact(&mut asked).unwrap();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .unwrap();
        serde_json::from_slice(&asked).unwrap()
    };
    (url, std::thread::spawn(serve))
}

#[tokio::test]
async fn a_remote_model_answers_from_the_passages_and_is_checked() {
    static URL: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let (url, asked) = chat_server("It was opened on 14 May 1932 [p. 1] [p. 99].");
    URL.set(url).unwrap();
    let tweak = |config: &mut Config| {
        config.remote_url.clone_from(URL.get().unwrap());
        config.remote_model = "tiny".to_owned();
    };
    let app = TestApp::with(TestOptions {
        tweak,
        ..TestOptions::default()
    })
    .await;
    let id = question().text("model", "remote").accepted(&app).await;
    assert_eq!(
        app.answer(&id).await,
        "It was opened on 14 May 1932 [p. 1]."
    );
    let result = result(&app, &id).await;
    assert_eq!(
        (&result["engine"], &result["model"]),
        (&json!("remote"), &json!("tiny"))
    );
    let note = result["notes"].to_string();
    assert!(note.contains("1 citation was removed"), "{note}");
    let asked = asked.join().unwrap();
    assert!(
        asked["messages"][1]["content"]
            .as_str()
            .unwrap()
            .contains("[p. 1]")
    );
    assert_eq!(app.json("/health").await["models"]["remote"], "ready");
    app.stop().await;
}
