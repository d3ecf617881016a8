//! One job seen through HTTP while it changes: long poll, `ETag`, list, results, event stream, cancel at any moment.

use std::{collections::HashSet, time::Duration};

use reqwest::{StatusCode, header::IF_NONE_MATCH};
use serde_json::Value;

use crate::support::{TestApp, Upload, client::PATIENCE, fixtures};

async fn upload(app: &TestApp, name: &str) -> String {
    Upload::new(name, fixtures::csv(), "How many rows?")
        .accepted(app)
        .await
}

/// Long poll; how the job is when the reply comes.
async fn waited(app: &TestApp, id: &str) -> Value {
    let path = format!("/api/jobs/{id}?wait=60");
    let waiting = app.json(&path);
    let body = tokio::time::timeout(PATIENCE / 2, waiting).await;
    body.expect("the reply comes when the job ends")["data"].clone()
}

/// Waits until the server has this many requests for the job in its hands: it subscribes before it looks.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_long_poll_ends_with_the_job_whatever_ends_it() {
    let app = TestApp::api_only().await;
    let id = upload(&app, "t.csv").await;
    let cancelling = async {
        settle().await;
        app.post(&format!("/api/jobs/{id}/cancel")).await
    };
    let (job, cancelled) = tokio::join!(waited(&app, &id), cancelling);
    assert_eq!(cancelled.status(), StatusCode::OK);
    assert_eq!(job["status"], "cancelled");
    let retried = app.post(&format!("/api/jobs/{id}/retry")).await;
    assert_eq!(retried.status(), StatusCode::OK);
    let working = async {
        settle().await;
        app.second(quire::serve::Role::Worker).await
    };
    let (job, worker) = tokio::join!(waited(&app, &id), working);
    assert_eq!(
        job["status"], "completed",
        "another process ended it: {job}"
    );
    worker.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_long_poll_is_answered_when_the_server_stops_and_goes_on_with_the_next() {
    let app = TestApp::api_only().await;
    let id = upload(&app, "t.csv").await;
    let next = app.second(quire::serve::Role::All).await;
    let base = format!("http://{}", next.addresses()[0]);
    let job = app.ended(&id).await;
    assert_eq!(job["status"], "completed");
    let later =
        Upload::new("u.csv", fixtures::csv(), "x").text("scheduled_at", "2099-01-01T00:00:00Z");
    let later = later.accepted(&app).await;
    let first = app
        .http
        .get(format!("{base}/api/jobs/{later}?wait=60"))
        .send();
    let stopping = async {
        settle().await;
        next.stop().await;
    };
    let (reply, ()) = tokio::join!(first, stopping);
    let reply: Value = reply.unwrap().json().await.unwrap();
    assert_eq!(
        reply["data"]["status"], "pending",
        "the truth, before its time"
    );
    let again = app.json(&format!("/api/jobs/{later}?wait=1")).await;
    assert_eq!(again["data"]["status"], "pending");
    app.stop().await;
}

