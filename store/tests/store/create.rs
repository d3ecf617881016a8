//! Taking uploads in.

use std::collections::HashSet;

use quire_store::{Created, JobState, NewUpload, Owner, Stage, clock};
use tokio::task::JoinSet;

use crate::support::{Quire, created, upload, with_key};

#[tokio::test]
async fn a_new_job_has_its_file_its_event_and_its_queue_entry() {
    let quire = Quire::new().await;
    let job = created(
        quire
            .store
            .create_upload(NewUpload {
                priority: 3,
                ..upload("why?")
            })
            .await
            .unwrap(),
    );
    assert_eq!(
        (job.state, job.stage, job.progress, job.attempt),
        (JobState::Queued, Stage::Extract, 0, 0)
    );
    assert_eq!(
        (job.prompt.as_str(), job.file_name.as_str(), job.priority),
        ("why?", "report.pdf", 3)
    );
    assert_eq!(quire.read(job.id).await, job);
    assert_eq!(quire.kinds(job.id).await, ["queued"]);
    assert_eq!(quire.count("select count(*) from quire.files").await, 1);
    assert_eq!(
        quire
            .count("select count(*) from apalis.jobs where priority = 3 and status = 'Pending'")
            .await,
        1
    );
}

#[tokio::test]
async fn what_fails_half_way_leaves_nothing() {
    let quire = Quire::new().await;
    sqlx::query("alter table apalis.jobs add constraint refused check (priority <> 13)")
        .execute(quire.sql())
        .await
        .unwrap();
    let refused = quire
        .store
        .create_upload(NewUpload {
            priority: 13,
            ..upload("?")
        })
        .await;
    assert!(!refused.unwrap_err().is_unavailable());
    for table in [
        "quire.files",
        "quire.jobs",
        "quire.job_events",
        "apalis.jobs",
    ] {
        let count: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select count(*) from {table}")))
                .fetch_one(quire.sql())
                .await
                .unwrap();
        assert_eq!(count, 0, "{table}");
    }
}

#[tokio::test]
async fn a_repeated_request_gives_the_same_job_and_another_request_is_refused() {
    let quire = Quire::new().await;
    let job = created(quire.store.create_upload(with_key("k", 1)).await.unwrap());
    assert_eq!(
        quire.store.create_upload(with_key("k", 1)).await.unwrap(),
        Created::Replayed(job)
    );
    assert_eq!(
        quire.store.create_upload(with_key("k", 2)).await.unwrap(),
        Created::Mismatch
    );
    created(
        quire
            .store
            .create_upload(with_key("other", 2))
            .await
            .unwrap(),
    );
    let stranger = NewUpload {
        owner: Owner(clock::new_id()),
        ..with_key("k", 2)
    };
    created(quire.store.create_upload(stranger).await.unwrap());
    assert_eq!(quire.count("select count(*) from quire.files").await, 3);
}

#[tokio::test]
async fn sixteen_identical_requests_at_once_give_one_job() {
    let quire = Quire::new().await;
    let mut requests = JoinSet::new();
    for _ in 0..16 {
        let store = quire.store.clone();
        requests.spawn(async move { store.create_upload(with_key("k", 1)).await.unwrap() });
    }
    let (mut new, mut ids) = (0, HashSet::new());
    for outcome in requests.join_all().await {
        match outcome {
            Created::New(job) => {
                new += 1;
                ids.insert(job.id);
            }
            Created::Replayed(job) => {
                ids.insert(job.id);
            }
            Created::Mismatch => panic!("the requests were identical"),
        }
    }
    assert_eq!((new, ids.len()), (1, 1));
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 1);
    assert_eq!(
        quire.count("select count(*) from quire.job_events").await,
        1
    );
}

#[tokio::test]
async fn text_that_postgres_refuses_is_taken_in() {
    let quire = Quire::new().await;
    let odd = NewUpload {
        file_name: "a\0b.pdf".to_owned(),
        ..upload("nul \0 and \u{1f980}")
    };
    let job = created(quire.store.create_upload(odd).await.unwrap());
    assert_eq!(
        (job.prompt.as_str(), job.file_name.as_str()),
        ("nul \u{fffd} and \u{1f980}", "a\u{fffd}b.pdf")
    );
}

#[tokio::test]
async fn nobody_sees_the_job_of_another_owner() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    let stranger = Owner(clock::new_id());
    assert_eq!(quire.store.job(stranger, job.id).await.unwrap(), None);
    assert!(
        quire
            .store
            .events()
            .since(stranger, job.id, -1, 100)
            .await
            .unwrap()
            .is_empty()
    );
}
