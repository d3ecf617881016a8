//! `quire ingest`: the real program against a real server, killed, interrupted, refused and left alone.

use std::{
    collections::HashSet,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    TestApp,
    app::TestOptions,
    client::PATIENCE,
    fixtures,
    process::{Process, command, free_port, signal},
};

/// What is asked about every table.
const QUESTION: &str = "How many rows are there?";

/// A run that starts several hundred jobs on a loaded machine.
const LONG: Duration = Duration::from_mins(3);

/// A directory of `files` tables, each with another content, in two levels.
fn tables(files: usize) -> TempDir {
    let dir = TempDir::new().unwrap();
    for n in 0..files {
        let below = dir.path().join(format!("part-{}", n % 3));
        std::fs::create_dir_all(&below).unwrap();
        add_table(&below.join(format!("table-{n:04}.csv")), n);
    }
    dir
}

fn add_table(path: &Path, n: usize) {
    std::fs::write(path, format!("station,level\ngauge-{n},{n}\nother,5\n")).unwrap();
}

/// Paths below `dir` in the order of the input.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = walk(dir)
        .into_iter()
        .map(|path| path.strip_prefix(dir).unwrap().display().to_string())
        .collect();
    names.sort();
    names
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

/// `quire ingest` of a directory into the server at `url`.
fn ingest(dir: &Path, url: &str, out: &Path) -> Command {
    let mut ingest = command(dir);
    ingest
        .args(["ingest", "--url", url, "--out"])
        .arg(out)
        .arg(dir)
        .arg(QUESTION);
    ingest
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

async fn end(child: Child) -> Output {
    tokio::task::spawn_blocking(move || child.wait_with_output().unwrap())
        .await
        .unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn lines(out: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(out).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every job of the server, by id.
async fn jobs(base: &str) -> HashSet<String> {
    let (mut jobs, mut cursor) = (HashSet::new(), String::new());
    loop {
        let url = format!("{base}/api/jobs?limit=200&cursor={cursor}");
        let page: Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
        for job in page["data"].as_array().unwrap() {
            jobs.insert(job["job_id"].as_str().unwrap().to_owned());
        }
        match page["page"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return jobs,
        }
    }
}

/// Waits until the server has at least `least` jobs.
async fn have(base: &str, least: usize) {
    let waiting = async {
        while jobs(base).await.len() < least {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("the files did not arrive");
}

/// The results are those of the directory: every file once, in order, answered, each by a job of its own.
fn assert_answered(out: &Path, dir: &Path) {
    let lines = lines(out);
    let references: Vec<_> = lines
        .iter()
        .map(|line| line["reference"].as_str().unwrap())
        .collect();
    assert_eq!(references, names(dir));
    let mut jobs = HashSet::new();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
        assert_eq!(line["status"], "completed", "{line}");
        assert!(!line["answer"].as_str().unwrap().is_empty(), "{line}");
        assert!(
            jobs.insert(line["job_id"].as_str().unwrap().to_owned()),
            "one job each"
        );
    }
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_sent() {
    let dir = tables(4);
    std::fs::write(dir.path().join("notes.bin"), "x").unwrap();
    let mut dry = command(dir.path());
    dry.args(["ingest", "--dry-run", "--url", "http://127.0.0.1:1"])
        .arg(dir.path())
        .arg(QUESTION);
    let output = run(dry).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.starts_with("part-0/table-0000.csv\t"), "{text}");
    assert!(
        errors(&output).contains("1 file of another kind"),
        "{}",
        errors(&output)
    );
}

#[tokio::test]
async fn wrong_use_is_said_before_a_server_is_needed() {
    let dir = TempDir::new().unwrap();
    for (arguments, named) in [
        (&["none.pdf", "Why?"][..], "none.pdf"),
        (&[".", "Why?"], "no PDF"),
    ] {
        let mut wrong = command(dir.path());
        wrong.arg("ingest").args(arguments).current_dir(dir.path());
        let output = run(wrong).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(errors(&output).contains(named), "{}", errors(&output));
    }
}

#[tokio::test]
async fn failures_are_told_and_the_rest_is_answered() {
    let app = TestApp::start().await;
    let dir = tables(6);
    std::fs::write(dir.path().join("broken.pdf"), b"%PDF-1.4\nno document").unwrap();
    std::fs::write(dir.path().join("program.pdf"), b"\x7fELF\x02\x01\x01\0\0").unwrap();
    let results = TempDir::new().unwrap();
    let out = results.path().join("out.jsonl");
    let output = run(ingest(dir.path(), &app.base, &out)).await;
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("8 files: 6 answered, 2 failed"), "{text}");
    assert!(
        text.contains("broken.pdf: ") && text.contains("program.pdf: "),
        "{text}"
    );
    let lines = lines(&out);
    let statuses: Vec<_> = lines
        .iter()
        .map(|line| line["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses[0], "failed", "{}", lines[0]);
    assert_eq!(statuses[7], "refused", "{}", lines[7]);
    assert!(
        statuses[1..7].iter().all(|status| *status == "completed"),
        "{statuses:?}"
    );

    let job = lines[0]["job_id"].as_str().unwrap();
    let mut again = ingest(dir.path(), &app.base, &out);
    again.arg("--retry-failed");
    let output = run(again).await;
    assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    let timeline =
        app.json(&format!("/api/jobs/{job}?expand=timeline")).await["data"]["timeline"].clone();
    let failures = timeline.as_array().unwrap().iter();
    let failures = failures.filter(|entry| entry["event"] == "failed").count();
    assert_eq!(failures, 2, "it was tried again: {timeline}");
    assert_eq!(jobs(&app.base).await.len(), 7, "and nothing was sent twice");
    app.stop().await;
}

#[tokio::test]
async fn a_list_asks_each_file_its_own_question() {
    let app = TestApp::start().await;
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("report.pdf"), fixtures::pdf()).unwrap();
    std::fs::write(dir.path().join("gauges.csv"), fixtures::csv()).unwrap();
    let list = format!(
        "file,prompt,reference\ngauges.csv,{},g\nreport.pdf,{},r\n",
        fixtures::CSV_QUESTION,
        fixtures::PDF_QUESTION
    );
    std::fs::write(dir.path().join("list.csv"), list).unwrap();
    let mut ingest = command(dir.path());
    ingest
        .args(["ingest", "--out", "-", "--url", &app.base])
        .arg(dir.path().join("list.csv"));
    let output = run(ingest).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["reference"], "g");
    assert!(
        lines[0]["answer"]
            .as_str()
            .unwrap()
            .contains(fixtures::CSV_ANSWER),
        "{text}"
    );
    assert!(
        lines[1]["answer"]
            .as_str()
            .unwrap()
            .contains(fixtures::PDF_ANSWER),
        "{text}"
    );
    assert_eq!(lines[1]["citations"][0]["page"], 1, "{text}");
    app.stop().await;
}

#[tokio::test]
async fn without_a_server_it_runs_one_of_its_own() {
    let data = TempDir::new().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(data.path(), open).unwrap();
    let dir = tables(3);
    let out = dir.path().join("out.jsonl");
    let mut ingest = command(data.path());
    ingest
        .args(["--port", &free_port().to_string(), "ingest", "--out"])
        .arg(&out)
        .arg(dir.path())
        .arg(QUESTION);
    let output = run(ingest).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(lines(&out).len(), 3);
}

#[tokio::test]
async fn killed_and_run_again_every_file_is_one_job() {
    const FILES: usize = 300;
    let app = TestApp::start().await;
    let dir = tables(FILES);
    let results = TempDir::new().unwrap();
    let out = results.path().join("out.jsonl");
    let mut first = ingest(dir.path(), &app.base, &out)
        .args(["--parallel", "2"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    have(&app.base, 40).await;
    first.kill().unwrap();
    first.wait().unwrap();
    let halfway = jobs(&app.base).await.len();
    assert!(
        halfway < FILES,
        "killed too late to show anything: {halfway}"
    );
    assert!(!out.exists(), "a result file is whole or not there");

    let output = tokio::time::timeout(LONG, run(ingest(dir.path(), &app.base, &out)))
        .await
        .expect("the second run does not end");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(jobs(&app.base).await.len(), FILES);
    assert_answered(&out, dir.path());

    // A third run finds everything, and a file that was added, in the middle.
    let before = jobs(&app.base).await;
    add_table(&dir.path().join("part-1/table-0000b.csv"), 1_000);
    let output = run(ingest(dir.path(), &app.base, &out)).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let after = jobs(&app.base).await;
    assert_eq!(after.len(), FILES + 1);
    assert!(after.is_superset(&before));
    assert_answered(&out, dir.path());
    let batches = app.json("/api/batches").await;
    assert_eq!(batches["data"].as_array().unwrap().len(), 1, "{batches}");
    assert_eq!(batches["data"][0]["items"], FILES + 1, "{batches}");
    app.stop().await;
}

#[tokio::test]
async fn ctrl_c_stops_cleanly_and_says_how_to_go_on() {
    // Nothing is answered, so the program waits.
    let app = TestApp::api_only().await;
    let dir = tables(30);
    let results = TempDir::new().unwrap();
    let out = results.path().join("out.jsonl");
    let child = ingest(dir.path(), &app.base, &out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    have(&app.base, 30).await;
    signal(child.id(), "INT");
    let output = tokio::time::timeout(PATIENCE, end(child))
        .await
        .expect("it stops");
    let text = errors(&output);
    assert_eq!(output.status.code(), Some(130), "{text}");
    assert!(
        text.contains("interrupted: 30 of 30") && text.contains("run the same command again"),
        "{text}"
    );
    assert!(!out.exists());
    let mut leave = command(dir.path());
    leave
        .args(["ingest", "--no-wait", "--url", &app.base])
        .arg(dir.path())
        .arg(QUESTION);
    let output = run(leave).await;
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(
        errors(&output).contains("30 not ended"),
        "{}",
        errors(&output)
    );
    assert_eq!(jobs(&app.base).await.len(), 30);
    app.stop().await;
}

#[tokio::test]
async fn a_full_queue_slows_the_program_down_and_stops_nothing() {
    let app = TestApp::with(TestOptions {
        max_waiting_jobs: 16,
        ..TestOptions::default()
    })
    .await;
    let dir = tables(40);
    let results = TempDir::new().unwrap();
    let out = results.path().join("out.jsonl");
    let output = tokio::time::timeout(LONG, run(ingest(dir.path(), &app.base, &out)))
        .await
        .expect("it goes on while the queue drains");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(jobs(&app.base).await.len(), 40);
    assert_answered(&out, dir.path());
    let metrics = app.get("/metrics").await.text().await.unwrap();
    let refused = metrics
        .lines()
        .any(|line| line.contains("/files") && line.contains("status=\"503\""));
    assert!(refused, "the queue was never full");
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_waited_for() {
    const FILES: usize = 120;
    let data = TempDir::new().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(data.path(), open).unwrap();
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let server = Process::serve(data.path(), port);
    let dir = tables(FILES);
    let results = TempDir::new().unwrap();
    let out = results.path().join("out.jsonl");
    let child = ingest(dir.path(), &base, &out)
        .args(["--parallel", "1"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    have(&base, 20).await;
    server.kill();
    let server = Process::serve(data.path(), port);
    let output = tokio::time::timeout(LONG, end(child))
        .await
        .expect("it goes on");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(jobs(&base).await.len(), FILES);
    assert_answered(&out, dir.path());
    assert_eq!(server.terminate(), Some(0));
}
