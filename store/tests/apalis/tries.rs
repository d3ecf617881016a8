//! Findings 4, 8, 14, 17 and 18: how often and how soon a task is tried.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apalis::prelude::TaskBuilder;
use apalis_postgres::queries;
use quire_store::{
    AnswerOptions, Created, FileHold, Idempotency, NewUpload, Owner, StoredFile, clock,
};

use crate::support::{QUEUE, Queue};

#[tokio::test]
async fn a_failed_task_comes_again_at_once_or_after_a_pause() {
    for (queue, again) in [(Queue::shipped().await, 1), (Queue::ours().await, 0)] {
        queue.push(1, 5).await;
        queue.register("w").await.unwrap();
        assert_eq!(queue.fetch("w", 1).await, 1);
        queue
            .execute("update apalis.jobs set status = 'Failed', attempts = 1, done_at = now()")
            .await;
        assert_eq!(queue.fetch("w", 1).await, again);
        let rests = queue
            .count("select count(*) from apalis.jobs where run_at > now() + interval '1 second'")
            .await;
        assert_eq!(rests == 0, again == 1);
    }
}

#[tokio::test]
async fn a_task_that_kills_its_worker_is_tried_for_ever_or_so_often() {
    const MAX_ATTEMPTS: usize = 3;
    for (queue, wanted) in [(Queue::shipped().await, 10), (Queue::ours().await, 3)] {
        queue.push(1, MAX_ATTEMPTS).await;
        queue.register("reaper").await.unwrap();
        let mut deaths = 0;
        for life in 0..10 {
            let name = format!("w{life}");
            queue.register(&name).await.unwrap();
            if queue.fetch(&name, 1).await == 0 {
                break;
            }
            deaths += 1;
            queue.silence().await;
            queue.beat("reaper").await;
        }
        assert_eq!(deaths, wanted);
    }
}

#[tokio::test]
async fn a_task_for_later_is_cut_to_a_whole_second_and_a_job_is_not() {
    let queue = Queue::ours().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // The last millisecond of a second: the most that is lost.
    let asked = Duration::from_secs(now.as_secs() + 100) + Duration::from_millis(999);
    let task = TaskBuilder::new(b"0".to_vec()).run_at_time(UNIX_EPOCH + asked);
    queue.push_all(vec![task.build()]).await.unwrap();
    let stored = queue
        .count("select (extract(epoch from run_at) * 1000)::bigint from apalis.jobs")
        .await;
    assert_eq!(asked.as_millis() as i64 - stored, 999, "early by so much");

    let scheduled_at = clock::now() + Duration::from_hours(1);
    let new = NewUpload {
        scheduled_at: Some(scheduled_at),
        ..upload(None)
    };
    queue.db.store().await.create_upload(new).await.unwrap();
    let stored = queue
        .count("select (extract(epoch from due_at) * 1000000)::bigint from quire.jobs")
        .await;
    assert_eq!(stored, scheduled_at.timestamp_micros());
}

#[tokio::test]
async fn a_repeated_key_fails_a_whole_batch_and_not_an_upload() {
    let queue = Queue::ours().await;
    let task = |key| TaskBuilder::new(b"0".to_vec()).idempotency_key(key).build();
    assert!(
        queue
            .push_all(vec![task("a"), task("b"), task("a")])
            .await
            .is_err()
    );
    assert_eq!(queue.count("select count(*) from apalis.jobs").await, 0);

    let store = queue.db.store().await;
    let again = || store.create_upload(upload(Some("key")));
    assert!(matches!(again().await.unwrap(), Created::New(_)));
    assert!(matches!(again().await.unwrap(), Created::Replayed(_)));
}

#[tokio::test]
async fn a_hand_back_charges_tasks_that_never_ran() {
    let queue = Queue::ours().await;
    queue.push(3, 25).await;
    queue.register("w").await.unwrap();
    assert_eq!(queue.fetch("w", 3).await, 3);
    let waiting: Vec<String> =
        sqlx::query_scalar("select id from apalis.jobs order by id offset 1")
            .fetch_all(&queue.pool)
            .await
            .unwrap();
    let mut conn = queue.pool.acquire().await.unwrap();
    queries::reenqueue_abandoned(&mut *conn, QUEUE, "w", &waiting)
        .await
        .unwrap();
    // Ours has nothing waiting (batch_size(1)), and counts what ran in quire.jobs.
    assert_eq!(
        queue
            .count("select count(*) from apalis.jobs where status = 'Pending' and attempts = 1")
            .await,
        2
    );
}

fn upload(key: Option<&str>) -> NewUpload {
    NewUpload {
        owner: Owner::LOCAL,
        file: StoredFile {
            sha256: [7; 32],
            bytes: 4,
            hold: FileHold::default(),
        },
        file_name: "report.pdf".to_owned(),
        media: "pdf".to_owned(),
        prompt: "what is this?".to_owned(),
        priority: 0,
        scheduled_at: None,
        password: None,
        idempotency: key.map(|key| Idempotency {
            key: key.to_owned(),
            request_hash: [1; 32],
        }),
        options: AnswerOptions::default(),
    }
}
