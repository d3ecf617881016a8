//! The queue under the jobs: order, time, and the holes of apalis that our migration closes.

use std::time::Duration;

use apalis_core::worker::context::WorkerContext;
use apalis_postgres::{Config, queries::fetch_next};
use quire_store::{JobId, JobState, NewUpload, Owner, QUEUE_EXTRACT, Ticket, clock};
use tokio::task::JoinSet;

use crate::support::{Quire, created, until, upload};

/// What apalis hands to a worker next.
pub(crate) async fn fetch(quire: &Quire) -> Option<Ticket> {
    let config = Config::default().queue(QUEUE_EXTRACT).batch_size(1);
    let worker = WorkerContext::new(&apalis_worker(quire).await);
    let mut conn = quire.sql().acquire().await.unwrap();
    let tasks = fetch_next(&mut *conn, &config, &worker).await.unwrap();
    tasks
        .first()
        .map(|task| serde_json::from_slice(&task.args).unwrap())
}

/// Registers an apalis worker of our worker.
async fn apalis_worker(quire: &Quire) -> String {
    let name = quire.worker.apalis_name("extract-0");
    sqlx::query(
        "insert into apalis.workers (id, worker_type, storage_name) values ($1, $2, 'test') on conflict do nothing",
    )
    .bind(&name)
    .bind(QUEUE_EXTRACT)
    .execute(quire.sql())
    .await
    .unwrap();
    name
}

/// The jobs in the order that apalis hands them out.
pub(crate) async fn drain(quire: &Quire) -> Vec<JobId> {
    // A job becomes due in the second after the one it was queued in, at the latest.
    let mut order = Vec::new();
    while let Some(ticket) = fetch(quire).await {
        order.push(ticket.job);
    }
    order
}

#[tokio::test]
async fn jobs_come_by_priority_then_by_age() {
    let quire = Quire::new().await;
    let mut jobs = Vec::new();
    for priority in [0, 5, -3, 5, i32::MAX, i32::MIN, 0] {
        let new = NewUpload {
            priority,
            ..upload("?")
        };
        jobs.push(created(quire.store.create_upload(new).await.unwrap()).id);
    }
    let wanted = [4, 1, 3, 0, 6, 2, 5].map(|index: usize| jobs[index]);
    for (place, job) in (1..).zip(&wanted) {
        assert_eq!(quire.store.queue_position(*job).await.unwrap(), Some(place));
    }
    assert_eq!(drain(&quire).await, wanted);
}

#[tokio::test]
async fn the_position_counts_only_who_waits_for_the_same_stage() {
    let quire = Quire::new().await;
    let (first, second) = (quire.job().await.id, quire.job().await.id);
    assert_eq!(quire.store.queue_position(second).await.unwrap(), Some(2));
    let lease = quire.claim(first).await;
    assert_eq!(quire.store.queue_position(first).await.unwrap(), None);
    assert_eq!(quire.store.queue_position(second).await.unwrap(), Some(1));
    assert!(
        quire
            .store
            .finish_extract(&lease, &serde_json::json!({}), 1)
            .await
            .unwrap()
    );
    assert_eq!(quire.store.queue_position(first).await.unwrap(), Some(1));
    assert_eq!(quire.store.queue_position(second).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_scheduled_job_is_queued_once_and_not_before_its_time() {
    let quire = Quire::new().await;
    let scheduled_at = Some(clock::now() + Duration::from_hours(1));
    let job = created(
        quire
            .store
            .create_upload(NewUpload {
                scheduled_at,
                ..upload("?")
            })
            .await
            .unwrap(),
    );
    assert_eq!(job.state, JobState::Scheduled);
    assert_eq!(quire.store.promote_due().await.unwrap(), 0);
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 0);
    assert_eq!(quire.store.queue_position(job.id).await.unwrap(), None);

    let mut seen = quire.store.events().subscribe();
    quire
        .execute("update quire.jobs set due_at = now() where id = $1", job.id)
        .await;
    let mut promoters = JoinSet::new();
    for _ in 0..4 {
        let store = quire.store.clone();
        promoters.spawn(async move { store.promote_due().await.unwrap() });
    }
    // The worker's own heartbeat promotes as well, so the sum is at most one.
    assert!(promoters.join_all().await.iter().sum::<u64>() <= 1);
    until("the job is queued", async || {
        quire.state(job.id).await == JobState::Queued
    })
    .await;
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where run_at <= now()")
            .await,
        1
    );
    assert_eq!(seen.recv().await.unwrap().event.kind(), "queued");
    assert_eq!(quire.kinds(job.id).await, ["queued", "queued"]);
    assert_eq!(quire.read(job.id).await.scheduled_at, job.scheduled_at);
    quire.claim(job.id).await;
}