#[tokio::test]
async fn the_etag_changes_with_the_job_and_only_then() {
    let app = TestApp::api_only().await;
    let id = upload(&app, "t.csv").await;
    let url = format!("{}/api/jobs/{id}", app.base);
    let mut tags: Vec<String> = Vec::new();
    let look = async |known: Option<&String>| {
        let mut request = app.http.get(&url);
        if let Some(tag) = known {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let reply = request.send().await.unwrap();
        let tag = reply.headers()["etag"].to_str().unwrap().to_owned();
        (reply.status(), tag, reply.text().await.unwrap())
    };
    for change in ["", "cancel", "retry"] {
        if !change.is_empty() {
            let changed = app.post(&format!("/api/jobs/{id}/{change}")).await;
            assert_eq!(changed.status(), StatusCode::OK);
        }
        let (status, tag, _) = look(tags.last()).await;
        assert_eq!(
            status,
            StatusCode::OK,
            "{change}: it is not what the client has"
        );
        let (status, same, body) = look(Some(&tag)).await;
        assert_eq!(
            (status, same.as_str(), body.as_str()),
            (StatusCode::NOT_MODIFIED, &*tag, "")
        );
        tags.push(tag);
    }
    let worker = app.second(quire::serve::Role::Worker).await;
    app.answer(&id).await;
    let (status, tag, body) = look(tags.last()).await;
    assert!(status == StatusCode::OK && body.contains("completed") && !tags.contains(&tag));
    let result = app.get(&format!("/api/jobs/{id}/result")).await;
    let tag = result.headers()["etag"].clone();
    let again = app
        .http
        .get(format!("{url}/result"))
        .header(IF_NONE_MATCH, tag);
    assert_eq!(
        again.send().await.unwrap().status(),
        StatusCode::NOT_MODIFIED
    );
    worker.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_result_says_why_there_is_none() {
    let app = TestApp::start().await;
    let refusal = async |id: &str| {
        let reply = app.get(&format!("/api/jobs/{id}/result")).await;
        let after = reply.headers().contains_key("retry-after");
        let status = reply.status().as_u16();
        let body: Value = reply.json().await.unwrap();
        (status, body["code"].as_str().unwrap().to_owned(), after)
    };
    let broken = Upload::new("b.pdf", b"%PDF-1.4\nno document".to_vec(), "x")
        .accepted(&app)
        .await;
    app.ended(&broken).await;
    assert_eq!(refusal(&broken).await, (424, "job_failed".into(), false));
    let later =
        Upload::new("u.csv", fixtures::csv(), "x").text("scheduled_at", "2099-01-01T00:00:00Z");
    let later = later.accepted(&app).await;
    assert_eq!(refusal(&later).await, (409, "not_finished".into(), true));
    app.post(&format!("/api/jobs/{later}/cancel")).await;
    assert_eq!(refusal(&later).await, (424, "job_failed".into(), false));
    app.stop().await;
}

/// The ids on all pages of a list; `between` runs after each page.
async fn listed(app: &TestApp, query: &str, mut between: impl AsyncFnMut()) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.json(&format!("/api/jobs?limit=2{query}{cursor}")).await;
        let jobs = page["data"].as_array().unwrap();
        assert!(jobs.len() <= 2);
        ids.extend(
            jobs.iter()
                .map(|job| job["job_id"].as_str().unwrap().to_owned()),
        );
        between().await;
        match page["page"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return ids,
        }
    }
}

#[tokio::test]
async fn filters_hold_on_every_page_while_jobs_come_and_change() {
    let app = TestApp::api_only().await;
    let mut wanted = Vec::new();
    for number in 0..5 {
        wanted.insert(0, upload(&app, &format!("Gauge 100% {number}.csv")).await);
        upload(&app, &format!("other-{number}.csv")).await;
    }
    for id in &wanted {
        app.post(&format!("/api/jobs/{id}/cancel")).await;
    }
    let queries = [
        "&status=cancelled",
        "&q=gauge%20100%25",
        "&q=GAUGE&status=failed,cancelled",
        "&status=cancelled&created_after=2000-01-01T00:00:00Z",
    ];
    for query in queries {
        // A matching job that comes late belongs before the first page.
        let ids = listed(&app, query, async || {
            let late = upload(&app, "late gauge 100%.csv").await;
            app.post(&format!("/api/jobs/{late}/cancel")).await;
        });
        let ids = ids.await;
        let known: Vec<_> = ids.iter().filter(|id| wanted.contains(id)).collect();
        assert_eq!(known, wanted.iter().collect::<Vec<_>>(), "{query}");
        assert_eq!(
            ids.iter().collect::<HashSet<_>>().len(),
            ids.len(),
            "{query}"
        );
    }
    let none = app
        .json("/api/jobs?created_after=2099-01-01T00:00:00Z")
        .await;
    assert_eq!(none["data"], serde_json::json!([]));
    app.stop().await;
}

