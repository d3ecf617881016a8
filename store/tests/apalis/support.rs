//! A queue with apalis' migrations only, the same with ours, and what the tests do to both.

use std::{future::poll_fn, time::Duration};

use apalis::prelude::{Backend, TaskBuilder, WorkerContext};
use apalis_postgres::{Config, Error, PgTask, PostgresStorage, queries};
use quire_store::testing::TestDb;
use sqlx::{PgPool, postgres::PgPoolOptions};

/// The queue of the tests.
pub(crate) const QUEUE: &str = "test";
/// Only a broken build waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// A database with apalis' tables.
pub(crate) struct Queue {
    pub(crate) pool: PgPool,
    // Last: dropped after the pool.
    pub(crate) db: TestDb,
}

impl Queue {
    /// As quire has it.
    pub(crate) async fn ours() -> Self {
        let db = TestDb::new().await;
        let pool = PgPoolOptions::new()
            .max_connections(6)
            .connect(db.url())
            .await
            .unwrap();
        Self { pool, db }
    }

    /// As apalis ships it.
    pub(crate) async fn shipped() -> Self {
        let queue = Self::ours().await;
        sqlx::raw_sql("drop schema quire cascade; drop schema apalis cascade")
            .execute(&queue.pool)
            .await
            .unwrap();
        PostgresStorage::migrations()
            .run(&queue.pool)
            .await
            .unwrap();
        queue
    }

    /// Waiting tasks, due since a while.
    pub(crate) async fn push(&self, tasks: usize, max_attempts: usize) {
        let task = |_| TaskBuilder::new(b"0".to_vec()).max_attempts(max_attempts);
        self.push_all((0..tasks).map(task).map(TaskBuilder::build).collect())
            .await
            .unwrap();
        self.execute("update apalis.jobs set run_at = now() - interval '1 minute'")
            .await;
    }

    pub(crate) async fn push_all(&self, tasks: Vec<PgTask>) -> Result<(), Error> {
        let mut conn = self.pool.acquire().await.unwrap();
        queries::push_tasks(&mut *conn, QUEUE, tasks).await
    }

    /// Starts a worker up to its registration.
    pub(crate) async fn register(&self, name: &str) -> Result<(), Error> {
        let worker = WorkerContext::new(name);
        let mut backend = PostgresStorage::<u32>::new(&self.pool).with_config(config());
        poll_fn(|cx| backend.poll_ready(cx, &worker)).await
    }

    /// The heartbeat of a worker, as its backend does it.
    pub(crate) async fn beat(&self, name: &str) -> u64 {
        let mut tx = self.pool.begin().await.unwrap();
        queries::keep_alive(&mut *tx, QUEUE, &WorkerContext::new(name))
            .await
            .unwrap();
        let swept = queries::reenqueue_orphaned(&mut *tx, QUEUE, 5)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        swept
    }

    /// How many tasks a worker is handed.
    pub(crate) async fn fetch(&self, name: &str, tasks: usize) -> usize {
        let config = config().batch_size(tasks);
        let mut conn = self.pool.acquire().await.unwrap();
        let fetched = queries::fetch_next(&mut *conn, &config, &WorkerContext::new(name)).await;
        fetched.unwrap().len()
    }

    /// Time passes in which no worker has beaten.
    pub(crate) async fn silence(&self) {
        self.execute("update apalis.workers set last_seen = last_seen - interval '1 minute'")
            .await;
    }

    pub(crate) async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// Of the only task, or of all alike.
    pub(crate) async fn status(&self) -> String {
        sqlx::query_scalar("select distinct status from apalis.jobs")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

pub(crate) fn config() -> Config {
    Config::default()
        .queue(QUEUE)
        .batch_size(1)
        .heartbeat_interval(Duration::from_millis(100))
        .missed_heartbeats(50)
}

/// Asks again and again until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let asked = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, asked).await.is_ok(),
        "never happened: {what}"
    );
}
