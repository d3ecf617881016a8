//! Priority and `scheduled_at`.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::support::{Socket, TestApp, Upload, fixtures};

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[tokio::test]
async fn a_scheduled_job_does_not_run_early() {
    let app = TestApp::start().await;
    let mut socket = Socket::connect(app.address, "/ws").await;
    let due = quire_store::clock::now() + chrono::TimeDelta::milliseconds(2500);
    let id = Upload::new("table.csv", fixtures::csv(), "How many rows?")
        .text("scheduled_at", &rfc3339(due))
        .accepted(&app)
        .await;
    assert_eq!(app.job(&id).await["status"], "pending");
    let first = loop {
        let frame = socket.json().await;
        if frame["job_id"] == id.as_str() {
            break quire_store::clock::now();
        }
    };
    assert!(
        first >= due,
        "a frame came {} ms early",
        (due - first).num_milliseconds()
    );
    app.answer(&id).await;
    app.stop().await;
}

/// Longest wait of a due job for an idle worker.
const LATEST: chrono::TimeDelta = chrono::TimeDelta::seconds(1);

#[tokio::test]
async fn scheduled_jobs_start_at_most_a_second_late_and_never_early() {
    let app = TestApp::start().await;
    let now = quire_store::clock::now();
    let mut due = Vec::new();
    // All over the second, because apalis keeps whole ones.
    for n in 0..6 {
        let at = now + chrono::TimeDelta::milliseconds(1500 + 410 * n);
        let id = Upload::new("table.csv", fixtures::csv(), "How many rows?")
            .text("scheduled_at", &rfc3339(at))
            .accepted(&app)
            .await;
        due.push((id, at));
    }
    for (id, at) in due {
        app.answer(&id).await;
        let id = quire_store::JobId(id.parse().unwrap());
        let job = app
            .store
            .job(quire_store::Owner::LOCAL, id)
            .await
            .unwrap()
            .unwrap();
        let late = job.started_at.unwrap() - job.scheduled_at.unwrap();
        assert_eq!(rfc3339(job.scheduled_at.unwrap()), rfc3339(at));
        assert!(
            late >= chrono::TimeDelta::zero(),
            "{} ms early",
            -late.num_milliseconds()
        );
        assert!(late <= LATEST, "{} ms late", late.num_milliseconds());
    }
    app.stop().await;
}

#[tokio::test]
async fn a_past_time_with_an_offset_runs_now() {
    let app = TestApp::start().await;
    let id = Upload::new("table.csv", fixtures::csv(), "How many rows?")
        .text("scheduled_at", "2020-01-01T02:00:00+02:00")
        .accepted(&app)
        .await;
    app.answer(&id).await;
    app.stop().await;
}

#[tokio::test]
async fn the_higher_priority_goes_first() {
    let app = TestApp::api_only().await;
    let mut ids = Vec::new();
    for (name, priority) in [("low.csv", "-5"), ("normal.csv", "0"), ("high.csv", "9")] {
        ids.push(
            Upload::new(name, fixtures::csv(), "How many rows?")
                .text("priority", priority)
                .accepted(&app)
                .await,
        );
    }
    let worker = app.second(quire::serve::Role::Worker).await;
    for id in &ids {
        app.answer(id).await;
    }
    let mut starts = Vec::new();
    for id in &ids {
        let id = quire_store::JobId(id.parse().unwrap());
        let job = app
            .store
            .job(quire_store::Owner::LOCAL, id)
            .await
            .unwrap()
            .unwrap();
        starts.push(job.started_at.unwrap());
    }
    // Two slots: the two most urgent start first.
    assert!(
        starts[2] <= starts[0] && starts[1] <= starts[0],
        "{starts:?}"
    );
    worker.stop().await;
    app.stop().await;
}
