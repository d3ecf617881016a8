//! Retention: what is over and old goes, in small portions, and nothing else.

use quire_store::{DeleteOutcome, Event, JobId, JobState, Owner};
use serde_json::json;

use crate::support::{Quire, heard_until_end, upload};

/// A completed job with a document.
async fn completed(quire: &Quire) -> JobId {
    let lease = quire.answering().await;
    quire.store.writer(&lease).chunk("42");
    assert!(quire.store.complete(&lease, "42", json!({})).await.unwrap());
    lease.job.id
}

async fn ended_days_ago(quire: &Quire, job: JobId, days: i32) {
    sqlx::query(
        "update quire.jobs set finished_at = now() - make_interval(days => $2) where id = $1",
    )
    .bind(job.0)
    .bind(days)
    .execute(quire.sql())
    .await
    .unwrap();
}

/// Rows of jobs, events, files and documents.
async fn rows(quire: &Quire) -> [i64; 4] {
    [
        quire.count("select count(*) from quire.jobs").await,
        quire.count("select count(*) from quire.job_events").await,
        quire.count("select count(*) from quire.files").await,
        quire.count("select count(*) from quire.documents").await,
    ]
}

#[tokio::test]
async fn ended_jobs_go_after_their_time_with_all_that_is_theirs() {
    let quire = Quire::new().await;
    let (old, young) = (completed(&quire).await, completed(&quire).await);
    let waiting = quire.job().await.id;
    ended_days_ago(&quire, old, 31).await;
    ended_days_ago(&quire, young, 29).await;
    assert_eq!(quire.store.expire_jobs(30).await.unwrap(), 1);
    assert!(quire.store.job(Owner::LOCAL, old).await.unwrap().is_none());
    assert!(quire.events(old).await.is_empty());
    assert_eq!(quire.state(young).await, JobState::Completed);
    assert_eq!(quire.state(waiting).await, JobState::Queued);
    let [jobs, _, files, documents] = rows(&quire).await;
    assert_eq!(
        (jobs, files, documents),
        (2, 2, 1),
        "the other job has the same bytes: what was read from them stays"
    );

    ended_days_ago(&quire, young, 31).await;
    quire.store.cancel_job(Owner::LOCAL, waiting).await.unwrap();
    ended_days_ago(&quire, waiting, 31).await;
    assert_eq!(quire.store.expire_jobs(30).await.unwrap(), 2);
    assert_eq!(rows(&quire).await, [0; 4]);
}

#[tokio::test]
async fn a_long_backlog_goes_in_portions() {
    let quire = Quire::new().await;
    sqlx::query(
        "with file as (
             insert into quire.files (id, owner, sha256, bytes, name, media)
             select gen_random_uuid(), $1, sha256(n::text::bytea), 1, 'a', 'pdf' from generate_series(1, 1000) n
             returning id)
         insert into quire.jobs (id, owner, file_id, prompt, state, created_at, finished_at)
         select gen_random_uuid(), $1, id, '?', 'cancelled', now() - interval '9 days', now() - interval '8 days'
         from file",
    )
    .bind(Owner::LOCAL.0)
    .execute(quire.sql())
    .await
    .unwrap();
    // Two processes at once take different portions.
    let other = quire.db.store().await;
    let (one, two) = tokio::join!(quire.store.expire_jobs(7), other.expire_jobs(7));
    let left = quire.store.expire_jobs(7).await.unwrap();
    assert_eq!(one.unwrap() + two.unwrap() + left, 1000);
    assert_eq!(rows(&quire).await, [0; 4]);
}

#[tokio::test]
async fn a_running_job_is_not_deleted_and_an_ended_one_is() {
    let quire = Quire::new().await;
    let lease = quire.answering().await;
    let id = lease.job.id;
    let delete = || quire.store.delete_job(Owner::LOCAL, id, false);
    assert!(matches!(delete().await.unwrap(), DeleteOutcome::InUse(_)));
    assert!(quire.store.complete(&lease, "42", json!({})).await.unwrap());
    let stranger = Owner(uuid::Uuid::from_u128(1));
    let by_stranger = quire.store.delete_job(stranger, id, true).await.unwrap();
    assert_eq!(by_stranger, DeleteOutcome::NotFound);
    assert_eq!(
        delete().await.unwrap(),
        DeleteOutcome::Deleted { freed: None }
    );
    assert_eq!(delete().await.unwrap(), DeleteOutcome::NotFound);
    assert_eq!(
        rows(&quire).await,
        [0, 0, 1, 1],
        "the file was not to be purged"
    );
    // It goes when its time is over.
    sqlx::query("update quire.files set unused_since = now() - interval '8 days'")
        .execute(quire.sql())
        .await
        .unwrap();
    quire.store.expire_jobs(7).await.unwrap();
    assert_eq!(rows(&quire).await, [0; 4]);
}