#[tokio::test]
async fn a_bad_query_names_each_bad_part() {
    let app = TestApp::api_only().await;
    let refused = async |query: &str| {
        let reply = app.get(&format!("/api/jobs?{query}")).await;
        assert_eq!(reply.status(), StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        let body: Value = reply.json().await.unwrap();
        let fields = body["errors"].as_array().unwrap().iter();
        let fields: Vec<_> = fields
            .map(|e| e["field"].as_str().unwrap().to_owned())
            .collect();
        (body["code"].as_str().unwrap().to_owned(), fields)
    };
    let good = "00".repeat(24);
    for cursor in [
        "x",
        "0",
        "-1",
        &good[1..],
        &good.replace("00", "zz"),
        "%00",
        "%F0%9F%92%A9",
        &"f".repeat(10_000),
    ] {
        let (code, fields) = refused(&format!("cursor={cursor}")).await;
        assert_eq!(
            (code.as_str(), fields),
            ("bad_cursor", vec!["cursor".to_owned()]),
            "{cursor}"
        );
    }
    let (code, fields) = refused("status=done&limit=0&created_after=today&q=%00").await;
    assert_eq!(code, "validation_failed");
    assert_eq!(fields, ["status", "q", "created_after", "limit"]);
    app.stop().await;
}

/// Numbers and names of a job's events.
async fn events(app: &TestApp, id: &str) -> Vec<(i64, String)> {
    let text = app
        .get(&format!("/api/jobs/{id}/events"))
        .await
        .text()
        .await
        .unwrap();
    let field = |block: &str, name: &str| {
        let mut lines = block.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    };
    text.split("\n\n")
        .filter_map(|block| Some((field(block, "id")?.parse().unwrap(), field(block, "event")?)))
        .collect()
}

#[tokio::test]
async fn a_cancel_at_any_moment_gives_one_end_and_every_view_agrees_on_it() {
    let app = TestApp::start().await;
    let race = async |number: u64| {
        let id = Upload::new("r.pdf", fixtures::pdf(), "Summarise")
            .accepted(&app)
            .await;
        // Spread over the life of a job of some 10 ms to 100 ms.
        tokio::time::sleep(Duration::from_millis(number * 4)).await;
        let path = format!("/api/jobs/{id}/cancel");
        let (one, two) = tokio::join!(app.post(&path), app.post(&path));
        let won = [one, two]
            .iter()
            .filter(|reply| reply.status() == StatusCode::OK)
            .count();
        let job = app.ended(&id).await;
        let expected = if won == 1 { "cancelled" } else { "completed" };
        assert!(won <= 1, "both cancels won");
        assert_eq!(job["status"], expected, "{number}");
        let events = events(&app, &id).await;
        let ends = events
            .iter()
            .filter(|(_, name)| name == "job_completed" || name == "job_failed");
        assert_eq!(ends.count(), 1, "{number}: {events:?}");
        let last = if won == 1 {
            "job_failed"
        } else {
            "job_completed"
        };
        assert_eq!(events.last().unwrap().1, last, "{number}: {events:?}");
        won
    };
    let mut cancelled = 0;
    for group in 0..4 {
        let races = (0..8).map(|number| race(group * 8 + number));
        cancelled += futures_util::future::join_all(races)
            .await
            .iter()
            .sum::<usize>();
    }
    assert!(cancelled > 0, "no cancel was in time");
    app.stop().await;
}

#[tokio::test]
async fn events_that_are_no_longer_stored_are_gone_and_the_job_is_not() {
    let app = TestApp::start().await;
    let id = upload(&app, "t.csv").await;
    app.answer(&id).await;
    let all = events(&app, &id).await;
    let path = format!("{}/api/jobs/{id}/events", app.base);
    let last = all.last().unwrap().0;
    let behind = app
        .http
        .get(&path)
        .header("Last-Event-ID", last)
        .send()
        .await
        .unwrap();
    assert_eq!(behind.status(), StatusCode::NO_CONTENT, "do not come back");
    for bad in ["x", "-1", "1.5"] {
        let refused = app
            .http
            .get(&path)
            .header("Last-Event-ID", bad)
            .send()
            .await
            .unwrap();
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
    app.db.execute("delete from quire.job_events").await;
    for cursor in [None, Some(all[0].0), Some(last)] {
        let mut request = app.http.get(&path);
        if let Some(seq) = cursor {
            request = request.header("Last-Event-ID", seq);
        }
        let gone = request.send().await.unwrap();
        assert_eq!(gone.status(), StatusCode::GONE, "{cursor:?}");
        let body: Value = gone.json().await.unwrap();
        assert_eq!(body["code"], "events_expired");
    }
    assert_eq!(app.job(&id).await["status"], "completed");
    app.stop().await;
}
