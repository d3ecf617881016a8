//! `quire extract`: no server, no database, many files, one order.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{TestApp, Upload, fixtures, process::command};

fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(path)
}

/// Exit code, standard output and standard error of `quire extract`.
async fn extract(arguments: &[&str], files: &[PathBuf]) -> (Option<i32>, String, String) {
    let data = TempDir::new().unwrap();
    let mut command = command(data.path());
    command.arg("extract").args(files).args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    assert!(
        !data.path().join("postgres").exists(),
        "no database was started"
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[tokio::test]
async fn one_file_is_printed_and_a_password_opens_it() {
    let (code, text, errors) = extract(&[], &[fixture("pdf/bridge-report/input.pdf")]).await;
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(
        text.contains("<!-- page 1 -->") && text.contains(fixtures::PDF_ANSWER),
        "{text}"
    );
    let locked = [fixture("pdf/locked-report/input.pdf")];
    let (code, text, errors) = extract(&["--format", "text"], &locked).await;
    assert_eq!((code, text.as_str()), (Some(1), ""));
    assert!(errors.contains("(password_needed)"), "{errors}");
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), format!("{}\n", fixtures::OWNER_PASSWORD)).unwrap();
    let path = secret.path().to_str().unwrap();
    let (code, text, _) = extract(&["--format", "text", "--password-file", path], &locked).await;
    assert_eq!(code, Some(0));
    assert!(text.contains(fixtures::PDF_ANSWER), "{text}");
}

#[tokio::test]
async fn many_files_are_lines_in_their_order_and_failures_stop_nobody() {
    let files = [
        "pdf/three-pages/input.pdf",
        "nowhere.pdf",
        "csv/river-gauges/input.csv",
        "docx/lease/input.docx",
    ];
    let (code, text, errors) =
        extract(&["--format", "json", "--jobs", "3"], &files.map(fixture)).await;
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("nowhere.pdf") && errors.lines().count() == 1,
        "{errors}"
    );
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said: Vec<_> = lines
        .iter()
        .map(|line| {
            line["document"]["media"]
                .as_str()
                .or(line["error"]["code"].as_str())
                .unwrap()
        })
        .collect();
    assert_eq!(said, ["pdf", "file_unreadable", "csv", "docx"]);
    for (line, file) in lines.iter().zip(files) {
        assert!(line["file"].as_str().unwrap().ends_with(file));
    }
}

#[tokio::test]
async fn a_directory_gets_a_file_for_each() {
    let out = TempDir::new().unwrap();
    let path = out.path().join("new");
    let files = [
        "html/market/input.html",
        "eml/letter/input.eml",
        "html/hidden/input.html",
    ]
    .map(fixture);
    let (code, text, _) = extract(
        &[
            "--format",
            "chunks",
            "--tokens",
            "40",
            "--out",
            path.to_str().unwrap(),
        ],
        &files,
    )
    .await;
    assert_eq!((code, text.as_str()), (Some(0), ""));
    for name in ["input.html.jsonl", "input.eml.jsonl", "input.html-2.jsonl"] {
        let lines = std::fs::read_to_string(path.join(name)).unwrap();
        let chunk: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        assert!(
            chunk["file"].is_string() && chunk["text"].is_string(),
            "{name}: {chunk}"
        );
    }
}

#[tokio::test]
async fn the_server_and_the_command_line_give_the_same_document() {
    let (_, printed, _) = extract(
        &["--format", "json"],
        &[fixture("pdf/two-columns/input.pdf")],
    )
    .await;
    let app = TestApp::start().await;
    let bytes = fixtures::file("pdf/two-columns/input.pdf");
    let id = Upload::new("input.pdf", bytes, "?").accepted(&app).await;
    app.ended(&id).await;
    let reply = app
        .get(&format!("/api/jobs/{id}/document"))
        .await
        .text()
        .await
        .unwrap();
    let document = printed.trim_end();
    assert_eq!(reply, format!("{{\"success\":true,\"data\":{document}}}"));
    app.stop().await;
}

#[tokio::test]
async fn wrong_use_is_told_and_help_teaches() {
    let (code, _, errors) = extract(&[], &[]).await;
    assert_eq!(code, Some(2));
    assert!(errors.contains("FILE"), "{errors}");
    let (code, text, _) = extract(&["--help"], &[]).await;
    assert_eq!(code, Some(0));
    for word in ["Examples:", "--password-file", "chunks", "Exit code"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
    let one = [fixture("csv/river-gauges/input.csv")];
    let (code, _, errors) = extract(&["--password-file", "/nowhere"], &one).await;
    assert_eq!(code, Some(2));
    assert!(errors.contains("/nowhere"), "{errors}");
}

/// Children of a process, by their ids.
fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task");
    let tasks = std::fs::read_dir(path).unwrap().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let text: String = lists.collect();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn ctrl_c_stops_it_and_its_children() {
    use std::io::{BufRead as _, BufReader};
    let data = TempDir::new().unwrap();
    let mut command = command(data.path());
    command.args(["extract", "--format", "json", "--jobs", "2"]);
    command.args(vec![fixture("pdf/three-pages/input.pdf"); 5_000]);
    command.stdout(std::process::Stdio::piped());
    let stopped = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        let parsers = children(child.id());
        assert!(!parsers.is_empty());
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        let rest = output.lines().count();
        assert!(rest < 4_999, "it went on to the end");
        (child.wait().unwrap().code(), parsers)
    });
    let (code, parsers) = stopped.await.unwrap();
    assert_eq!(code, Some(130));
    for parser in parsers {
        let state = std::fs::read_to_string(format!("/proc/{parser}/stat")).unwrap_or_default();
        let gone = state.is_empty() || state.contains(") Z ") || !state.contains("quire-parse");
        assert!(gone, "{state}");
    }
}
