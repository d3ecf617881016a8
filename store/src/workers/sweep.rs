//! The statements of housekeeping.

use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    error::StoreError,
    ids::JobId,
    job::Stage,
    queue::{self, Entry, QUEUE_ANSWER, QUEUE_EXTRACT},
};

/// Finished queue entries are kept this long, for whoever looks at apalis's tables: beyond some 10,000 rows they cost at every
/// fetch.
const FINISHED_KEPT_SECS: f64 = 600.0;
/// Of more than these only the last are kept.
const FINISHED_KEPT: i64 = 1_000;
/// apalis workers not seen for this long are forgotten: each restart leaves one behind.
const WORKERS_KEPT_SECS: f64 = 86_400.0;
/// Rows deleted at once: a fraction of a second.
const DELETED_AT_ONCE: i64 = 50_000;
/// A queued job must have been without a live entry for this long, longer than any entry takes from hand to hand.
const STRANDED_AFTER_SECS: f64 = 30.0;
/// Stranded jobs repaired at once.
const REPAIRED_AT_ONCE: i64 = 1_000;

/// Makes the event partitions of today and the next days.
pub(super) async fn make_partitions(conn: &mut PgConnection, ahead: i32) -> Result<(), StoreError> {
    sqlx::query!("select quire.ensure_event_partitions($1)", ahead)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Drops the event partitions that are past their time.
pub(super) async fn drop_partitions(conn: &mut PgConnection, keep: i32) -> Result<(), StoreError> {
    sqlx::query!("select quire.drop_event_partitions($1)", keep)
        .fetch_one(conn)
        .await?;
    Ok(())
}

/// Deletes queue entries that are done or given up.
pub(super) async fn finished_entries(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from apalis.jobs
         where id in (
             select id
             from apalis.jobs
             where done_at < now() - make_interval(secs => $1)
               and (status in ('Done', 'Killed') or (status = 'Failed' and attempts >= max_attempts))
             limit $2
         )",
        FINISHED_KEPT_SECS,
        DELETED_AT_ONCE,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes finished queue entries but for the last, and says how many.
pub(super) async fn surplus_entries(pool: &PgPool) -> Result<u64, StoreError> {
    let deleted = sqlx::query!(
        "delete from apalis.jobs
         where id in (
             select id
             from apalis.jobs
             where done_at <= (
                     select done_at from apalis.jobs where done_at is not null order by done_at desc offset $1 limit 1)
               and (status in ('Done', 'Killed') or (status = 'Failed' and attempts >= max_attempts))
             limit $2
             for update skip locked
         )",
        FINISHED_KEPT,
        DELETED_AT_ONCE,
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// Deletes apalis's rows of workers that are long gone and hold nothing.
pub(super) async fn forgotten_apalis_workers(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from apalis.workers w
         where w.last_seen < now() - make_interval(secs => $1)
           and not exists (select from apalis.jobs j where j.lock_by = w.id)",
        WORKERS_KEPT_SECS,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives queued jobs whose entry is gone, done or given up a new one.
pub(super) async fn stranded_jobs(conn: &mut PgConnection) -> Result<(), StoreError> {
    let stranded = lock_stranded(conn).await?;
    if stranded.is_empty() {
        return Ok(());
    }
    tracing::warn!(
        jobs = stranded.len(),
        "queued jobs had no queue entry and get a new one"
    );
    let mut entries = Vec::with_capacity(stranded.len());
    for job in stranded {
        let stage: Stage = job
            .stage
            .parse()
            .map_err(|error| StoreError::damaged("stage", &error))?;
        let (id, ticket) = (JobId(job.id), queue::new_ticket());
        entries.push(Entry {
            job: id,
            ticket,
            stage,
            priority: job.priority,
            queued_at: job.queued_at,
        });
    }
    set_tickets(conn, &entries).await?;
    queue::push(conn, &entries).await
}

struct Stranded {
    id: Uuid,
    stage: String,
    priority: i32,
    queued_at: i64,
}

async fn lock_stranded(conn: &mut PgConnection) -> Result<Vec<Stranded>, StoreError> {
    let stranded = sqlx::query_as!(
        Stranded,
        r#"select j.id, j.stage, j.priority, extract(epoch from j.queued_at)::bigint as "queued_at!"
           from quire.jobs j
           where j.state = 'queued'
             and j.queued_at < now() - make_interval(secs => $1)
             and not exists (
                 select
                 from apalis.jobs a
                 where a.job_type = case j.stage when 'extract' then $2 else $3 end
                   and a.idempotency_key = j.ticket::text
                   and (a.status in ('Pending', 'Queued', 'Running')
                        or (a.status = 'Failed' and a.attempts < a.max_attempts))
             )
           limit $4
           for update of j skip locked"#,
        STRANDED_AFTER_SECS,
        QUEUE_EXTRACT,
        QUEUE_ANSWER,
        REPAIRED_AT_ONCE,
    )
    .fetch_all(conn)
    .await?;
    Ok(stranded)
}

/// The caller holds the locks of the jobs.
async fn set_tickets(conn: &mut PgConnection, entries: &[Entry]) -> Result<(), StoreError> {
    let jobs: Vec<Uuid> = entries.iter().map(|entry| entry.job.0).collect();
    let tickets: Vec<Uuid> = entries.iter().map(|entry| entry.ticket).collect();
    sqlx::query!(
        "update quire.jobs j
         set ticket = t.ticket
         from unnest($1::uuid[], $2::uuid[]) as t (id, ticket)
         where j.id = t.id and j.state = 'queued'",
        &jobs,
        &tickets,
    )
    .execute(conn)
    .await?;
    Ok(())
}
