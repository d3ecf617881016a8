//! The command line: help, settings, `quire ask` against a running and its own server.

use tempfile::TempDir;

use crate::support::{TestApp, fixtures, process::command};

fn data_dir() -> TempDir {
    let data = TempDir::new().unwrap();
    std::fs::set_permissions(
        data.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    data
}

/// Runs the program off the async threads.
async fn run(mut command: std::process::Command) -> (Option<i32>, String, String) {
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn help_teaches_every_command() {
    let data = data_dir();
    let mut help = command(data.path());
    help.arg("--help");
    let (code, text, _) = run(help).await;
    assert_eq!(code, Some(0));
    for word in [
        "serve",
        "worker",
        "migrate",
        "models",
        "ask",
        "openapi",
        "config",
        "Examples:",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[tokio::test]
async fn impossible_settings_are_refused_before_anything_starts() {
    for (name, value, named) in [
        ("QUIRE_PORT", "banana", "port"),
        ("QUIRE_BIND", "0.0.0.0", "bind"),
        ("QUIRE_COLOR", "red", "color"),
    ] {
        let data = data_dir();
        let mut serve = command(data.path());
        serve.env(name, value);
        let (code, _, text) = run(serve).await;
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(&format!("`{named}`")), "{text}");
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn openapi_prints_the_document_and_config_its_origins() {
    let data = data_dir();
    let mut openapi = command(data.path());
    openapi.arg("openapi");
    let (code, text, _) = run(openapi).await;
    assert_eq!(code, Some(0));
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(document["paths"]["/api/upload"]["post"].is_object());
    let mut show = command(data.path());
    show.args(["config", "show"]).env("QUIRE_WORKERS", "3");
    let (_, text, _) = run(show).await;
    assert!(
        text.contains("workers = 3  # environment") && text.contains("# command line"),
        "{text}"
    );
}

#[tokio::test]
async fn ask_streams_the_answer_of_a_running_server() {
    let app = TestApp::start().await;
    let data = data_dir();
    let file = data.path().join("report.pdf");
    std::fs::write(&file, fixtures::pdf()).unwrap();
    let mut ask = command(data.path());
    ask.args(["ask", "--url", &app.base])
        .arg(&file)
        .arg(fixtures::PDF_QUESTION);
    let (code, text, errors) = run(ask).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains(fixtures::PDF_ANSWER), "{text}");
    let mut json = command(data.path());
    json.args(["ask", "--json", "--url", &app.base])
        .arg(&file)
        .arg(fixtures::PDF_QUESTION);
    let (code, text, errors) = run(json).await;
    assert_eq!(code, Some(0), "{errors}");
    let result: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(result["engine"], "extractive", "{result}");
    app.stop().await;
}

#[tokio::test]
async fn ask_opens_an_encrypted_file_with_the_password_in_a_file() {
    let app = TestApp::start().await;
    let data = data_dir();
    let (file, secret) = (data.path().join("locked.pdf"), data.path().join("secret"));
    std::fs::write(&file, fixtures::locked_pdf()).unwrap();
    let ask = |password: &str| {
        std::fs::write(&secret, password).unwrap();
        let mut ask = command(data.path());
        ask.args(["ask", "--url", &app.base, "--password-file"])
            .arg(&secret)
            .arg(&file)
            .arg(fixtures::PDF_QUESTION);
        ask
    };
    let (code, text, errors) = run(ask(&format!("{}\n", fixtures::USER_PASSWORD))).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains(fixtures::PDF_ANSWER), "{text}");
    let (code, _, errors) = run(ask("guess\n")).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("password") && !errors.contains("guess"),
        "{errors}"
    );
    app.stop().await;
}

#[tokio::test]
async fn ask_fills_a_record_that_fits_the_schema_in_a_file() {
    let app = TestApp::start().await;
    let data = data_dir();
    let (file, schema) = (
        data.path().join("invoice.txt"),
        data.path().join("invoice.json"),
    );
    std::fs::write(&file, "Invoice number: 4711\n\nTotal: 90 EUR\n").unwrap();
    let fields = r#"{"type": "object", "properties": {"invoice_number": {"type": "integer"}}, "required": ["invoice_number"]}"#;
    std::fs::write(&schema, fields).unwrap();
    let mut ask = command(data.path());
    ask.args([
        "ask",
        "--url",
        &app.base,
        "--model",
        "extractive",
        "--schema",
    ])
    .arg(&schema)
    .arg(&file)
    .arg("Fill in the record.");
    let (code, text, errors) = run(ask).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("4711"), "{text}");
    app.stop().await;
}

#[tokio::test]
async fn ask_tells_a_failure_by_its_exit_code() {
    let app = TestApp::start().await;
    let data = data_dir();
    let file = data.path().join("broken.pdf");
    std::fs::write(&file, b"%PDF-1.4\nno document").unwrap();
    let mut ask = command(data.path());
    ask.args(["ask", "--url", &app.base])
        .arg(&file)
        .arg("Summarise");
    let (code, _, errors) = run(ask).await;
    assert_eq!(code, Some(1), "{errors}");
    let mut missing = command(data.path());
    missing.args([
        "ask",
        "--url",
        &app.base,
        "/nowhere/at/all.pdf",
        "Summarise",
    ]);
    let (code, _, errors) = run(missing).await;
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("/nowhere/at/all.pdf"), "{errors}");
    app.stop().await;
}

#[tokio::test]
async fn ask_starts_its_own_server_when_none_runs() {
    let data = data_dir();
    let file = data.path().join("report.pdf");
    std::fs::write(&file, fixtures::pdf()).unwrap();
    let mut ask = command(data.path());
    ask.args([
        "--port",
        &crate::support::process::free_port().to_string(),
        "ask",
    ])
    .arg(&file)
    .arg(fixtures::PDF_QUESTION);
    let (code, text, errors) = run(ask).await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains(fixtures::PDF_ANSWER), "{text}");
}
