//! `quire doctor` beside a running server, without one, and its self-test.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{Process, command, free_port, signal};

fn data_dir() -> TempDir {
    let data = TempDir::new().unwrap();
    fs::set_permissions(
        data.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    data
}

async fn doctor(data: &Path, port: u16, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = command(data);
    command
        .args(["--port", &port.to_string(), "doctor"])
        .args(arguments)
        .envs(settings.iter().copied());
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// The findings by area; the first of each.
async fn json(data: &Path, port: u16, settings: &[(&str, &str)]) -> (Option<i32>, Value) {
    let output = doctor(data, port, settings, &["--json"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code(), report)
}

fn finding<'a>(report: &'a Value, area: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["area"] == area)
        .unwrap_or_else(|| panic!("nothing about {area} in {report}"))
}

#[tokio::test]
async fn without_a_server_it_tells_and_makes_nothing() {
    let place = data_dir();
    let data = place.path().join("data");
    let (code, report) = json(&data, free_port(), &[]).await;
    assert_eq!(
        (code, &report["ok"]),
        (Some(0), &Value::Bool(true)),
        "{report}"
    );
    let directory = finding(&report, "data directory");
    assert!(
        directory["says"]
            .as_str()
            .unwrap()
            .contains("the first start makes it"),
        "{report}"
    );
    assert_eq!(finding(&report, "postgres")["level"], "note");
    assert_eq!(finding(&report, "model")["level"], "warning");
    assert!(!data.exists(), "looking makes nothing");
}

#[tokio::test]
async fn beside_a_server_it_shows_everything_and_harms_nothing() {
    let data = data_dir();
    let port = free_port();
    let server = Process::serve(data.path(), port);
    let (code, report) = json(data.path(), port, &[]).await;
    assert_eq!(code, Some(0), "{report}");
    for area in [
        "data directory",
        "postgres",
        "schema",
        "workers",
        "queue",
        "files",
        "port",
    ] {
        assert_eq!(finding(&report, area)["level"], "ok", "{report}");
    }
    let text = |area| finding(&report, area)["says"].as_str().unwrap().to_owned();
    assert!(text("workers").starts_with("1 alive"), "{report}");
    assert!(text("port").contains("a quire server answers"), "{report}");
    assert!(
        text("postgres").starts_with("embedded, version"),
        "{report}"
    );

    let output = doctor(data.path(), port, &[], &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("ok       schema") && !text.contains('\x1b'),
        "{text}"
    );
    assert_eq!(server.terminate(), Some(0));

    let (code, report) = json(data.path(), port, &[]).await;
    assert_eq!(code, Some(0), "{report}");
    let says = finding(&report, "postgres")["says"].as_str().unwrap();
    assert!(says.contains("not running"), "{report}");
    assert!(!data.path().join("postgres/cluster/postmaster.pid").exists());
}

#[tokio::test]
async fn a_problem_comes_with_its_remedy_and_an_exit_code() {
    let data = data_dir();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let settings = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("QUIRE_OCR_LANGUAGES", "xyz"),
    ];
    let (code, report) = json(data.path(), port, &settings).await;
    assert_eq!(
        (code, &report["ok"]),
        (Some(1), &Value::Bool(false)),
        "{report}"
    );
    let (postgres, port) = (finding(&report, "postgres"), finding(&report, "port"));
    assert_eq!(postgres["level"], "problem");
    assert!(
        postgres["remedy"]
            .as_str()
            .unwrap()
            .contains("DATABASE_URL")
    );
    assert_eq!(port["level"], "problem");
    assert!(port["remedy"].as_str().unwrap().contains("--port"));
    assert_eq!(finding(&report, "tesseract")["level"], "warning");
}

/// Scratch directories of self-tests whose temporary directory is `place`.
fn left(place: &Path) -> Vec<String> {
    fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn the_self_test_kills_workers_and_loses_nothing() {
    let place = data_dir();
    let settings = [("TMPDIR", place.path().to_str().unwrap())];
    let output = doctor(
        &place.path().join("data"),
        1,
        &settings,
        &["--self-test", "--json"],
    )
    .await;
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}{errors}");
    let result: Value = serde_json::from_str(&text).unwrap();
    let report = &result["report"];
    assert_eq!(result["passed"], true, "{result}");
    assert_eq!(report["accepted"], report["completed"], "{result}");
    assert_eq!(
        (&report["lost"], &report["doubled"]),
        (&0.into(), &0.into())
    );
    assert!(
        report["recovery_ms"].as_array().unwrap().len() >= 3,
        "{result}"
    );
    assert_eq!(left(place.path()), Vec::<String>::new());
}

#[tokio::test]
async fn an_interrupted_self_test_leaves_nothing_behind() {
    let place = data_dir();
    let mut test = command(&place.path().join("data"))
        .args(["doctor", "--self-test"])
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(test.stdout.take().unwrap()).lines();
    let begun = lines.find(|line| line.as_ref().unwrap().contains("accepted"));
    assert!(begun.is_some());
    assert_eq!(left(place.path()).len(), 1);
    signal(test.id(), "INT");
    // Read to the end, so that it is never held up by the pipe.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(
        rest.iter().any(|line| line.contains("cleaning up")),
        "{rest:?}"
    );
    assert_eq!(test.wait().unwrap().code(), Some(130));
    assert_eq!(left(place.path()), Vec::<String>::new());
}
