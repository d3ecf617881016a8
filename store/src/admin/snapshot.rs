//! The statements behind the snapshot. The caller's transaction makes them one moment.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{
    tallies,
    types::{Percentiles, QueueDepth, QueueSnapshot, WorkerStatus},
};
use crate::{
    error::StoreError,
    job::{JobState, Stage},
};

/// Jobs whose times the percentiles are of. Reading them costs some milliseconds at any length of the history.
const SAMPLED_JOBS: i64 = 1_000;

/// The whole queue as the transaction of `conn` sees it: one moment, if its isolation level is repeatable read.
pub async fn snapshot_in(conn: &mut PgConnection) -> Result<QueueSnapshot, StoreError> {
    let tallies = tallies::ended(conn).await?;
    let times = times(conn).await?;
    Ok(QueueSnapshot {
        at: tallies.at,
        queues: queues(conn).await?,
        ended: tallies.counts,
        throughput: tallies.throughput,
        wait: times.wait(),
        run: times.run(),
        sampled: times.jobs,
        workers: workers(conn).await?,
    })
}

/// Both queues with what lives in them.
async fn queues(conn: &mut PgConnection) -> Result<Vec<QueueDepth>, StoreError> {
    let mut queues = Vec::new();
    let paused = paused(conn).await?;
    for stage in [Stage::Extract, Stage::Answer] {
        let row = paused.iter().find(|row| row.name == stage.queue());
        queues.push(QueueDepth {
            stage,
            paused_at: row.and_then(|row| row.paused_at),
            queued: 0,
            scheduled: 0,
            running: 0,
            streaming: 0,
            oldest_queued_at: None,
        });
    }
    for row in live(conn).await? {
        let damaged = |error| StoreError::damaged("queue", &error);
        let stage: Stage = row.stage.parse().map_err(damaged)?;
        let Some(queue) = queues.iter_mut().find(|queue| queue.stage == stage) else {
            continue;
        };
        match row.state.parse().map_err(damaged)? {
            JobState::Queued => {
                queue.queued = row.jobs;
                queue.oldest_queued_at = row.oldest_queued_at;
            }
            JobState::Scheduled => queue.scheduled = row.jobs,
            JobState::Running => queue.running = row.jobs,
            JobState::Streaming => queue.streaming = row.jobs,
            JobState::Completed | JobState::Failed | JobState::Cancelled | JobState::Dead => {}
        }
    }
    Ok(queues)
}

struct Paused {
    name: String,
    paused_at: Option<DateTime<Utc>>,
}

async fn paused(conn: &mut PgConnection) -> Result<Vec<Paused>, StoreError> {
    let rows = sqlx::query_as!(Paused, "select name, paused_at from quire.queues")
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

struct Live {
    stage: String,
    state: String,
    jobs: i64,
    oldest_queued_at: Option<DateTime<Utc>>,
}

/// Three looks into three partial indexes: none of them holds a job that has ended.
async fn live(conn: &mut PgConnection) -> Result<Vec<Live>, StoreError> {
    let rows = sqlx::query_as!(
        Live,
        r#"select stage as "stage!", 'queued' as "state!", count(*) as "jobs!", min(queued_at) as oldest_queued_at
           from quire.jobs
           where state = 'queued'
           group by stage
           union all
           select stage, 'scheduled', count(*), null
           from quire.jobs
           where state = 'scheduled'
           group by stage
           union all
           select stage, state, count(*), null
           from quire.jobs
           where worker is not null
           group by stage, state"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// The times of the newest completed jobs.
struct Times {
    jobs: i64,
    wait_p50: Option<f64>,
    wait_p95: Option<f64>,
    run_p50: Option<f64>,
    run_p95: Option<f64>,
}

impl Times {
    fn wait(&self) -> Option<Percentiles> {
        percentiles(self.wait_p50, self.wait_p95)
    }

    fn run(&self) -> Option<Percentiles> {
        percentiles(self.run_p50, self.run_p95)
    }
}

fn percentiles(p50: Option<f64>, p95: Option<f64>) -> Option<Percentiles> {
    Some(Percentiles {
        p50: p50?,
        p95: p95?,
    })
}

async fn times(conn: &mut PgConnection) -> Result<Times, StoreError> {
    let times = sqlx::query_as!(
        Times,
        r#"select count(*) as "jobs!",
                  percentile_cont(0.5) within group (order by waited) as wait_p50,
                  percentile_cont(0.95) within group (order by waited) as wait_p95,
                  percentile_cont(0.5) within group (order by ran) as run_p50,
                  percentile_cont(0.95) within group (order by ran) as run_p95
           from (
               select quire.waited_seconds(started_at, created_at, scheduled_at, queued_at, run) as waited,
                      date_part('epoch', finished_at - started_at) as ran
               from quire.jobs
               where state = 'completed' and finished_at > now() - interval '15 minutes'
               order by finished_at desc
               limit $1
           ) as newest"#,
        SAMPLED_JOBS,
    )
    .fetch_one(conn)
    .await?;
    Ok(times)
}

async fn workers(conn: &mut PgConnection) -> Result<Vec<WorkerStatus>, StoreError> {
    let workers = sqlx::query_as!(
        WorkerStatus,
        r#"select w.name, w.started_at, w.seen_at, count(j.id) as "jobs!"
           from quire.workers w
           left join quire.jobs j on j.worker = w.name
           group by w.name
           order by w.started_at, w.name"#,
    )
    .fetch_all(conn)
    .await?;
    Ok(workers)
}
