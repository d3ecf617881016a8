//! The counts that the schema keeps in `quire.tallies`: what has ended, and how often a job was taken, retried, rescued.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::types::{EndedCounts, Throughput};
use crate::{error::StoreError, ids::JobId, rules::Cause, store::Store};

/// Windows of the throughput, in minutes. The tallies remember a minute more than the longest.
const WINDOWS: [i32; 3] = [1, 5, 15];

impl Store {
    /// Folds the counts of the database's sessions into few rows. Meant to be called about once a minute; says how many rows went.
    pub async fn compact_tallies(&self) -> Result<u64, StoreError> {
        let folded = sqlx::query_scalar!(r#"select quire.compact_tallies() as "folded!""#)
            .fetch_one(&self.pool)
            .await?;
        Ok(folded.unsigned_abs())
    }
}

/// Counts that a job was taken from its worker.
pub(crate) async fn count_rescue(
    conn: &mut PgConnection,
    job: JobId,
    cause: Cause,
) -> Result<(), StoreError> {
    let counted: &[&str] = match cause {
        Cause::Crash | Cause::CrashInCompany => &["rescue", "crash"],
        Cause::Stall | Cause::Deadline => &["rescue"],
        Cause::Shutdown => return Ok(()),
    };
    sqlx::query!(
        "insert into quire.tallies as t (slot, what, stage, backend, present, total)
         select '-infinity', counted, j.stage, pg_backend_pid(), 0, 1
         from quire.jobs j, unnest($2::text[]) as counted
         where j.id = $1
         on conflict (slot, what, stage, wait_class, run_class, backend) do update set total = t.total + 1",
        job.0,
        counted as &[&str],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Jobs that have ended, and how fast.
pub(super) struct Ended {
    /// The transaction's moment.
    pub(super) at: DateTime<Utc>,
    pub(super) counts: EndedCounts,
    pub(super) throughput: [Throughput; 3],
}

struct Sums {
    at: DateTime<Utc>,
    completed: i64,
    failed: i64,
    cancelled: i64,
    dead: i64,
    recent: Vec<i64>,
    seconds: Vec<f64>,
}

/// Sums over at most some thousand rows.
pub(super) async fn ended(conn: &mut PgConnection) -> Result<Ended, StoreError> {
    let sums = sqlx::query_as!(
        Sums,
        r#"with windows as (
               select quire.tally_slot(now() - make_interval(mins => $1)) as first,
                      quire.tally_slot(now() - make_interval(mins => $2)) as second,
                      quire.tally_slot(now() - make_interval(mins => $3)) as third
           )
           select now() as "at!",
                  coalesce(sum(present) filter (where what = 'completed'), 0)::bigint as "completed!",
                  coalesce(sum(present) filter (where what = 'failed'), 0)::bigint as "failed!",
                  coalesce(sum(present) filter (where what = 'cancelled'), 0)::bigint as "cancelled!",
                  coalesce(sum(present) filter (where what = 'dead'), 0)::bigint as "dead!",
                  array[
                      coalesce(sum(present) filter (where what = 'completed' and slot >= w.first), 0),
                      coalesce(sum(present) filter (where what = 'completed' and slot >= w.second), 0),
                      coalesce(sum(present) filter (where what = 'completed' and slot >= w.third), 0)
                  ]::bigint[] as "recent!",
                  array[
                      date_part('epoch', now() - w.first),
                      date_part('epoch', now() - w.second),
                      date_part('epoch', now() - w.third)
                  ] as "seconds!"
           from windows w
           left join quire.tallies on true
           group by w.first, w.second, w.third"#,
        WINDOWS[0],
        WINDOWS[1],
        WINDOWS[2],
    )
    .fetch_one(conn)
    .await?;
    Ok(sums.into())
}

impl From<Sums> for Ended {
    fn from(sums: Sums) -> Self {
        let value = |values: &[f64], index: usize| values.get(index).copied().unwrap_or_default();
        let throughput = std::array::from_fn(|index| Throughput {
            minutes: WINDOWS[index],
            seconds: value(&sums.seconds, index),
            completed: sums.recent.get(index).copied().unwrap_or_default(),
        });
        Self {
            at: sums.at,
            counts: EndedCounts {
                completed: sums.completed,
                failed: sums.failed,
                cancelled: sums.cancelled,
                dead: sums.dead,
            },
            throughput,
        }
    }
}
