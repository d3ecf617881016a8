//! The database goes away and comes back.

use std::time::Duration;

use quire_store::testing::TestDb;
use reqwest::StatusCode;

use crate::support::{
    TestApp, Upload,
    app::TestOptions,
    fixtures,
    proxy::{Fault, FaultProxy},
};

async fn behind_proxy() -> (TestApp, FaultProxy) {
    let db = TestDb::new().await;
    let proxy = FaultProxy::start(db.url()).await;
    let options = TestOptions {
        database_url: Some(proxy.url.clone()),
        ..TestOptions::default()
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
