//! Uploads that go wrong on the wire: limits to the byte, bodies that are cut, repeated, or framed by a liar.
//!
//! Whatever happens, an upload is either a job with its bytes or nothing at all, and the same key never gives two.

use std::{path::PathBuf, time::Duration};

use quire::serve::Role;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{
    TestApp, Upload,
    app::TestOptions,
    client::PATIENCE,
    fixtures,
    raw::{Raw, form, head, sized},
};

/// A CSV of exactly so many bytes.
fn table(bytes: usize, seed: usize) -> Vec<u8> {
    let mut text = format!("name,{seed}\n");
    while text.len() < bytes {
        text.push_str("1,2\n");
    }
    text.truncate(bytes);
    text.into_bytes()
}

async fn api_with_limit(max_upload_bytes: u64) -> TestApp {
    let options = TestOptions {
        role: Role::Api,
        max_upload_bytes,
        ..TestOptions::default()
    };
    TestApp::with(options).await
}

/// Waits until a condition that the server brings about holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

async fn jobs(app: &TestApp) -> usize {
    app.json("/api/jobs").await["data"]
        .as_array()
        .unwrap()
        .len()
}

#[tokio::test]
async fn the_limit_is_exact() {
    const LIMIT: usize = 10_000;
    let app = api_with_limit(LIMIT as u64).await;
    let over = Upload::new("t.csv", table(LIMIT + 1, 1), "x")
        .send(&app)
        .await;
    assert_eq!(over.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let body: Value = over.json().await.unwrap();
    assert_eq!(body["code"], "too_large");
    assert!(body["error"].as_str().unwrap().contains("10000"), "{body}");
    assert_eq!(app.stored_files(), Vec::<PathBuf>::new());
    Upload::new("t.csv", table(LIMIT, 2), "x")
        .accepted(&app)
        .await;
    assert_eq!((app.stored_files().len(), jobs(&app).await), (1, 1));
    app.stop().await;
}

#[tokio::test]
async fn an_announced_giant_is_refused_before_its_body() {
    let app = api_with_limit(10_000).await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let mut raw = Raw::connect(app.address).await;
        raw.write(sized(10 << 30, expect)).await;
        let reply = raw.reply().await.unwrap();
        assert_eq!(reply.status, 413, "{reply:?}");
        assert!(reply.body.contains("\"too_large\""), "{reply:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let app = TestApp::api_only().await;
    let body = form("t.csv", &table(5000, 1), "How many rows?");
    let mut raw = Raw::connect(app.address).await;
    raw.write(sized(body.len(), "Expect: 100-continue\r\n"))
        .await;
    assert_eq!(raw.reply().await.unwrap().status, 100);
    raw.write(body).await;
    assert_eq!(raw.reply().await.unwrap().status, 200);
    app.stop().await;
}

#[tokio::test]
async fn a_cut_upload_leaves_nothing_and_its_repetition_gives_one_job() {
    let app = TestApp::api_only().await;
    let mut whole = 0;
    for (seed, percent) in [1, 50, 99, 100].into_iter().enumerate() {
        for abrupt in [false, true] {
            let key = format!("Idempotency-Key: cut-{percent}-{abrupt}\r\n");
            let seed = seed * 2 + usize::from(abrupt);
            let body = form("t.csv", &table(300_000, seed), "x");
            let mut raw = Raw::connect(app.address).await;
            raw.write(sized(body.len(), &key)).await;
            raw.write(&body[..body.len() * percent / 100]).await;
            if abrupt {
                raw.reset();
            } else {
                raw.finish().await;
                raw.rest().await;
            }
            if percent < 100 {
                until("the half upload is gone", || {
                    app.stored_files().len() == whole
                })
                .await;
                assert_eq!(jobs(&app).await, whole);
            }
            let mut again = Raw::connect(app.address).await;
            again.write(sized(body.len(), &key)).await;
            again.write(&body).await;
            let reply = again.reply().await.unwrap();
            assert_eq!(reply.status, 200, "{reply:?}");
            whole += 1;
            assert_eq!(jobs(&app).await, whole, "{percent} %, abrupt: {abrupt}");
        }
    }
    until("nothing is left of the first tries", || {
        app.stored_files().len() == whole
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn many_at_once_with_one_key_give_one_job_on_two_servers() {
    let app = TestApp::api_only().await;
    let second = app.second(Role::Api).await;
    let other = format!("http://{}", second.addresses()[0]);
    let upload = || Upload::new("t.csv", table(4000, 1), "x").idempotency_key("one");
    let sends = (0..32).map(|number| {
        let base = if number % 2 == 0 { &app.base } else { &other };
        upload().send_to(&app.http, base)
    });
    let mut replies = futures_util::future::join_all(sends).await;
    replies.push(upload().send(&app).await);
    let (mut ids, mut replayed) = (Vec::new(), 0);
    for reply in replies {
        assert_eq!(reply.status(), StatusCode::OK);
        replayed += usize::from(reply.headers().contains_key("idempotent-replayed"));
        let body: Value = reply.json().await.unwrap();
        ids.push(body["data"]["job_id"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!((ids.len(), replayed, jobs(&app).await), (1, 32, 1));
    for changed in [
        Upload::new("t.csv", table(4001, 1), "x"),
        Upload::new("t.csv", table(4000, 1), "y"),
        Upload::new("u.csv", table(4000, 1), "x"),
        Upload::new("t.csv", table(4000, 1), "x").text("priority", "1"),
    ] {
        let refused = changed
            .idempotency_key("one")
            .send_to(&app.http, &other)
            .await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["code"], "idempotency_mismatch");
    }
    assert_eq!(jobs(&app).await, 1);
    second.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_repeated_upload_is_told_how_its_job_is_now() {
    let app = TestApp::start().await;
    let upload = |key| Upload::new("t.csv", fixtures::csv(), "How many rows?").idempotency_key(key);
    let replay = async |key| {
        let reply = upload(key).send(&app).await;
        assert_eq!(reply.headers()["idempotent-replayed"], "true");
        reply.json::<Value>().await.unwrap()["data"].clone()
    };
    let done = upload("done").accepted(&app).await;
    app.answer(&done).await;
    let told = replay("done").await;
    let expected = (done.as_str(), "completed", 100);
    assert_eq!(
        (
            told["job_id"].as_str().unwrap(),
            told["status"].as_str().unwrap(),
            told["progress"].as_i64().unwrap()
        ),
        expected
    );
    let later = upload("later").text("scheduled_at", "2099-01-01T00:00:00Z");
    let later = later.accepted(&app).await;
    app.post(&format!("/api/jobs/{later}/cancel")).await;
    let again = upload("later").text("scheduled_at", "2099-01-01T00:00:00Z");
    let body: Value = again.send(&app).await.json().await.unwrap();
    assert_eq!(body["data"]["status"], "cancelled", "{body}");
    app.stop().await;
}

/// Requests whose framing or form is broken, and what each is called.
fn broken_requests() -> Vec<(&'static str, String)> {
    let good = String::from_utf8(form("t.csv", b"a,b\n1,2\n", "x")).unwrap();
    let chunked = |body: &str| format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = good.len();
    let open = good.replace("--B--\r\n", "");
    vec![
        ("no end of the form", sized(open.len(), "") + &open),
        ("garbage for a form", sized(4, "") + "what"),
        ("an empty body", sized(0, "")),
        (
            "another boundary",
            sized(length, "") + &good.replace("--B", "--C"),
        ),
        (
            "a length that is no number",
            head("Content-Length: many\r\n") + &good,
        ),
        ("a negative length", head("Content-Length: -1\r\n") + &good),
        (
            "a length with a sign",
            head(&format!("Content-Length: +{length}\r\n")) + &good,
        ),
        (
            "two lengths",
            head(&format!(
                "Content-Length: {length}\r\nContent-Length: 1\r\n"
            )) + &good,
        ),
        (
            "an unknown coding",
            head("Transfer-Encoding: chunked, rot13\r\n") + &chunked(&good),
        ),
        (
            "a chunk without size",
            head("Transfer-Encoding: chunked\r\n") + "zz\r\n" + &good,
        ),
        (
            "a chunk that is too long",
            head("Transfer-Encoding: chunked\r\n") + "fffffffffffffffffff\r\n" + &good,
        ),
        (
            "a chunk that does not end",
            head("Transfer-Encoding: chunked\r\n") + "2\r\nabc\r\n0\r\n\r\n",
        ),
        (
            "a coding before its time",
            head("Transfer-Encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")
                + &chunked(&good),
        ),
        ("two hosts", sized(length, "Host: localhost\r\n") + &good),
        (
            "no host",
            sized(length, "").replace("Host: localhost\r\n", "") + &good,
        ),
        (
            "a space before the colon",
            head("Content-Length : 5\r\n") + &good,
        ),
        (
            "a folded header",
            head(&format!("X-A: b\r\n c\r\nContent-Length: {length}\r\n")) + &good,
        ),
        ("a NUL in a header", sized(length, "X-A: \0\r\n") + &good),
        (
            "no version",
            sized(length, "").replace(" HTTP/1.1", "") + &good,
        ),
    ]
}

#[tokio::test]
async fn broken_requests_are_refused_and_leave_nothing() {
    let app = TestApp::api_only().await;
    for (what, request) in broken_requests() {
        let mut raw = Raw::connect(app.address).await;
        raw.write(request).await;
        let reply = raw
            .reply()
            .await
            .unwrap_or_else(|| panic!("{what}: no reply"));
        assert!(matches!(reply.status, 400 | 422), "{what}: {reply:?}");
    }
    until("nothing is stored", || app.stored_files().is_empty()).await;
    assert_eq!(jobs(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_request_hidden_in_another_is_never_answered() {
    let app = TestApp::api_only().await;
    let hidden = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let body = String::from_utf8(form("t.csv", b"a,b\n1,2\n", "x")).unwrap();
    let chunks = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let both = [
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n",
            chunks.len() + hidden.len()
        ),
        format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n",
            chunks.len() + hidden.len()
        ),
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n".to_owned(),
    ];
    for framing in both {
        let mut raw = Raw::connect(app.address).await;
        raw.write(head(&framing) + &chunks + hidden).await;
        raw.finish().await;
        let all = raw.rest().await;
        assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{framing}: {all}");
        assert!(all.contains("connection: close"), "{framing}: {all}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_foreign_name_for_this_machine_is_refused_on_every_kind_of_route() {
    let app = TestApp::api_only().await;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let ask = async |target: &str, host: &str, more: &str| {
        let mut raw = Raw::connect(app.address).await;
        raw.write(format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"
        ))
        .await;
        raw.reply().await.unwrap()
    };
    let evil = format!("evil.example:{}", app.address.port());
    for (target, more) in [
        ("/api/jobs", ""),
        ("/ws", upgrade),
        ("/", ""),
        ("/docs", ""),
    ] {
        let origin = format!("Origin: http://{evil}\r\n{more}");
        let reply = ask(target, &evil, &origin).await;
        assert_eq!(reply.status, 403, "{target}: {reply:?}");
        assert!(reply.body.contains("\"forbidden\""), "{reply:?}");
    }
    let absolute = format!("http://{evil}/api/jobs");
    assert_eq!(ask(&absolute, "localhost", "").await.status, 403);
    for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "[::1]:8000"] {
        assert_eq!(ask("/api/jobs", host, "").await.status, 200, "{host}");
    }
    assert_eq!(ask("/ws", "localhost", upgrade).await.status, 101);
    app.stop().await;
}

#[tokio::test]
async fn slow_senders_are_given_up_and_slow_nobody() {
    const SLOW: usize = 200;
    let app = TestApp::api_only().await;
    let mut heads = Vec::new();
    let mut bodies = Vec::new();
    for _ in 0..SLOW {
        let mut raw = Raw::connect(app.address).await;
        raw.write("GET /healthz HTTP/1.1\r\nHost: local").await;
        heads.push(raw);
        let mut raw = Raw::connect(app.address).await;
        raw.write(sized(100_000, "") + "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n%PDF").await;
        bodies.push(raw);
    }
    for seed in 0..20 {
        let uploading = Upload::new("t.csv", table(4000, seed), "x").accepted(&app);
        let within = tokio::time::timeout(Duration::from_secs(5), uploading).await;
        within.expect("slow senders hold nobody up");
    }
    // Meanwhile each says a byte now and then, which does not save it.
    for raw in heads.iter_mut().chain(&mut bodies) {
        raw.write("x").await;
    }
    for mut raw in heads {
        assert_eq!(raw.rest().await, "", "an unfinished head is just closed");
    }
    for mut raw in bodies {
        let reply = raw.reply().await.unwrap();
        assert_eq!(reply.status, 408, "{reply:?}");
        assert!(reply.body.contains("\"timeout\""), "{reply:?}");
    }
    until("their files are gone", || app.stored_files().len() == 20).await;
    app.stop().await;
}
