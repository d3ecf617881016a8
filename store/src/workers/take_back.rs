//! Takes jobs from a worker that does not work on them. What that costs them is for [`crate::rules`] to say.

use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    admin::count_rescue,
    error::StoreError,
    events::{EventRecord, notify_ended},
    ids::JobId,
    jobs::{self, BadEnd},
    rules::{self, Cause, Spent, Verdict},
    store::Store,
};

/// Deaths of a worker process that end a job, counted per run: one in any company, after which it runs alone, and one more alone.
/// A file that takes a whole process with it would otherwise take one after another. The price: where workers are killed at random
/// all the time (400 faults over 8,000 jobs), 1 job in 1,000 is hit twice and ends as poison, which a retry by hand mends.
pub const MAX_CRASHES: i32 = 2;
/// Code and message of a job that has run for longer than it may.
pub const DEADLINE_EXCEEDED: (&str, &str) = (
    "deadline_exceeded",
    "the job ran for longer than a job may run here",
);
/// An attempt is ended from outside this long after its deadline: its own worker comes first.
const OVERDUE_AFTER_SECS: f64 = 5.0;
/// Between a worker's name and what tells its apalis workers apart.
pub(super) const NAME_SEPARATOR: char = '/';

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
    let all = lock_held(conn, worker).await?;
    let cause = match cause {
        Cause::Crash if all.len() > 1 => Cause::CrashInCompany,
        cause => cause,
    };
    for held in all {
        take(store, conn, &held, cause, &mut taken).await?;
    }
    free_entries(conn, worker).await?;
    Ok(taken)
}

/// Ends jobs whose attempt should have ended itself at its deadline.
pub(super) async fn overdue(store: &Store) -> Result<u64, StoreError> {
    let mut tx = store.begin().await?;
    let mut taken = Taken::default();
    for held in lock_overdue(&mut tx).await? {
        take(store, &mut tx, &held, Cause::Deadline, &mut taken).await?;
    }
    taken.commit(store, tx).await
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
    let spent = Spent {
        crashes: held.crashes,
        failures: held.failures,
        ..Spent::default()
    };
    match rules::lose(spent, cause) {
        Verdict::End { state, error, cost } => {
            let end = BadEnd {
                state,
                code: error.0,
                message: error.1,
                crashes: cost.crashes,
                failures: cost.failures,
            };
            jobs::end_badly(conn, job, held.attempt_id, end).await?;
            taken
                .records
                .extend(store.record(conn, &[job], &end.event()).await?);
        }
        Verdict::Again(cost) => {
            jobs::requeue(conn, job, held.attempt_id, cost).await?;
        }
    }
    count_rescue(conn, job, cause).await?;
    notify_ended(conn, store.inner.process, job, held.attempt_id).await?;
    taken.jobs += 1;
    taken.ended.push((job, held.attempt_id));
    Ok(())
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

async fn lock_overdue(conn: &mut PgConnection) -> Result<Vec<Held>, StoreError> {
    let held = sqlx::query_as!(
        Held,
        r#"select id, attempt_id as "attempt_id!", crashes, failures
           from quire.jobs
           where worker is not null and deadline_at < now() - make_interval(secs => $1)
           for update skip locked"#,
        OVERDUE_AFTER_SECS,
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

/// The worker was taken for dead and is not: its jobs get back what they were charged for that, unless they have met another
/// death since, or their end.
pub(super) async fn refund(conn: &mut PgConnection, worker: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "update quire.jobs
         set crashes = crashes - 1, crashed = null
         where crashed = $1 and crashes > 0 and finished_at is null",
        worker,
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
