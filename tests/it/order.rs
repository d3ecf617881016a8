//! Who is served next, as a client sees it: pause, another priority, another time, the place in the queue.

use std::time::Duration;

use quire_models::scripted::Scripted;
use quire_store::{Event, Job, JobId, JobState, Owner, Stage};
use serde_json::{Value, json};

use crate::support::{TestApp, Upload, app::TestOptions, fixtures};

async fn upload(app: &TestApp) -> String {
    Upload::new("table.csv", fixtures::csv(), "How many rows?")
        .accepted(app)
        .await
}

async fn post(app: &TestApp, id: &str, action: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/api/jobs/{id}/{action}", app.base);
    let reply = app.http.post(url).json(&body).send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

async fn position(app: &TestApp, id: &str) -> Value {
    let url = format!("{}/api/jobs/{id}/position", app.base);
    let reply: Value = app
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    reply["data"].clone()
}

#[tokio::test]
async fn a_paused_queue_takes_jobs_in_and_starts_them_when_it_goes_on() {
    let app = TestApp::start().await;
    app.store.pause_queue(Stage::Extract).await.unwrap();
    let (first, second) = (upload(&app).await, upload(&app).await);
    assert_eq!(position(&app, &second).await["position"], 2);
    assert_eq!(app.job(&first).await["status"], "pending");
    app.store.resume_queue(Stage::Extract).await.unwrap();
    app.answer(&first).await;
    app.answer(&second).await;
    let done = position(&app, &first).await;
    assert_eq!(
        (&done["position"], &done["ahead"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        done["estimated_finish"],
        app.job(&first).await["completed_at"]
    );
    app.stop().await;
}

#[tokio::test]
async fn a_waiting_job_is_moved_to_the_front() {
    let app = TestApp::api_only().await;
    let (first, second) = (upload(&app).await, upload(&app).await);
    let (status, reply) = post(&app, &second, "prioritize", json!({"priority": 10})).await;
    assert_eq!((status, &reply["data"]["job_id"]), (200, &json!(second)));
    let front = position(&app, &second).await;
    assert_eq!(
        (&front["position"], &front["ahead"]),
        (&json!(1), &json!(0))
    );
    let keys: Vec<&String> = front.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 5);
    // Nothing has run yet and nobody works: no time is invented.
    assert_eq!(
        (&front["estimated_start"], &front["confidence"]),
        (&Value::Null, &json!("none"))
    );
    assert_eq!(position(&app, &first).await["position"], 2);
    app.stop().await;
}

#[tokio::test]
async fn a_job_is_put_off_and_called_back() {
    let app = TestApp::api_only().await;
    let id = upload(&app).await;
    let (status, reply) = post(
        &app,
        &id,
        "reschedule",
        json!({"scheduled_at": "2999-01-01T00:00:00Z"}),
    )
    .await;
    assert_eq!((status, &reply["data"]["status"]), (200, &json!("pending")));
    let worker = app.second(quire::serve::Role::Worker).await;
    let later = position(&app, &id).await;
    assert_eq!(
        (
            &later["position"],
            &later["estimated_start"],
            &later["confidence"]
        ),
        (&Value::Null, &json!("2999-01-01T00:00:00Z"), &json!("low"))
    );
    let (status, _) = post(
        &app,
        &id,
        "reschedule",
        json!({"scheduled_at": "2001-01-01T00:00:00+01:00"}),
    )
    .await;
    assert_eq!(status, 200);
    app.answer(&id).await;
    for (action, body) in [
        (
            "reschedule",
            json!({"scheduled_at": "2999-01-01T00:00:00Z"}),
        ),
        ("prioritize", json!({"priority": 1})),
    ] {
        let (status, reply) = post(&app, &id, action, body).await;
        assert_eq!((status, &reply["code"]), (409, &json!("invalid_state")));
    }
    worker.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_names_its_field() {
    let app = TestApp::api_only().await;
    let id = upload(&app).await;
    for (action, body, field, code) in [
        ("prioritize", json!({}), "priority", "required"),
        (
            "prioritize",
            json!({"priority": 101}),
            "priority",
            "out_of_range",
        ),
        (
            "prioritize",
            json!({"priority": 1.5}),
            "priority",
            "invalid",
        ),
        (
            "prioritize",
            json!({"priority": [1]}),
            "priority",
            "invalid",
        ),
        (
            "reschedule",
            json!({"scheduled_at": null}),
            "scheduled_at",
            "required",
        ),
        (
            "reschedule",
            json!({"scheduled_at": "tomorrow"}),
            "scheduled_at",
            "invalid",
        ),
    ] {
        let (status, reply) = post(&app, &id, action, body.clone()).await;
        assert_eq!(status, 422, "{body}");
        let error = &reply["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(field), &json!(code)),
            "{body}"
        );
    }
    let (status, reply) = post(&app, &id, "prioritize", json!([1])).await;
    assert_eq!((status, &reply["code"]), (400, &json!("malformed_request")));
    let nobody = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11";
    for action in ["prioritize", "reschedule"] {
        let body = json!({"priority": 1, "scheduled_at": "2999-01-01T00:00:00Z"});
        assert_eq!(post(&app, nobody, action, body).await.0, 404);
    }
    let url = format!("{}/api/jobs/{nobody}/position", app.base);
    assert_eq!(app.http.get(url).send().await.unwrap().status(), 404);
    app.stop().await;
}

async fn job(app: &TestApp, id: &str) -> Job {
    let id = JobId(id.parse().unwrap());
    app.store.job(Owner::LOCAL, id).await.unwrap().unwrap()
}

async fn until(app: &TestApp, id: &str, stage: Stage, state: JobState) {
    while !matches!(job(app, id).await, job if job.stage == stage && job.state == state) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_owner_gets_no_more_slots_than_he_may_have_and_the_next_job_when_one_is_free() {
    let app = TestApp::with(TestOptions {
        engine: Some(Scripted::FallSilent(Duration::from_mins(10))),
        tweak: |config| config.owner_slots = 1,
        ..TestOptions::default()
    })
    .await;
    let first = upload(&app).await;
    until(&app, &first, Stage::Answer, JobState::Streaming).await;
    let second = upload(&app).await;
    until(&app, &second, Stage::Answer, JobState::Queued).await;
    app.replace_engine(Scripted::Speak {
        sentences: 1,
        pause: Duration::ZERO,
    });
    // A slot is free all this time, and its worker has been told of the job.
    for _ in 0..20 {
        assert_eq!(position(&app, &second).await["position"], 1);
    }
    assert_eq!(post(&app, &first, "cancel", json!({})).await.0, 200);
    app.answer(&second).await;
    let cancelled = job(&app, &first).await.finished_at.unwrap();
    let id = JobId(second.parse().unwrap());
    let events = app.store.events().since(Owner::LOCAL, id, -1, 100).await;
    let spoke = events
        .unwrap()
        .into_iter()
        .find(|record| matches!(record.event, Event::Chunk { .. }));
    assert!(spoke.unwrap().at >= cancelled);
    app.stop().await;
}