#[tokio::test]
async fn deleting_a_waiting_job_ends_it_for_those_who_watch() {
    let quire = Quire::new().await;
    let job = quire.job().await.id;
    let mut heard = quire.store.events().subscribe();
    let deleted = quire
        .store
        .delete_job(Owner::LOCAL, job, true)
        .await
        .unwrap();
    let freed = Some(upload("").file.sha256);
    assert_eq!(deleted, DeleteOutcome::Deleted { freed });
    let heard = heard_until_end(&mut heard, job).await;
    assert_eq!(
        heard.last().map(|record| &record.event),
        Some(&Event::Cancelled)
    );
    assert_eq!(rows(&quire).await, [0; 4]);
    assert_eq!(
        quire.count("select count(*) from apalis.jobs").await,
        0,
        "its queue entry is gone"
    );
}

#[tokio::test]
async fn purging_leaves_what_another_job_needs() {
    let quire = Quire::new().await;
    let (one, other) = (completed(&quire).await, completed(&quire).await);
    let purge = |job| quire.store.delete_job(Owner::LOCAL, job, true);
    assert!(matches!(
        purge(one).await.unwrap(),
        DeleteOutcome::Deleted { .. }
    ));
    let [jobs, _, files, documents] = rows(&quire).await;
    assert_eq!((jobs, files, documents), (1, 1, 1));
    purge(other).await.unwrap();
    assert_eq!(rows(&quire).await, [0; 4]);
}

#[tokio::test]
async fn the_queue_stays_small_while_it_is_drained_at_full_speed() {
    let quire = Quire::new().await;
    let waiting = quire.job().await.id;
    let mut most = 0;
    for second in 0..20 {
        // A second of work at a thousand jobs a second, in the order it was done.
        sqlx::query(
            "insert into apalis.jobs (id, job, job_type, status, attempts, max_attempts, run_at, done_at)
             select 'done-' || $1 || '-' || n, '{}'::bytea, 'quire.extract', 'Done', 1, 25, now(),
                    now() + make_interval(secs => $1 + n / 1000.0)
             from generate_series(1, 1000) n",
        )
        .bind(second)
        .execute(quire.sql())
        .await
        .unwrap();
        quire.store.trim_queue().await.unwrap();
        most = most.max(quire.count("select count(*) from apalis.jobs").await);
    }
    assert!(most < 10_000, "{most} rows");
    let newest = "select count(*) from apalis.jobs where id like 'done-19-%'";
    assert!(
        quire.count(newest).await > 900,
        "the last ones can be looked at"
    );
    quire.claim(waiting).await;
}

#[tokio::test]
async fn days_without_a_process_are_made_up_for() {
    let quire = Quire::new().await;
    let old = quire.job().await.id;
    // Its day's partition was dropped, or never made, while nothing ran.
    quire
        .execute(
            "with moved as (
                 update quire.jobs set created_at = created_at - interval '10 days' where id = $1
                 returning id, job_day, created_at, owner),
             gone as (delete from quire.job_events where job_id = $1)
             insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, body, at)
             select id, 7, job_day, created_at, owner, 0, 0, '{\"kind\": \"queued\"}', now() - interval '10 days'
             from moved",
            old,
        )
        .await;
    let young = quire.job().await.id;
    sqlx::raw_sql(
        "do $$ begin
             for ahead in 1..3 loop
                 execute format('drop table quire.job_events_%s', to_char((now() at time zone 'UTC')::date + ahead, 'YYYYMMDD'));
             end loop;
         end $$",
    )
    .execute(quire.sql())
    .await
    .unwrap();
    let partitions =
        "select count(*) from pg_inherits where inhparent = 'quire.job_events'::regclass";
    let before = quire.count(partitions).await;
    assert_eq!(
        quire
            .count("select count(*) from quire.job_events where seq = 7")
            .await,
        1
    );
    quire.store.housekeeping(3).await.unwrap();
    assert_eq!(quire.count(partitions).await, before + 3);
    let past = "select count(*) from quire.job_events where seq = 7";
    assert_eq!(quire.count(past).await, 0, "past its time");
    assert_eq!(quire.kinds(young).await, ["queued"]);
    assert_eq!(
        quire.state(old).await,
        JobState::Queued,
        "the job itself stays"
    );
    // What it does from now on is told all the same.
    quire.claim(old).await;
    quire.store.cancel_job(Owner::LOCAL, old).await.unwrap();
    quire.store.housekeeping(3).await.unwrap();
    // Counted here because an event is read by the day in its job's id, which the test could not change.
    let ends = "select count(*) from quire.job_events where kind = 'cancelled'";
    assert_eq!(quire.count(ends).await, 1);
}
