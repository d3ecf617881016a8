//! The database goes away and comes back.

use std::time::{Duration, Instant};

use quire::serve::Role;
use quire_models::scripted::Scripted;
use quire_store::testing::TestDb;
use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{
    Socket, TestApp, Upload,
    app::TestOptions,
    fixtures,
    proxy::{Fault, FaultProxy},
};

/// The promise is a second; machines that run other tests get some more.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// The promise is three seconds after the return of the database.
const MOVES_WITHIN: Duration = Duration::from_secs(6);

async fn behind_proxy() -> (TestApp, FaultProxy) {
    behind_proxy_with(TestOptions::default()).await
}

async fn behind_proxy_with(options: TestOptions) -> (TestApp, FaultProxy) {
    let db = TestDb::new().await;
    let proxy = FaultProxy::start(db.url()).await;
    let options = TestOptions {
        database_url: Some(proxy.url.clone()),
        ..options
    };
    (TestApp::on(db, options).await, proxy)
}

#[tokio::test]
async fn an_upload_without_a_database_is_refused_in_time_and_leaves_nothing_half_done() {
    let (app, proxy) = behind_proxy().await;
    proxy.set(Fault::Cut);
    let response = tokio::time::timeout(
        Duration::from_secs(10),
        Upload::new("a.csv", fixtures::csv(), "x").send(&app),
    )
    .await
    .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    let health = app.json("/health").await;
    assert_eq!(health["status"], "healthy", "the process still serves");
    assert_eq!(
        app.get("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    proxy.set(Fault::None);
    app.stop().await;
}

#[tokio::test]
async fn work_goes_on_when_the_database_is_back() {
    let (app, proxy) = behind_proxy().await;
    let before = Upload::new("a.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    app.answer(&before).await;
    proxy.set(Fault::Cut);
    assert_eq!(
        app.get("/readyz").await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    proxy.set(Fault::None);
    let after = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let response = Upload::new("b.csv", fixtures::csv(), "How many rows?")
                .send(&app)
                .await;
            if response.status() == StatusCode::OK {
                let body: serde_json::Value = response.json().await.unwrap();
                return body["data"]["job_id"].as_str().unwrap().to_owned();
            }
        }
    });
    let after = after.await.unwrap();
    app.answer(&after).await;
    app.stop().await;
}

#[tokio::test]
async fn a_slow_database_slows_and_loses_nothing() {
    let (app, proxy) = behind_proxy().await;
    proxy.set(Fault::Slow(Duration::from_millis(30)));
    let id = Upload::new("a.csv", fixtures::csv(), "How many rows?")
        .accepted(&app)
        .await;
    app.answer(&id).await;
    proxy.set(Fault::None);
    app.stop().await;
}

fn question() -> Upload {
    Upload::new("a.csv", fixtures::csv(), "How many rows?")
}

/// Uploads until one is taken, as a client does that honours 503; returns its id.
async fn taken(app: &TestApp) -> String {
    loop {
        let response = question().send(app).await;
        if response.status() == StatusCode::OK {
            let body: Value = response.json().await.unwrap();
            return body["data"]["job_id"].as_str().unwrap().to_owned();
        }
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn refused(app: &TestApp, upload: Upload) -> Duration {
    let asked = Instant::now();
    let response = upload.send(app).await;
    let after = asked.elapsed();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert!(after < REFUSED_WITHIN, "{after:?}");
    after
}

#[tokio::test]
async fn uploads_into_the_void_are_refused_in_time_and_sockets_stay() {
    for fault in [Fault::Stall, Fault::Cut] {
        let (app, proxy) = behind_proxy().await;
        let mut socket = Socket::connect(app.address, "/ws").await;
        app.answer(&taken(&app).await).await;
        proxy.set(fault);
        let first = refused(&app, question()).await;
        // By now the server knows, and reads no more bodies in vain.
        let large = Upload::new("a.csv", vec![b'x'; 40 << 20], "x");
        let second = refused(&app, large).await;
        println!("{fault:?}: refused after {first:?}, then, with 40 MB, after {second:?}");
        proxy.set(Fault::None);
        let back = Instant::now();
        let id = taken(&app).await;
        app.answer(&id).await;
        println!(
            "{fault:?}: a job was done {:?} after the return",
            back.elapsed()
        );
        assert!(back.elapsed() < MOVES_WITHIN, "{:?}", back.elapsed());
        let frames = socket.until_end(&id).await;
        assert!(
            frames.last().unwrap().contains("job_completed"),
            "{frames:?}"
        );
        app.stop().await;
    }
}

#[tokio::test]
async fn an_upload_whose_commit_was_not_confirmed_is_one_job() {
    let (app, proxy) = behind_proxy_with(TestOptions {
        role: Role::Api,
        ..TestOptions::default()
    })
    .await;
    proxy.set(Fault::LoseCommitReplies);
    let first = question().idempotency_key("once").send(&app).await;
    assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(proxy.lost_replies() > 0);
    proxy.set(Fault::None);
    let again = question().idempotency_key("once").send(&app).await;
    assert_eq!(again.status(), StatusCode::OK);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let body: Value = again.json().await.unwrap();
    let worker = app.second(Role::Worker).await;
    app.answer(body["data"]["job_id"].as_str().unwrap()).await;
    assert_eq!(app.store.tables().await.unwrap().jobs.len(), 1);
    worker.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn jobs_whose_commits_are_not_confirmed_end_once() {
    const LOSSES: i32 = 3;
    let slow = Scripted::Speak {
        sentences: 40,
        pause: Duration::from_millis(25),
    };
    let (app, proxy) = behind_proxy_with(TestOptions {
        engine: Some(slow),
        ..TestOptions::default()
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(taken(&app).await);
    }
    for _ in 0..LOSSES {
        let lost = proxy.lost_replies();
        proxy.set(Fault::LoseCommitReplies);
        while proxy.lost_replies() < lost + 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        proxy.set(Fault::None);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let tables = async || app.store.tables().await.unwrap();
    for id in &ids {
        assert_eq!(app.answer(id).await, Scripted::text(40));
        let ends = ["completed", "failed", "cancelled"];
        let events = tables().await.events;
        let ended = events
            .iter()
            .filter(|event| event.job_id.to_string() == *id && ends.contains(&event.kind.as_str()));
        assert_eq!(ended.count(), 1);
        let line = app.line(id).await;
        // A claim whose reply was lost is a try that nobody worked on.
        assert!(line.crashes == 0 && line.failures <= LOSSES, "{line:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_cut_off_in_silence_loses_its_job_to_another() {
    let slow = Scripted::Speak {
        sentences: 1_000,
        pause: Duration::from_millis(50),
    };
    let (app, proxy) = behind_proxy_with(TestOptions {
        engine: Some(slow),
        ..TestOptions::default()
    })
    .await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let id = taken(&app).await;
    while socket.json().await["type"] != "ai_chunk" {}
    let other = app.second(Role::Worker).await;
    other
        .engines()
        .replace(std::sync::Arc::new(Scripted::Speak {
            sentences: 3,
            pause: Duration::ZERO,
        }));
    proxy.set(Fault::Stall);
    let cut = Instant::now();
    while app.line(&id).await.state != "completed" {
        assert!(cut.elapsed() < Duration::from_secs(20), "nobody took it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("done by another process {:?} after the cut", cut.elapsed());
    assert!(
        cut.elapsed() < Duration::from_secs(10),
        "{:?}",
        cut.elapsed()
    );
    proxy.set(Fault::None);
    // The one that was cut off hears of it, and of nothing else.
    let frames = socket.until_end(&id).await;
    let last: Value = serde_json::from_str(frames.last().unwrap()).unwrap();
    assert_eq!(last["ai_response"], Scripted::text(3));
    let line = app.line(&id).await;
    assert_eq!((line.crashes, line.failures), (0, 1), "{line:?}");
    other.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_database_that_is_away() {
    for fault in [Fault::Stall, Fault::Cut] {
        let slow = Scripted::Speak {
            sentences: 1_000,
            pause: Duration::from_millis(50),
        };
        let (app, proxy) = behind_proxy_with(TestOptions {
            engine: Some(slow),
            ..TestOptions::default()
        })
        .await;
        let mut socket = Socket::connect(app.address, "/ws").await;
        taken(&app).await;
        while socket.json().await["type"] != "ai_chunk" {}
        proxy.set(fault);
        let asked = Instant::now();
        app.stop().await;
        println!("{fault:?}: stopped after {:?}", asked.elapsed());
        assert!(
            asked.elapsed() < Duration::from_secs(15),
            "{:?}",
            asked.elapsed()
        );
    }
}
