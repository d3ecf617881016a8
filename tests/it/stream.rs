//! `GET /api/jobs/{id}/events`: server-sent events with `Last-Event-ID`.

use serde_json::Value;

use crate::support::{TestApp, Upload, fixtures};

/// (id, event, data) of each message of a stream that ends.
async fn messages(response: reqwest::Response) -> Vec<(i64, String, Value)> {
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/event-stream")
    );
    let text = response.text().await.unwrap();
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| {
            line.strip_prefix(&format!("{name}:"))
                .map(|v| v.trim_start().to_owned())
        })
    };
    text.split("\n\n")
        .filter_map(|block| {
            Some((
                field(block, "id")?.parse().unwrap(),
                field(block, "event")?,
                field(block, "data")?,
            ))
        })
        .map(|(id, event, data)| (id, event, serde_json::from_str(&data).unwrap()))
        .collect()
}

#[tokio::test]
async fn a_stream_follows_the_job_and_ends_with_it() {
    let app = TestApp::start().await;
    let id = Upload::new("report.pdf", fixtures::pdf(), fixtures::PDF_QUESTION)
        .accepted(&app)
        .await;
    let events = messages(app.get(&format!("/api/jobs/{id}/events")).await).await;
    let text: String = events
        .iter()
        .filter(|e| e.1 == "ai_chunk")
        .map(|e| e.2["chunk"].as_str().unwrap())
        .collect();
    assert_eq!(events.last().unwrap().1, "job_completed");
    assert_eq!(text, app.answer(&id).await);
    assert!(events.is_sorted_by(|a, b| a.0 < b.0));
    for cut in 0..events.len() - 1 {
        let request = app
            .http
            .get(format!("{}/api/jobs/{id}/events", app.base))
            .header("Last-Event-ID", events[cut].0);
        let rest = messages(request.send().await.unwrap()).await;
        let ids = |events: &[(i64, String, Value)]| events.iter().map(|e| e.0).collect::<Vec<_>>();
        assert_eq!(ids(&rest), ids(&events[cut + 1..]));
    }
    app.stop().await;
}
