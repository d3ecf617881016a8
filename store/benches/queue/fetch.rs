//! One fetch with 100,000 jobs pending, 1,000,000 finished and 100,000 scheduled: as apalis ships it, and ours.

use std::time::Instant;

use apalis_core::worker::context::WorkerContext;
use apalis_postgres::{Config, queries::fetch_next};
use quire_store::QUEUE_EXTRACT;
use sqlx::PgPool;

use crate::{Figure, database, database::Server, percentile};

const FETCHES: usize = 300;
/// The shipped fetch takes about a second.
const SHIPPED_FETCHES: usize = 8;

/// Entries as apalis has them. Scheduled jobs lie in its table too.
const FILL_SHIPPED: &str = "
    insert into apalis.workers (id, worker_type, storage_name) values ('bench', 'quire.extract', 'bench');
    insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, done_at)
    select lpad(n::text, 26, '0'), 'quire.extract', '{}', 'Done', 1, 25, now() - interval '1 hour', 0, now()
    from generate_series(1, 1000000) n;
    insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
    select lpad((n + 2000000)::text, 26, '0'), 'quire.extract', '{}', 'Pending', 0, 25,
           date_trunc('second', now()) - make_interval(secs => (100000 - n) / 100), 0
    from generate_series(1, 100000) n;
    insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority)
    select lpad((n + 3000000)::text, 26, '0'), 'quire.extract', '{}', 'Pending', 0, 25, now() + interval '1 day', 0
    from generate_series(1, 100000) n;
    vacuum analyze apalis.jobs";

/// The same with ours: finished jobs and their entries, which housekeeping has not deleted yet, waiting ones of one owner, and
/// scheduled ones, which have no entry.
const FILL_OURS: &str = "
    insert into apalis.workers (id, worker_type, storage_name) values ('bench', 'quire.extract', 'bench');
    insert into quire.files (id, owner, sha256, bytes, name, media)
    values ('00000000-0000-0000-0000-00000000000f', '00000000-0000-0000-0000-000000000000', decode(repeat('00', 32), 'hex'), 1, 'f', 'csv');
    insert into quire.jobs (id, owner, file_id, prompt, state, progress, answer, created_at, finished_at)
    select gen_random_uuid(), '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-00000000000f', 'p', 'completed', 100, 'a',
           now() - interval '1 hour', now()
    from generate_series(1, 1000000) n;
    insert into quire.jobs (id, owner, file_id, prompt, state, created_at, scheduled_at, due_at)
    select gen_random_uuid(), '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-00000000000f', 'p', 'scheduled',
           now(), now() + interval '1 day', now() + interval '1 day'
    from generate_series(1, 100000) n;
    insert into quire.jobs (id, owner, file_id, prompt, state, created_at, ticket, queued_at)
    select gen_random_uuid(), '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-00000000000f', 'p', 'queued',
           now(), gen_random_uuid(), date_trunc('second', now()) - make_interval(secs => (100000 - n) / 100)
    from generate_series(1, 100000) n;
    insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, done_at)
    select lpad(n::text, 26, '0'), 'quire.extract', '{}', 'Done', 1, 25, now() - interval '1 hour', 0, now()
    from generate_series(1, 1000000) n;
    insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, owner, idempotency_key)
    select lpad((row_number() over () + 2000000)::text, 26, '0'), 'quire.extract', '{}', 'Pending', 0, 25, queued_at, priority, owner,
           ticket::text
    from quire.jobs where state = 'queued';
    vacuum analyze";

/// Half of the waiting jobs are spread over a thousand owners and 21 priorities.
const SPREAD: &str = "
    update apalis.jobs
    set owner = lpad(to_hex(id::bigint % 1000 + 1), 32, '0')::uuid, priority = id::bigint % 21 - 10
    where status = 'Pending' and id::bigint % 2 = 0;
    vacuum analyze apalis.jobs";

const LIMIT: &str = "update quire.queues set owner_slots = 50";

const GOAL: &str = "under 2 ms";

/// Measures on both databases.
pub async fn measure(server: &Server) -> Vec<Figure> {
    let shipped = server.shipped("fetch_shipped").await;
    database::run(&shipped, FILL_SHIPPED).await;
    let mut figures = vec![figure("fetch as apalis ships it", "", &shipped, SHIPPED_FETCHES).await];
    shipped.close().await;
    let store = server.ours("fetch_ours", 8).await;
    let ours = store.pool();
    database::run(ours, FILL_OURS).await;
    figures.push(figure("fetch, one owner", GOAL, ours, FETCHES).await);
    figures.push(positions(&store).await);
    database::run(ours, SPREAD).await;
    figures.push(figure("fetch, 1,000 owners and 21 priorities", GOAL, ours, FETCHES).await);
    database::run(ours, LIMIT).await;
    figures.push(figure("the same with owner_slots", GOAL, ours, FETCHES).await);
    store.close().await;
    figures
}

async fn figure(what: &str, goal: &'static str, pool: &PgPool, fetches: usize) -> Figure {
    let config = Config::default().queue(QUEUE_EXTRACT).batch_size(1);
    let worker = WorkerContext::new("bench");
    let mut conn = pool.acquire().await.unwrap();
    let mut times = Vec::new();
    for _ in 0..=fetches {
        let started = Instant::now();
        let tasks = fetch_next(&mut *conn, &config, &worker).await.unwrap();
        times.push(started.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(tasks.len(), 1);
    }
    // Plans of a session are made at its first fetch.
    let first = times.remove(0);
    let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    let measured = format!("p50 {p50:.2} ms, p99 {p99:.2} ms, first {first:.1} ms");
    Figure::new(what, goal, measured)
}

async fn positions(store: &quire_store::Store) -> Figure {
    let last: uuid::Uuid = sqlx::query_scalar(
        "select id from quire.jobs where state = 'queued' order by queued_at desc, ticket desc limit 1",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    let mut times = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        store
            .queue_position(quire_store::JobId(last))
            .await
            .unwrap();
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let (p50, p99) = (percentile(&mut times, 0.5), percentile(&mut times, 0.99));
    Figure::new(
        "queue position of the last of 100,000",
        "",
        format!("p50 {p50:.1} ms, p99 {p99:.1} ms"),
    )
}
