//! Findings 9 to 12: what the statements of apalis read, and whom they tell.

use std::time::Duration;

use apalis::prelude::{BackendExt as _, BoxDynError, Data, WorkerBuilder};
use apalis_postgres::{PgListener, PostgresStorage, queries};
use std::sync::Arc;
use tokio::sync::Notify;

use crate::support::{QUEUE, Queue, config};

/// Enough rows that reading them all cannot be mistaken for a look into an index.
const FINISHED: i64 = 20_000;
const WAITING: i64 = 5_000;
/// Rows that a statement may read that knows where to look.
const FEW: i64 = 200;

/// A queue that has been in use, by a worker that is gone.
async fn fill(queue: &Queue) {
    queue.register("former").await.unwrap();
    queue.silence().await;
    let mut conn = queue.pool.acquire().await.unwrap();
    // Without the triggers, which are of no concern here.
    sqlx::query("set session_replication_role = replica")
        .execute(&mut *conn)
        .await
        .unwrap();
    sqlx::query(
        "insert into apalis.jobs (id, job, job_type, status, attempts, max_attempts, run_at, priority, done_at, lock_by)
         select lpad(n::text, 26, '0'), '0'::bytea, $1, case when n <= $2 then 'Done' else 'Pending' end, 0, 25,
                now() - interval '1 minute', 0, case when n <= $2 then now() end, case when n <= $2 then 'former' end
         from generate_series(1, $2 + $3) as n",
    )
    .bind(QUEUE)
    .bind(FINISHED)
    .bind(WAITING)
    .execute(&mut *conn)
    .await
    .unwrap();
    conn.close_on_drop();
    queue.execute("vacuum analyze apalis.jobs").await;
}

/// Rows of apalis.jobs that the transaction has read.
const READ: &str = "select (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint
     from pg_stat_xact_user_tables
     where schemaname = 'apalis' and relname = 'jobs'";

#[tokio::test]
async fn a_fetch_reads_the_whole_table_or_a_few_rows() {
    for (queue, reads_all) in [(Queue::shipped().await, true), (Queue::ours().await, false)] {
        fill(&queue).await;
        queue.register("w").await.unwrap();
        let mut tx = queue.pool.begin().await.unwrap();
        let fetched = queries::fetch_next(
            &mut *tx,
            &config(),
            &apalis::prelude::WorkerContext::new("w"),
        )
        .await
        .unwrap();
        assert_eq!(fetched.len(), 1);
        let read: i64 = sqlx::query_scalar(READ).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(read > FEW, reads_all, "{read} rows");
    }
}

#[tokio::test]
async fn a_sweep_reads_the_whole_table_or_a_few_rows() {
    for (queue, reads_all) in [(Queue::shipped().await, true), (Queue::ours().await, false)] {
        fill(&queue).await;
        queue.register("w").await.unwrap();
        let mut tx = queue.pool.begin().await.unwrap();
        queries::reenqueue_orphaned(&mut *tx, QUEUE, 5)
            .await
            .unwrap();
        let read: i64 = sqlx::query_scalar(READ).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(read > FEW, reads_all, "{read} rows");
    }
}

/// Tells that a task has begun.
async fn begin(_: u32, begun: Data<Arc<Notify>>) -> Result<(), BoxDynError> {
    begun.notify_one();
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_of_a_task_that_becomes_due_and_a_poll_finds_it() {
    let queue = Queue::shipped().await;
    let mut listener = PgListener::connect_with(&queue.pool).await.unwrap();
    listener.listen("apalis::job::insert").await.unwrap();
    queue.push(1, 25).await;
    assert!(!listener.recv().await.unwrap().payload().is_empty());
    // Given back, retried, or due after a while: to the database all of these are an update.
    queue
        .execute("update apalis.jobs set status = 'Failed', attempts = 1")
        .await;
    queue
        .execute("update apalis.jobs set status = 'Pending'")
        .await;
    queue
        .execute("select pg_notify('apalis::job::insert', 'after all that')")
        .await;
    assert_eq!(listener.recv().await.unwrap().payload(), "after all that");

    let begun = Arc::new(Notify::new());
    let backend = PostgresStorage::<u32>::new(&queue.pool)
        .with_config(config())
        .poll_with_interval(Duration::from_millis(20));
    let worker = WorkerBuilder::new("w")
        .backend(backend)
        .data(Arc::clone(&begun))
        .build(begin);
    let running = tokio::spawn(worker.run());
    let found = tokio::time::timeout(Duration::from_secs(20), begun.notified()).await;
    running.abort();
    assert!(found.is_ok(), "the poll finds it");
}
