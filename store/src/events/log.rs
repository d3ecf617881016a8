//! The statements on `quire.job_events`.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{
    event::{Event, EventRecord, POSITION_BITS},
    feed::Feed,
    outbox::Row,
    wake,
};
use crate::{
    error::StoreError,
    failpoint::failpoint,
    ids::{JobId, Owner},
};

/// How far one batch brings the job of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) job: JobId,
    pub(super) attempt_id: Uuid,
    pub(super) first_seq: i64,
    /// 0 when the batch has no progress of it.
    pub(super) progress: i16,
    pub(super) streaming: bool,
}

/// Where a reading of all events goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: DateTime<Utc>,
    pub(super) job: JobId,
    pub(super) seq: i64,
}

/// One per attempt of a batch.
pub(super) type Heads = Vec<Head>;

/// A stored event before its body is read.
pub(super) struct EventRow {
    pub(super) job_id: Uuid,
    pub(super) owner: Uuid,
    pub(super) seq: i64,
    pub(super) at: DateTime<Utc>,
    pub(super) job_created_at: DateTime<Utc>,
    pub(super) body: Value,
}

impl TryFrom<EventRow> for EventRecord {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let event = serde_json::from_value(row.body)
            .map_err(|error| StoreError::damaged("event", &error))?;
        Ok(Self {
            job_id: JobId(row.job_id),
            owner: Owner(row.owner),
            seq: row.seq,
            at: row.at,
            job_created_at: row.job_created_at,
            event,
        })
    }
}

/// Writes `event` as the first of the present epoch of each of `jobs`, and wakes the other processes at commit.
pub(crate) async fn record(
    conn: &mut PgConnection,
    process: i64,
    jobs: &[JobId],
    event: &Event,
) -> Result<Vec<EventRecord>, StoreError> {
    failpoint!("insert event and notify");
    let rows = insert_first(conn, process, jobs, &body(event)?).await?;
    rows.into_iter().map(EventRecord::try_from).collect()
}

/// One statement, because every change of a job passes here: a notification of its own would be a round trip more.
async fn insert_first(
    conn: &mut PgConnection,
    process: i64,
    jobs: &[JobId],
    body: &Value,
) -> Result<Vec<EventRow>, StoreError> {
    let jobs: Vec<Uuid> = jobs.iter().map(|job| job.0).collect();
    let rows = sqlx::query_as!(
        EventRow,
        "with written as (
             insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, origin, body)
             select j.id, j.epoch::bigint << $4, j.job_day, j.created_at, j.owner, j.run, $2, $3
             from quire.jobs j
             where j.id = any ($1)
             returning job_id, owner, seq, at, job_created_at, body
         ), numbered as (
             select job_id, seq, (row_number() over () - 1) / $5 as part
             from written
         ), told as materialized (
             -- As `wake` writes and reads it.
             select pg_notify($6, $2::bigint || ' ' || string_agg(job_id || ':' || seq, ' '))
             from numbered
             group by part
         )
         select w.job_id, w.owner, w.seq, w.at, w.job_created_at, w.body
         from written w
         cross join (select count(*) from told) t",
        &jobs,
        process,
        body,
        POSITION_BITS.cast_signed(),
        wake::JOBS_IN_PAYLOAD,
        wake::EVENT_CHANNEL,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Locks the jobs that their attempts still own, and names those attempts. Until the transaction ends, nobody takes them away.
pub(super) async fn lock_owned(
    conn: &mut PgConnection,
    heads: &Heads,
) -> Result<HashSet<Uuid>, StoreError> {
    let attempts: Vec<Uuid> = heads.iter().map(|head| head.attempt_id).collect();
    let jobs: Vec<Uuid> = heads.iter().map(|head| head.job.0).collect();
    let owned = sqlx::query_scalar!(
        r#"select attempt_id as "attempt_id!"
           from quire.jobs
           where id = any ($1) and attempt_id = any ($2) and state in ('running', 'streaming')
           order by id
           for no key update"#,
        &jobs,
        &attempts,
    )
    .fetch_all(conn)
    .await?;
    Ok(owned.into_iter().collect())
}

