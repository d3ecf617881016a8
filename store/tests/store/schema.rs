//! The schema: made once, by whoever comes first, and refusing what the code must never do.

use quire_store::{JobState, Store, StoreError, StoreOptions, testing::TestDb};
use tokio::task::JoinSet;

use crate::support::Quire;

async fn connect(db: &TestDb) -> Store {
    let options = StoreOptions {
        url: db.url().to_owned(),
        max_connections: 2,
        role: "quire-test",
    };
    Store::connect(&options).await.unwrap()
}

#[tokio::test]
async fn several_processes_migrate_an_empty_database_at_once() {
    let db = TestDb::new().await;
    let store = connect(&db).await;
    sqlx::raw_sql("drop schema quire cascade; drop schema apalis cascade; drop extension hstore; drop extension pgcrypto")
        .execute(store.pool())
        .await
        .unwrap();
    let mut migrations = JoinSet::new();
    for _ in 0..4 {
        let store = connect(&db).await;
        migrations.spawn(async move { store.migrate().await });
    }
    for outcome in migrations.join_all().await {
        outcome.unwrap();
    }
    store.migrate().await.unwrap();
    let ours: i64 = sqlx::query_scalar("select count(*) from quire._sqlx_migrations where success")
        .fetch_one(store.pool())
        .await
        .unwrap();
    let partitions: i64 = sqlx::query_scalar(
        "select count(*) from pg_inherits where inhparent = 'quire.job_events'::regclass",
    )
    .fetch_one(store.pool())
    .await
    .unwrap();
    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations"));
    assert_eq!(
        (ours, partitions),
        (migrations.unwrap().count().cast_signed() as i64, 5)
    );
}

#[tokio::test]
async fn a_queue_with_another_fetch_is_refused() {
    let quire = Quire::new().await;
    sqlx::raw_sql(
        "create or replace function apalis.get_jobs(worker_id text, v_job_type text, v_job_count integer default 5)
         returns setof apalis.jobs language sql as 'select * from apalis.jobs'",
    )
    .execute(quire.sql())
    .await
    .unwrap();
    assert!(matches!(
        quire.store.migrate().await,
        Err(StoreError::Foreign(_))
    ));
}

#[tokio::test]
async fn the_schema_refuses_impossible_jobs() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    let impossible = [
        "state = 'lost'",
        "state = 'running', ticket = null",
        "ticket = null",
        "state = 'scheduled', ticket = null",
        "state = 'completed', ticket = null, finished_at = now(), progress = 100",
        "state = 'completed', ticket = null, finished_at = now(), answer = ''",
        "state = 'failed', ticket = null, finished_at = now()",
        "state = 'cancelled', ticket = null",
        "finished_at = now()",
        "progress = 101",
        "answer = 'early'",
        "attempt_id = gen_random_uuid()",
        "worker = 'nobody'",
        "idempotency_key = 'k'",
    ];
    for change in impossible {
        let statement = format!("update quire.jobs set {change}");
        let refused = sqlx::query(sqlx::AssertSqlSafe(statement))
            .execute(quire.sql())
            .await;
        let error = refused.expect_err(change);
        assert!(
            error.as_database_error().unwrap().is_check_violation(),
            "{change}: {error}"
        );
    }
    assert_eq!(quire.state(job.id).await, JobState::Queued);
}

#[tokio::test]
async fn partitions_are_made_ahead_and_dropped_behind() {
    let quire = Quire::new().await;
    let job = quire.job().await;
    // A housekeeping that has not run for days: today's events are in the default partition.
    let today = format!("job_events_{}", job.created_at.format("%Y%m%d"));
    let detach = format!(
        "with gone as (delete from quire.{today} returning job_id, seq, job_day, job_created_at, owner, run, origin, body)
         select count(*) from gone"
    );
    let events = quire.events(job.id).await;
    sqlx::query(sqlx::AssertSqlSafe(detach))
        .execute(quire.sql())
        .await
        .unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("drop table quire.{today}")))
        .execute(quire.sql())
        .await
        .unwrap();
    sqlx::query(
        "insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, body, at)
         select id, 0, job_day, created_at, owner, run, 0, '{\"kind\": \"queued\"}', $1 from quire.jobs",
    )
    .bind(events[0].at)
    .execute(quire.sql())
    .await
    .unwrap();
    assert_eq!(
        quire
            .count("select count(*) from quire.job_events_default")
            .await,
        1
    );
    quire.store.housekeeping(3).await.unwrap();
    assert_eq!(
        quire
            .count("select count(*) from quire.job_events_default")
            .await,
        0
    );
    assert_eq!(quire.events(job.id).await, events);

    let old = "quire.job_events_20200101";
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "create table {old} partition of quire.job_events for values from ('2020-01-01') to ('2020-01-02')"
    )))
    .execute(quire.sql())
    .await
    .unwrap();
    quire.store.housekeeping(3).await.unwrap();
    let left: Option<String> = sqlx::query_scalar("select to_regclass($1)::text")
        .bind(old)
        .fetch_one(quire.sql())
        .await
        .unwrap();
    assert_eq!(left, None);
    assert_eq!(quire.events(job.id).await, events);
}