#[tokio::test]
async fn a_time_in_the_past_means_now() {
    let quire = Quire::new().await;
    let scheduled_at = Some(clock::now() - Duration::from_hours(1));
    let job = created(
        quire
            .store
            .create_upload(NewUpload {
                scheduled_at,
                ..upload("?")
            })
            .await
            .unwrap(),
    );
    assert_eq!(job.state, JobState::Queued);
}

#[tokio::test]
async fn a_worker_that_is_due_to_beat_promotes_by_itself() {
    let quire = Quire::new().await;
    let scheduled_at = Some(clock::now() + Duration::from_hours(1));
    let job = created(
        quire
            .store
            .create_upload(NewUpload {
                scheduled_at,
                ..upload("?")
            })
            .await
            .unwrap(),
    );
    quire
        .execute("update quire.jobs set due_at = now() where id = $1", job.id)
        .await;
    until("the heartbeat queues the job", async || {
        quire.state(job.id).await == JobState::Queued
    })
    .await;
}

#[tokio::test]
async fn a_job_without_a_queue_entry_gets_a_new_one() {
    let quire = Quire::new().await;
    let (lost, kept) = (quire.job().await.id, quire.job().await.id);
    let (old, kept_ticket) = (quire.ticket(lost).await, quire.ticket(kept).await);
    sqlx::query("delete from apalis.jobs where idempotency_key = $1")
        .bind(old.ticket.to_string())
        .execute(quire.sql())
        .await
        .unwrap();
    quire.store.housekeeping(3).await.unwrap();
    assert_eq!(quire.ticket(lost).await, old, "it may be on its way still");
    sqlx::query("update quire.jobs set queued_at = now() - interval '1 minute'")
        .execute(quire.sql())
        .await
        .unwrap();
    quire.store.housekeeping(3).await.unwrap();
    assert_eq!(quire.ticket(kept).await, kept_ticket);
    let new = quire.ticket(lost).await;
    assert_ne!(new, old);
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 2);
    assert!(
        quire
            .store
            .claim(&old, quire.worker.name())
            .await
            .unwrap()
            .is_none()
    );
    quire.claim(lost).await;
}

#[tokio::test]
async fn finished_entries_and_forgotten_workers_are_deleted() {
    let quire = Quire::new().await;
    let (old, new, waiting) = (
        quire.job().await.id,
        quire.job().await.id,
        quire.job().await.id,
    );
    apalis_worker(&quire).await;
    for (job, status, age) in [
        (old, "Done", 20),
        (new, "Done", 1),
        (waiting, "Pending", 20),
    ] {
        sqlx::query(
            "update apalis.jobs
             set status = $2, done_at = now() - make_interval(mins => $3)
             where idempotency_key = $1",
        )
        .bind(quire.ticket(job).await.ticket.to_string())
        .bind(status)
        .bind(age)
        .execute(quire.sql())
        .await
        .unwrap();
    }
    quire.store.housekeeping(3).await.unwrap();
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 2);
    assert_eq!(quire.count("select count(*) from apalis.workers").await, 1);
    sqlx::query("update apalis.workers set last_seen = now() - interval '2 days'")
        .execute(quire.sql())
        .await
        .unwrap();
    quire.store.housekeeping(3).await.unwrap();
    assert_eq!(quire.count("select count(*) from apalis.workers").await, 0);
}

#[tokio::test]
async fn apalis_repeats_with_a_pause_and_not_for_ever() {
    let quire = Quire::new().await;
    quire.job().await;
    assert!(fetch(&quire).await.is_some());
    sqlx::query("update apalis.jobs set status = 'Failed', attempts = 1")
        .execute(quire.sql())
        .await
        .unwrap();
    assert_eq!(fetch(&quire).await, None, "a failed entry rests");
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where run_at > now() + interval '1 second'")
            .await,
        1
    );
    sqlx::query("update apalis.jobs set run_at = now() - interval '1 second'")
        .execute(quire.sql())
        .await
        .unwrap();
    assert!(fetch(&quire).await.is_some());
    // As the orphan sweep does, once too often.
    sqlx::query("update apalis.jobs set status = 'Pending', attempts = max_attempts")
        .execute(quire.sql())
        .await
        .unwrap();
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where status = 'Killed'")
            .await,
        1
    );
    assert_eq!(fetch(&quire).await, None);
}

#[tokio::test]
async fn a_panicked_run_counts_as_failed() {
    let quire = Quire::new().await;
    quire.job().await;
    assert!(fetch(&quire).await.is_some());
    sqlx::query("update apalis.jobs set status = 'Running', attempts = 1, done_at = now()")
        .execute(quire.sql())
        .await
        .unwrap();
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where status = 'Failed' and run_at > now()")
            .await,
        1
    );
}

#[tokio::test]
async fn a_cancelled_job_leaves_the_queue() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    quire.store.cancel_job(Owner::LOCAL, job.id).await.unwrap();
    assert_eq!(fetch(&quire).await, None);
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 0);
}
