//! Cancelling and retrying: every job ends once per run.

use quire_store::{CancelOutcome, JobId, JobState, NewUpload, Owner, RetryOutcome, Stage, clock};
use serde_json::json;
use std::time::Duration;

use crate::support::{Quire, created, upload, within};

async fn cancel(quire: &Quire, job: JobId) -> JobState {
    match quire.store.cancel_job(Owner::LOCAL, job).await.unwrap() {
        CancelOutcome::Cancelled(job) => {
            assert!(job.finished_at.is_some());
            job.state
        }
        other => panic!("not cancelled: {other:?}"),
    }
}

/// One job in each of the states that can be cancelled.
async fn live_jobs(quire: &Quire) -> Vec<(JobState, JobId)> {
    let scheduled_at = Some(clock::now() + Duration::from_hours(1));
    let scheduled = created(
        quire
            .store
            .create_upload(NewUpload {
                scheduled_at,
                ..upload("?")
            })
            .await
            .unwrap(),
    );
    let queued = quire.job().await;
    let running = quire.extracting().await;
    let streaming = quire.answering().await;
    quire.store.writer(&streaming).chunk("some");
    quire.store.writer(&streaming).barrier().await.unwrap();
    vec![
        (JobState::Scheduled, scheduled.id),
        (JobState::Queued, queued.id),
        (JobState::Running, running.job.id),
        (JobState::Streaming, streaming.job.id),
    ]
}

#[tokio::test]
async fn a_job_in_any_live_state_is_cancelled_with_one_end() {
    let quire = Quire::new().await;
    for (state, job) in live_jobs(&quire).await {
        assert_eq!(quire.state(job).await, state);
        assert_eq!(cancel(&quire, job).await, JobState::Cancelled);
        let again = quire.store.cancel_job(Owner::LOCAL, job).await.unwrap();
        assert!(
            matches!(again, CancelOutcome::InvalidState(job) if job.state == JobState::Cancelled)
        );
        assert_eq!(quire.ends(job).await, 1, "from {state}");
    }
}

#[tokio::test]
async fn an_ended_job_cannot_be_cancelled() {
    let quire = Quire::new().await;
    let completed = quire.answering().await;
    assert!(
        quire
            .store
            .complete(&completed, "yes", json!({}))
            .await
            .unwrap()
    );
    let failed = quire.extracting().await;
    assert!(quire.store.fail(&failed, "damaged", "no").await.unwrap());
    for job in [completed.job.id, failed.job.id] {
        let outcome = quire.store.cancel_job(Owner::LOCAL, job).await.unwrap();
        assert!(matches!(outcome, CancelOutcome::InvalidState(_)));
        assert_eq!(quire.ends(job).await, 1);
    }
}

#[tokio::test]
async fn nobody_cancels_or_retries_the_job_of_another() {
    let quire = Quire::new().await;
    let (job, stranger) = (quire.job().await, Owner(clock::new_id()));
    assert_eq!(
        quire.store.cancel_job(stranger, job.id).await.unwrap(),
        CancelOutcome::NotFound
    );
    assert_eq!(
        quire.store.retry_job(stranger, job.id).await.unwrap(),
        RetryOutcome::NotFound
    );
    assert_eq!(
        quire
            .store
            .cancel_job(Owner::LOCAL, JobId::generate())
            .await
            .unwrap(),
        CancelOutcome::NotFound
    );
    assert_eq!(quire.state(job.id).await, JobState::Queued);
}

#[tokio::test]
async fn a_cancel_races_a_completion_to_one_end() {
    let quire = Quire::new().await;
    for _ in 0..12 {
        let lease = quire.answering().await;
        quire.store.writer(&lease).chunk("answer");
        let (cancelled, completed) = tokio::join!(
            quire.store.cancel_job(Owner::LOCAL, lease.job.id),
            quire.store.complete(&lease, "answer", json!({})),
        );
        let cancelled = matches!(cancelled.unwrap(), CancelOutcome::Cancelled(_));
        assert_ne!(cancelled, completed.unwrap(), "exactly one of the two wins");
        assert_eq!(quire.ends(lease.job.id).await, 1);
    }
}

#[tokio::test]
async fn a_cancel_from_another_process_reaches_the_attempt() {
    let quire = Quire::new().await;
    let lease = quire.extracting().await;
    let mut cancelled = quire.store.cancellations();
    let elsewhere = quire.db.store().await;
    elsewhere
        .cancel_job(Owner::LOCAL, lease.job.id)
        .await
        .unwrap();
    within("the attempt is told", lease.lost.cancelled()).await;
    assert_eq!(
        within("the subscriber is told", cancelled.recv())
            .await
            .unwrap(),
        lease.job.id
    );
}

#[tokio::test]
async fn a_retried_job_starts_afresh_and_ends_again() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let job = lease.job.id;
    quire
        .store
        .writer(&lease)
        .progress(70, Stage::Answer, 1, None);
    assert!(
        quire
            .store
            .fail(&lease, "engine", "out of memory")
            .await
            .unwrap()
    );
    let RetryOutcome::Queued(again) = quire.store.retry_job(Owner::LOCAL, job).await.unwrap()
    else {
        panic!("a failed job can be retried")
    };
    assert_eq!(
        (again.state, again.stage, again.progress, again.attempt),
        (JobState::Queued, Stage::Extract, 0, 0)
    );
    assert_eq!(
        (again.error_code, again.finished_at, again.started_at),
        (None, None, None)
    );
    let twice = quire.store.retry_job(Owner::LOCAL, job).await.unwrap();
    assert!(matches!(twice, RetryOutcome::InvalidState(_)));

    let lease = quire.claim(job).await;
    assert!(
        quire
            .store
            .finish_extract(&lease, &json!({}), 1)
            .await
            .unwrap()
    );
    let lease = quire.claim(job).await;
    assert!(
        quire
            .store
            .complete(&lease, "yes", json!({}))
            .await
            .unwrap()
    );
    assert_eq!(quire.ends(job).await, 2, "one end per run");
    let finished = quire.store.retry_job(Owner::LOCAL, job).await.unwrap();
    assert!(matches!(finished, RetryOutcome::InvalidState(_)));
    let events = quire.events(job).await;
    assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
}

#[tokio::test]
async fn the_schema_refuses_a_second_end_of_a_run() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    cancel(&quire, job.id).await;
    let doubled = sqlx::query(
        "insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, body)
         select job_id, seq + 1, job_day, job_created_at, owner, run, origin, '{\"kind\": \"completed\", \"answer\": \"\"}'
         from quire.job_events
         where job_id = $1 and kind = 'cancelled'",
    )
    .bind(job.id.0)
    .execute(quire.sql())
    .await;
    assert!(
        doubled
            .unwrap_err()
            .as_database_error()
            .unwrap()
            .is_unique_violation()
    );
}
