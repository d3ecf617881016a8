//! Takes jobs from a worker that does not work on them, and decides what that costs them.

use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    error::StoreError,
    events::{EventRecord, notify_ended},
    ids::JobId,
    job::JobState,
    jobs::{self, BadEnd, MAX_FAILURES, Requeue},
    store::Store,
};

/// Deaths of a worker process that a job survives, counted per run: the second one ends it. A file that takes a whole process
/// with it would otherwise take one after another.
pub const MAX_CRASHES: i32 = 2;
/// Between a worker's name and what tells its apalis workers apart.
pub(super) const NAME_SEPARATOR: char = '/';

/// Why the job is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The process died: from the crash budget.
    Crash,
    /// The process is frozen or cut off, or holds no lease for the job: a failed try. Not a crash, because a whole machine may
    /// sleep for a while.
    Stall,
    /// The process signs off: costs nothing.
    Shutdown,
}

/// What has been done, to be told after the commit.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) jobs: u64,
    ended: Vec<(JobId, Uuid)>,
    records: Vec<EventRecord>,
}

impl Taken {
    /// Commits, tells this process, and says how many jobs were taken.
    pub(super) async fn commit(
        self,
        store: &Store,
        tx: Transaction<'static, Postgres>,
    ) -> Result<u64, StoreError> {
        store.commit(tx, self.records).await?;
        for (job, attempt_id) in self.ended {
            store.inner.attempts.fence(job, attempt_id);
        }
        Ok(self.jobs)
    }
}

struct Held {
    id: Uuid,
    attempt_id: Uuid,
    crashes: i32,
    failures: i32,
}

/// Takes every job of the worker, and every queue entry that its process had in hand.
pub(super) async fn from_worker(
    store: &Store,
    conn: &mut PgConnection,
    worker: &str,
    cause: Cause,
) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    for held in lock_held(conn, worker).await? {
        take(store, conn, &held, cause, &mut taken).await?;
    }
    free_entries(conn, worker).await?;
    Ok(taken)
}

/// Takes one job, if that attempt still owns it.
pub(super) async fn one(
    store: &Store,
    job: JobId,
    attempt_id: Uuid,
    cause: Cause,
) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    let mut taken = Taken::default();
    if let Some(held) = lock_one(&mut tx, job, attempt_id).await? {
        take(store, &mut tx, &held, cause, &mut taken).await?;
    }
    taken.commit(store, tx).await?;
    Ok(())
}

async fn take(
    store: &Store,
    conn: &mut PgConnection,
    held: &Held,
    cause: Cause,
    taken: &mut Taken,
) -> Result<(), StoreError> {
    let job = JobId(held.id);
    if let Some(end) = spent(held, cause) {
        jobs::end_badly(conn, job, held.attempt_id, end).await?;
        taken
            .records
            .extend(store.record(conn, &[job], &end.event()).await?);
    } else {
        jobs::requeue(conn, job, held.attempt_id, cost(cause)).await?;
    }
    notify_ended(conn, store.inner.process, job, held.attempt_id).await?;
    taken.jobs += 1;
    taken.ended.push((job, held.attempt_id));
    Ok(())
}

const fn cost(cause: Cause) -> Requeue {
    match cause {
        Cause::Crash => Requeue {
            crashes: 1,
            failures: 0,
            attempts: 0,
        },
        Cause::Stall => Requeue {
            crashes: 0,
            failures: 1,
            attempts: 0,
        },
        Cause::Shutdown => Requeue {
            crashes: 0,
            failures: 0,
            attempts: -1,
        },
    }
}

/// The end of a job that has used its budget up.
fn spent(held: &Held, cause: Cause) -> Option<BadEnd<'static>> {
    let cost = cost(cause);
    if cause == Cause::Crash && held.crashes + cost.crashes >= MAX_CRASHES {
        return Some(BadEnd {
            state: JobState::Failed,
            code: "poison",
            message: "the worker died repeatedly while it worked on this job",
            crashes: cost.crashes,
            failures: cost.failures,
        });
    }
    (cause == Cause::Stall && held.failures + cost.failures >= MAX_FAILURES).then_some(BadEnd {
        state: JobState::Dead,
        code: "worker_stalled",
        message: "the worker stopped responding each time it worked on this job",
        crashes: cost.crashes,
        failures: cost.failures,
    })
}

async fn lock_held(conn: &mut PgConnection, worker: &str) -> Result<Vec<Held>, StoreError> {
    let held = sqlx::query_as!(
        Held,
        r#"select id, attempt_id as "attempt_id!", crashes, failures
           from quire.jobs
           where worker = $1
           order by id
           for update"#,
        worker,
    )
    .fetch_all(conn)
    .await?;
    Ok(held)
}

async fn lock_one(
    conn: &mut PgConnection,
    job: JobId,
    attempt_id: Uuid,
) -> Result<Option<Held>, StoreError> {
    let held = sqlx::query_as!(
        Held,
        r#"select id, attempt_id as "attempt_id!", crashes, failures
           from quire.jobs
           where id = $1 and attempt_id = $2
           for update"#,
        job.0,
        attempt_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(held)
}

/// Entries that the process had fetched and not acknowledged: others may have them at once, not after apalis's own timeout.
/// Those whose ticket has been replaced are claimed by nobody and are done.
async fn free_entries(conn: &mut PgConnection, worker: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update apalis.jobs
         set status = 'Pending', lock_by = null, lock_at = null
         where status in ('Queued', 'Running')
           and starts_with(lock_by, $1)",
        format!("{worker}{NAME_SEPARATOR}"),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets the worker. Its jobs must have been taken before: the foreign key insists.
pub(super) async fn remove_worker(conn: &mut PgConnection, worker: &str) -> Result<(), StoreError> {
    sqlx::query!("delete from quire.workers where name = $1", worker)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn held(crashes: i32, failures: i32) -> Held {
        Held {
            id: clock::new_id(),
            attempt_id: clock::random_id(),
            crashes,
            failures,
        }
    }

    #[test]
    fn each_cause_spends_its_own_budget() {
        assert!(spent(&held(0, 9), Cause::Crash).is_none());
        assert_eq!(spent(&held(1, 0), Cause::Crash).unwrap().code, "poison");
        assert!(spent(&held(9, 3), Cause::Stall).is_none());
        assert_eq!(
            spent(&held(0, 4), Cause::Stall).unwrap().state,
            JobState::Dead
        );
        assert!(spent(&held(9, 9), Cause::Shutdown).is_none());
    }
}
