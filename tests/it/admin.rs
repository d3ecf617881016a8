//! The operator's view: the queue in one snapshot, live and over HTTP, pause and resume, dead letters, metrics, the page.

use std::{collections::BTreeSet, time::Duration};

use quire_store::testing::TestDb;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    Socket, TestApp, Upload,
    app::TestOptions,
    fixtures,
    proxy::{Fault, FaultProxy},
    socket::Received,
};

/// Families that a server shows only after something has happened that these tests do not make happen.
const NOT_ALWAYS: &[&str] = &["quire_trimmed_entries_total"];

/// Sockets that watch the queue at once.
const WATCHERS: usize = 30;

async fn queue(app: &TestApp) -> Value {
    app.json("/api/admin/queue").await["data"].clone()
}

fn csv(prompt: &str) -> Upload {
    Upload::new("table.csv", fixtures::csv(), prompt)
}

#[tokio::test]
async fn the_queue_is_shown_in_one_piece() {
    let app = TestApp::api_only().await;
    csv("now").accepted(&app).await;
    csv("now, too").accepted(&app).await;
    csv("later")
        .text("scheduled_at", "2999-01-01T00:00:00Z")
        .accepted(&app)
        .await;
    let cancelled = csv("never").accepted(&app).await;
    app.post(&format!("/api/jobs/{cancelled}/cancel")).await;
    let queue = queue(&app).await;
    assert_eq!(
        queue["jobs"],
        json!({"queued": 2, "scheduled": 1, "running": 0, "streaming": 0,
               "completed": 0, "failed": 0, "cancelled": 1, "dead": 0})
    );
    let extract = &queue["queues"][0];
    assert_eq!(
        (&extract["name"], &extract["waiting"], &extract["scheduled"]),
        (&json!("extract"), &json!(2), &json!(1))
    );
    assert!(queue["oldest_waiting_seconds"].as_f64().unwrap() < 60.0);
    assert_eq!(queue["workers"], json!([]));
    assert_eq!(queue["wait_seconds"], Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn a_completed_job_is_in_every_number() {
    let app = TestApp::start().await;
    let id = csv("How many rows?").accepted(&app).await;
    app.answer(&id).await;
    let queue = queue(&app).await;
    assert_eq!(queue["jobs"]["completed"], 1);
    assert!(queue["completed_per_minute"]["1m"].as_f64().unwrap() > 0.0);
    for times in ["wait_seconds", "run_seconds"] {
        assert!(queue[times]["p95"].as_f64().unwrap() >= 0.0, "{queue}");
    }
    let workers = app.json("/api/admin/workers").await["data"].clone();
    assert_eq!(workers.as_array().unwrap().len(), 1);
    assert_eq!(
        (&workers[0]["responding"], &workers[0]["jobs"]),
        (&json!(true), &json!(0))
    );
    app.stop().await;
}

#[tokio::test]
async fn a_paused_queue_waits_until_it_is_resumed() {
    let app = TestApp::start().await;
    let paused = app.post("/api/admin/queues/answer/pause").await;
    assert_eq!(paused.status(), StatusCode::OK);
    let paused: Value = paused.json().await.unwrap();
    assert_eq!(
        (&paused["success"], &paused["data"]["paused"]),
        (&json!(true), &json!(true))
    );
    let id = csv("How many rows?").accepted(&app).await;
    // The job comes to the queue that is paused, and there it stays.
    let mut socket = watcher(&app).await;
    loop {
        let queue = &socket.json().await["queue"];
        assert_eq!(queue["jobs"]["completed"], 0);
        if queue["queues"][1]["waiting"] == 1 {
            break;
        }
    }
    let resumed: Value = app
        .post("/api/admin/queues/answer/resume")
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(resumed["data"]["paused"], false);
    app.answer(&id).await;
    for path in [
        "/api/admin/queues/chat/pause",
        "/api/admin/queues/quire.answer/resume",
    ] {
        let unknown = app.post(path).await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
        let error: Value = unknown.json().await.unwrap();
        assert_eq!(
            (&error["code"], &error["error"]),
            (&json!("not_found"), &json!("queue not found"))
        );
    }
    app.stop().await;
}

async fn watcher(app: &TestApp) -> Socket {
    let mut socket = Socket::connect_v1(app.address).await;
    socket
        .send(&json!({"type": "hello", "topics": ["admin"]}))
        .await;
    socket
}

#[tokio::test]
async fn all_who_watch_the_queue_share_one_look_at_it() {
    let app = TestApp::api_only().await;
    // It asks and never reads: nobody else may notice.
    let _deaf = watcher(&app).await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        watchers.push(watcher(&app).await);
    }
    for socket in &mut watchers {
        let first = socket.json().await;
        assert_eq!(first["type"], "admin");
        assert_eq!(first["queue"]["jobs"]["queued"], 0);
    }
    csv("seen by all").accepted(&app).await;
    let mut looks = BTreeSet::new();
    for socket in &mut watchers {
        loop {
            let frame = socket.json().await;
            if frame["queue"]["jobs"]["queued"] == 1 {
                looks.insert(frame["queue"]["at"].as_str().unwrap().to_owned());
                break;
            }
        }
    }
    // One, if this test is not held up for longer than a refresh takes.
    assert!(looks.len() < WATCHERS / 3, "{looks:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_watcher_is_told_of_changes_and_of_nothing_else() {
    let app = TestApp::api_only().await;
    let mut socket = watcher(&app).await;
    socket.json().await;
    let id = csv("one").accepted(&app).await;
    while socket.json().await["queue"]["jobs"]["queued"] != 1 {}
    app.post("/api/admin/queues/extract/pause").await;
    while socket.json().await["queue"]["queues"][0]["paused"] != true {}
    app.post(&format!("/api/jobs/{id}/cancel")).await;
    while socket.json().await["queue"]["jobs"]["cancelled"] != 1 {}
    // Another hello without the topic ends it; what was on its way may still come.
    socket.send(&json!({"type": "hello", "topics": []})).await;
    socket.send(&json!({"type": "ping"})).await;
    while socket.json().await["type"] != "pong" {}
    csv("two").accepted(&app).await;
    let silent = socket.next_within(Duration::from_secs(3)).await;
    assert!(!matches!(silent, Some(Received::Frame(_))), "{silent:?}");
    app.stop().await;
}

#[tokio::test]
async fn dead_letters_are_listed_and_come_back() {
    let app = TestApp::start().await;
    let broken = |name: &str| Upload::new(name, b"%PDF-1.7\nnothing of a PDF".to_vec(), "What?");
    let mut ids = Vec::new();
    for name in ["one.pdf", "two.pdf", "three.pdf"] {
        let id = broken(name).accepted(&app).await;
        assert_eq!(app.ended(&id).await["status"], "failed");
        ids.push(id);
    }
    let first = app.json("/api/admin/dead?limit=2").await;
    assert_eq!(first["page"]["total_estimate"], 3);
    let cursor = first["page"]["next_cursor"].as_str().unwrap();
    let second = app
        .json(&format!("/api/admin/dead?limit=2&cursor={cursor}"))
        .await;
    let letters = [
        first["data"].as_array().unwrap().clone(),
        second["data"].as_array().unwrap().clone(),
    ]
    .concat();
    let listed: Vec<_> = letters
        .iter()
        .map(|l| l["job_id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, [ids[2].as_str(), ids[1].as_str(), ids[0].as_str()]);
    let letter = &letters[0];
    assert_eq!(
        (&letter["file_name"], &letter["state"], &letter["queue"]),
        (&json!("three.pdf"), &json!("failed"), &json!("extract"))
    );
    let code = letter["code"].as_str().unwrap();
    assert_eq!(
        app.json(&format!("/api/admin/dead?code={code}")).await["page"]["total_estimate"],
        3
    );
    assert_eq!(
        app.json("/api/admin/dead?code=other").await["data"],
        json!([])
    );

    // Held, so that what comes back can be seen to wait.
    app.post("/api/admin/queues/extract/pause").await;
    let requeue = async |body: Value| {
        let url = format!("{}/api/admin/dead/requeue", app.base);
        app.http.post(url).json(&body).send().await.unwrap()
    };
    let reply: Value = requeue(json!({"job_ids": [ids[0]]}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(reply["data"], json!({"requeued": 1, "remaining": 0}));
    assert_eq!(app.job(&ids[0]).await["status"], "pending");
    let reply: Value = requeue(json!({"code": code, "limit": 1}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(reply["data"], json!({"requeued": 1, "remaining": 1}));
    assert_eq!(app.job(&ids[1]).await["status"], "pending");
    assert_eq!(app.job(&ids[2]).await["status"], "failed");
    let refused = requeue(json!({})).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    app.post("/api/admin/queues/extract/resume").await;
    assert_eq!(app.ended(&ids[0]).await["status"], "failed");
    for path in ["/api/admin/dead?limit=0", "/api/admin/dead?cursor=x"] {
        assert_eq!(
            app.get(path).await.status(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "{path}"
        );
    }
    app.stop().await;
}

/// Name and type of every family that the server shows.
fn families(metrics: &str) -> BTreeSet<(String, String)> {
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .filter_map(|line| line.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Name and type of every family in the table of docs/metrics.md.
fn documented() -> BTreeSet<(String, String)> {
    let rows = include_str!("../../docs/metrics.md").lines();
    let rows = rows.filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next().unwrap().trim_end_matches('`');
        (name.to_owned(), cells.next().unwrap().to_owned())
    })
    .collect()
}

#[tokio::test]
async fn the_metrics_are_those_of_the_document() {
    let app = TestApp::start().await;
    let _socket = Socket::connect(app.address, "/ws").await;
    let id = csv("How many rows?").accepted(&app).await;
    app.answer(&id).await;
    let text = app.get("/metrics").await.text().await.unwrap();
    let (shown, documented) = (families(&text), documented());
    let undocumented: Vec<_> = shown.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "not in docs/metrics.md: {undocumented:?}"
    );
    let missing = documented.difference(&shown);
    let missing: Vec<_> = missing
        .filter(|(name, _)| !NOT_ALWAYS.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "not shown: {missing:?}\n{text}");
    for line in [
        r#"quire_jobs{state="completed"} 1"#,
        r#"quire_queue_depth{queue="extract",state="queued"} 0"#,
        r#"quire_jobs_ended_total{queue="answer",state="completed"} 1"#,
        r#"quire_attempts_total{queue="extract"} 1"#,
        r#"quire_attempts_total{queue="answer"} 1"#,
        r#"quire_rescues_total{queue="extract"} 0"#,
        r#"quire_job_run_seconds_bucket{le="+Inf"} 1"#,
        "quire_job_run_seconds_count 1",
        "quire_job_wait_seconds_count 1",
        r#"quire_sockets_open{protocol="contract"} 1"#,
        "quire_database_up 1",
        "quire_workers 1",
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "{line} is missing in\n{text}"
        );
    }
    assert!(!text.contains("quire_events_flushed_total 0\n"), "{text}");
    app.stop().await;
}

#[tokio::test]
async fn without_the_database_the_process_still_has_its_numbers() {
    let db = TestDb::new().await;
    let proxy = FaultProxy::start(db.url()).await;
    let options = TestOptions {
        database_url: Some(proxy.url.clone()),
        ..TestOptions::default()
    };
    let app = TestApp::on(db, options).await;
    assert!(
        app.get("/metrics")
            .await
            .text()
            .await
            .unwrap()
            .contains("quire_queue_depth{")
    );
    proxy.set(Fault::Cut);
    let text = async || app.get("/metrics").await.text().await.unwrap();
    // What was read a moment ago may still be shown.
    let gone = async {
        loop {
            let text = text().await;
            if text.contains("quire_database_up 0\n") && !text.contains("quire_queue_depth{") {
                return text;
            }
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .unwrap();
    assert!(text.contains("quire_http_requests_total{"), "{text}");
    proxy.set(Fault::None);
    app.stop().await;
}

#[tokio::test]
async fn the_page_of_the_operator_runs_nothing_foreign() {
    let app = TestApp::api_only().await;
    let page = app.get("/admin").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = page.text().await.unwrap();
    for inline in [
        "style=",
        "onclick",
        "onload",
        "javascript:",
        "<style",
        "://",
    ] {
        assert!(!html.contains(inline), "{inline}");
    }
    for path in html.split('"').filter(|part| part.starts_with("/assets/")) {
        assert_eq!(app.get(path).await.status(), StatusCode::OK, "{path}");
    }
    let script = app.get("/assets/admin.js").await.text().await.unwrap();
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!script.contains(sink), "{sink}");
    }
    app.stop().await;
}
