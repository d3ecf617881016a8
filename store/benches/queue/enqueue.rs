//! Jobs taken in: whole uploads (file, job, event and entry rows) one by one and in batches, and bare queue entries.

use std::time::{Duration, Instant};

use apalis_core::task::builder::TaskBuilder;
use apalis_postgres::queries::push_tasks;
use quire_store::{AnswerOptions, FileHold, NewUpload, Owner, QUEUE_EXTRACT, Store, StoredFile};
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::{Figure, database::Server};

const BATCH: usize = 1_000;
const BATCHES: usize = 40;
const SINGLES: usize = 500;
const WRITERS: [usize; 2] = [1, 4];

/// Measures enqueueing.
pub async fn measure(server: &Server) -> Vec<Figure> {
    let mut figures = Vec::new();
    let store = server.ours("enqueue_ours", 16).await;
    for writers in [1, 8] {
        let took = uploads(&store, writers, 1, SINGLES * writers).await;
        let what = format!("uploads one by one, {writers} writers");
        figures.push(Figure::rate(what, "", SINGLES * writers, took));
    }
    for writers in WRITERS {
        let took = uploads(&store, writers, BATCH, BATCHES * BATCH).await;
        let what = format!("uploads in batches of 1,000, {writers} writers");
        figures.push(Figure::rate(what, "30,000/s", BATCHES * BATCH, took));
    }
    for writers in WRITERS {
        let took = entries(store.pool(), writers).await;
        let what = format!("bare entries in batches of 1,000, our schema, {writers} writers");
        figures.push(Figure::rate(what, "30,000/s", BATCHES * BATCH, took));
    }
    store.close().await;
    let shipped = server.shipped("enqueue_shipped").await;
    for writers in WRITERS {
        let took = entries(&shipped, writers).await;
        let what = format!("bare entries in batches of 1,000, as shipped, {writers} writers");
        figures.push(Figure::rate(what, "", BATCHES * BATCH, took));
    }
    shipped.close().await;
    figures
}

/// An upload of one of ten files.
pub fn upload(number: usize) -> NewUpload {
    NewUpload {
        owner: Owner::LOCAL,
        file: StoredFile {
            sha256: [(number % 10) as u8; 32],
            bytes: 1_000,
            hold: FileHold::default(),
        },
        file_name: "table.csv".to_owned(),
        media: "csv".to_owned(),
        prompt: "How many rows?".to_owned(),
        priority: 0,
        scheduled_at: None,
        password: None,
        idempotency: None,
        options: AnswerOptions::default(),
    }
}

/// Takes `count` uploads in and says how long that took.
pub async fn uploads(store: &Store, writers: usize, batch: usize, count: usize) -> Duration {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let store = store.clone();
        tasks.spawn(async move {
            for first in (0..count / writers).step_by(batch) {
                let new: Vec<NewUpload> = (first..first + batch).map(upload).collect();
                store.create_uploads(new).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    started.elapsed()
}

async fn entries(pool: &PgPool, writers: usize) -> Duration {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..writers {
        let pool = pool.clone();
        tasks.spawn(async move {
            for _ in 0..BATCHES / writers {
                let batch = (0..BATCH)
                    .map(|_| TaskBuilder::new(b"{}".to_vec()).build())
                    .collect();
                let mut conn = pool.acquire().await.unwrap();
                push_tasks(&mut *conn, QUEUE_EXTRACT, batch).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    started.elapsed()
}
