//! Findings 2, 3 and 13, and the late lock: who a worker is, and who is told.

use apalis_postgres::{Pubsub, queries};
use futures_util::StreamExt;
use quire_store::StoreError;
use sqlx::postgres::PgPoolOptions;

use crate::support::{QUEUE, Queue};

/// A worker that died with a task in its hands, of which nobody has noticed anything yet.
async fn died_just_now(queue: &Queue, name: &str) {
    queue.push(1, 25).await;
    queue.register(name).await.unwrap();
    assert_eq!(queue.fetch(name, 1).await, 1);
}

#[tokio::test]
async fn a_restart_under_the_same_name_strands_a_task_and_another_name_does_not() {
    let queue = Queue::shipped().await;
    died_just_now(&queue, "same").await;
    queue.register("same").await.unwrap();
    queue.silence().await;
    // However long it takes: the name beats, so its task is taken to be in good hands.
    assert_eq!(queue.beat("same").await, 0);
    assert_eq!(queue.status().await, "Queued");

    let queue = Queue::ours().await;
    died_just_now(&queue, "first").await;
    queue.register("second").await.unwrap();
    queue.silence().await;
    assert_eq!(queue.beat("second").await, 1);
    assert_eq!(queue.status().await, "Pending");
}

#[tokio::test]
async fn a_name_in_use_is_refused_by_us_only() {
    let queue = Queue::shipped().await;
    queue.register("w").await.unwrap();
    queue.register("w").await.unwrap();
    assert_eq!(queue.count("select count(*) from apalis.workers").await, 1);

    let queue = Queue::ours().await;
    let (one, other) = (queue.db.store().await, queue.db.store().await);
    let _held = one.register_worker("w").await.unwrap();
    let refused = other.register_worker("w").await;
    assert!(matches!(refused, Err(StoreError::WorkerNameTaken(name)) if name == "w"));
}

#[tokio::test]
async fn a_listener_that_could_not_connect_stays_silent() {
    let nowhere = PgPoolOptions::new()
        .acquire_timeout(std::time::Duration::from_millis(200))
        .connect_lazy("postgres://127.0.0.1:1/nowhere")
        .unwrap();
    let mut notifications = Pubsub::new(nowhere, QUEUE.to_owned());
    assert!(
        notifications
            .next()
            .await
            .is_some_and(|first| first.is_err())
    );
    assert!(notifications.next().await.is_none(), "it never tries again");
}

#[tokio::test]
async fn a_late_lock_takes_a_task_from_its_owner() {
    let queue = Queue::ours().await;
    died_just_now(&queue, "slow").await;
    let task: String = sqlx::query_scalar("select id from apalis.jobs")
        .fetch_one(&queue.pool)
        .await
        .unwrap();
    queue.register("quick").await.unwrap();
    queue.silence().await;
    queue.beat("quick").await;
    assert_eq!(queue.fetch("quick", 1).await, 1);
    let mut conn = queue.pool.acquire().await.unwrap();
    let stolen = queries::lock_tasks(&mut *conn, &[task], "slow")
        .await
        .unwrap();
    // No harm to a job: `lease::a_replaced_or_foreign_ticket_is_worth_nothing`.
    assert_eq!(stolen, 1);
}