/// Moves the jobs as far as the batch says: progress only up, `streaming` from the first chunk on.
pub(super) async fn advance(conn: &mut PgConnection, heads: &Heads) -> Result<(), StoreError> {
    let attempts: Vec<Uuid> = heads.iter().map(|head| head.attempt_id).collect();
    let jobs: Vec<Uuid> = heads.iter().map(|head| head.job.0).collect();
    let progress: Vec<i16> = heads.iter().map(|head| head.progress).collect();
    let streaming: Vec<bool> = heads.iter().map(|head| head.streaming).collect();
    sqlx::query!(
        "update quire.jobs j
         set progress = greatest(j.progress, h.progress),
             state = case when h.streaming then 'streaming' else j.state end
         from unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::boolean[])
              as h (job_id, attempt_id, progress, streaming)
         where j.id = h.job_id
           and j.attempt_id = h.attempt_id
           and j.state in ('running', 'streaming')
           -- Most flushes only add text: leave those rows as they are.
           and (h.progress > j.progress or (h.streaming and j.state = 'running'))",
        &jobs,
        &attempts,
        &progress,
        &streaming,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds the rows. The caller holds the locks of [`lock_owned`].
pub(super) async fn append(
    conn: &mut PgConnection,
    process: i64,
    rows: &[&Row],
) -> Result<(), StoreError> {
    let jobs: Vec<Uuid> = rows.iter().map(|row| row.attempt.job.0).collect();
    let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
    let bodies: Vec<Value> = rows
        .iter()
        .map(|row| body(&row.event))
        .collect::<Result<_, _>>()?;
    sqlx::query!(
        "with now as materialized (
             -- One time for all: whoever reads by time must meet the rows of a job in their order.
             select clock_timestamp() as at
         )
         insert into quire.job_events (job_id, seq, job_day, job_created_at, owner, run, at, origin, body)
         select j.id, b.seq, j.job_day, j.created_at, j.owner, j.run, now.at, $4, b.body
         from unnest($1::uuid[], $2::bigint[], $3::jsonb[]) as b (job_id, seq, body)
         join quire.jobs j on j.id = b.job_id
         cross join now
         -- Already there: an earlier try was committed, and only its reply was lost. Nobody else has these numbers.
         on conflict (job_id, seq, job_day) do nothing",
        &jobs,
        &seqs,
        &bodies,
        process,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Events of one job after `after`, oldest first.
pub(super) async fn since(
    pool: &PgPool,
    (owner, job): (Owner, JobId),
    after: i64,
    limit: i64,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        "select job_id, owner, seq, at, job_created_at, body
         from quire.job_events
         where owner = $1 and job_id = $2 and job_day = $3 and seq > $4
         order by seq
         limit $5",
        owner.0,
        job.0,
        job.day(),
        after,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// Events of several jobs, each from its own number on, oldest first within a job.
pub(super) async fn from_each(
    executor: impl PgExecutor<'_>,
    from: &[(JobId, i64)],
) -> Result<Vec<EventRow>, StoreError> {
    let jobs: Vec<Uuid> = from.iter().map(|(job, _)| job.0).collect();
    let seqs: Vec<i64> = from.iter().map(|(_, seq)| *seq).collect();
    let days: Vec<_> = from.iter().map(|(job, _)| job.day()).collect();
    let rows = sqlx::query_as!(
        EventRow,
        "select e.job_id, e.owner, e.seq, e.at, e.job_created_at, e.body
         from unnest($1::uuid[], $2::bigint[], $3::date[]) as w (job_id, seq, job_day)
         join quire.job_events e on e.job_id = w.job_id and e.job_day = w.job_day and e.seq >= w.seq
         order by e.job_id, e.seq",
        &jobs,
        &seqs,
        &days,
    )
    .fetch_all(executor)
    .await?;
    Ok(rows)
}

/// What lies between the events that have gone out of `feed` and the given one of each job, that one included. A job that nothing
/// has gone out of begins with the run that the given event belongs to.
pub(super) async fn unheard(
    executor: impl PgExecutor<'_>,
    feed: &Feed,
    jobs: &[(JobId, i64)],
) -> Result<Vec<EventRow>, StoreError> {
    let from: Vec<(JobId, i64)> = jobs
        .iter()
        .map(|(job, _)| (*job, feed.last_seq(*job).map_or(0, |last| last + 1)))
        .collect();
    let mut rows = from_each(executor, &from).await?;
    let unknown = from.iter().zip(jobs).filter(|((_, from), _)| *from == 0);
    for (_, (job, seq)) in unknown {
        forget_earlier_runs(&mut rows, *job, *seq);
    }
    Ok(rows)
}

fn forget_earlier_runs(rows: &mut Vec<EventRow>, job: JobId, seq: i64) {
    let begun = rows
        .iter()
        .filter(|row| row.job_id == job.0 && row.seq <= seq && row.body["kind"] == "queued")
        .map(|row| row.seq)
        .max()
        .unwrap_or_default();
    rows.retain(|row| row.job_id != job.0 || row.seq >= begun);
}

/// Events that other processes wrote after `place`, oldest first, at most `limit`.
pub(super) async fn foreign_after(
    pool: &PgPool,
    process: i64,
    place: Place,
    limit: usize,
) -> Result<Vec<EventRow>, StoreError> {
    let rows = sqlx::query_as!(
        EventRow,
        "select job_id, owner, seq, at, job_created_at, body
         from quire.job_events
         where (at, job_id, seq) > ($1, $2, $3) and origin <> $4
         order by at, job_id, seq
         limit $5",
        place.at,
        place.job.0,
        place.seq,
        process,
        limit.cast_signed() as i64,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows)
}

/// The answer so far and the last number of each job. Text of an attempt that was broken off does not count.
pub(super) async fn partials(
    conn: &mut PgConnection,
    jobs: &[JobId],
) -> Result<HashMap<JobId, (String, i64)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.0).collect();
    let days: Vec<_> = jobs.iter().map(|job| job.day()).collect();
    let rows = sqlx::query!(
        r#"select w.job_id as "job_id!", s.last_seq as "last_seq!", p.partial as "partial!"
           from unnest($1::uuid[], $2::date[]) as w (job_id, job_day)
           cross join lateral (
               select max(e.seq) as last_seq,
                      coalesce(max(e.seq) filter (where e.kind in ('queued', 'restarted')), -1) as void_until
               from quire.job_events e
               where e.job_id = w.job_id and e.job_day = w.job_day
           ) s
           cross join lateral (
               select coalesce(string_agg(e.body ->> 'text', '' order by e.seq), '') as partial
               from quire.job_events e
               where e.job_id = w.job_id and e.job_day = w.job_day
                 and e.seq > s.void_until and e.seq <= s.last_seq and e.kind = 'chunk'
           ) p
           where s.last_seq is not null"#,
        &ids,
        &days,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (JobId(row.job_id), (row.partial, row.last_seq)))
        .collect())
}

/// The database's clock.
pub(crate) async fn database_now(pool: &PgPool) -> Result<DateTime<Utc>, StoreError> {
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#)
        .fetch_one(pool)
        .await?;
    Ok(now)
}

fn body(event: &Event) -> Result<Value, StoreError> {
    serde_json::to_value(event).map_err(|error| StoreError::damaged("event", &error))
}
