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

#[tokio::test]
async fn a_batch_says_what_became_of_each_in_order() {
    let quire = Quire::new().await;
    let before = created(
        quire
            .store
            .create_upload(with_key("before", 1))
            .await
            .unwrap(),
    );
    let scheduled = NewUpload {
        scheduled_at: Some(clock::now() + std::time::Duration::from_hours(1)),
        ..upload("later")
    };
    let batch = vec![
        upload("first"),
        with_key("before", 1),
        with_key("new", 2),
        with_key("before", 9),
        with_key("new", 2),
        scheduled,
        upload("last"),
    ];
    let outcomes = quire.store.create_uploads(batch).await.unwrap();
    let Ok([first, again, new, mismatch, twice, later, last]) = <[Created; 7]>::try_from(outcomes)
    else {
        panic!("one outcome for each")
    };
    assert_eq!(created(first.clone()).prompt, "first");
    assert_eq!(again, Created::Replayed(before));
    assert_eq!(mismatch, Created::Mismatch);
    assert_eq!(twice, Created::Replayed(created(new)));
    assert_eq!(created(later).state, JobState::Scheduled);
    assert_eq!(created(last.clone()).prompt, "last");
    assert_eq!(quire.count("select count(*) from quire.files").await, 5);
    assert_eq!(
        quire.count("select count(*) from quire.job_events").await,
        5
    );
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 4);
    // They wait in the order of the batch.
    let position = async |job: Created| quire.store.queue_position(created(job).id).await.unwrap();
    assert_eq!(
        (position(first).await, position(last).await),
        (Some(2), Some(4))
    );
    assert!(
        quire
            .store
            .create_uploads(Vec::new())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn batches_with_the_same_keys_at_once_give_each_job_once() {
    let quire = Quire::new().await;
    let keys: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
    let mut batches = JoinSet::new();
    for turn in 0..6 {
        let mut batch: Vec<NewUpload> = keys.iter().map(|key| with_key(key, 1)).collect();
        batch.rotate_left(turn * 7);
        let store = quire.store.clone();
        batches.spawn(async move { store.create_uploads(batch).await.unwrap() });
    }
    let outcomes: Vec<Created> = batches.join_all().await.into_iter().flatten().collect();
    let new = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Created::New(_)))
        .count();
    assert_eq!((outcomes.len(), new), (300, 50));
    assert!(!outcomes.contains(&Created::Mismatch));
    assert_eq!(quire.count("select count(*) from apalis.jobs").await, 50);
}
