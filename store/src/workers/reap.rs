//! Finds workers that are dead or frozen and takes their jobs.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::take_back::{self, Cause};
use crate::{error::StoreError, store::Store};

/// Silence of a worker whose session still lives, beyond which it counts as frozen: eight missed heartbeats.
const FROZEN_AFTER_SECS: f64 = 4.0;
/// The silence must still last this long after it was first noticed here: when a whole machine has slept, the reaper may wake up
/// a moment before the others.
const CONFIRM: Duration = Duration::from_millis(700);

impl Store {
    /// Takes the jobs of dead and frozen workers back, and says how many. Meant to be called about once a second by any number
    /// of processes.
    pub async fn reap(&self) -> Result<u64, StoreError> {
        let mut taken = 0;
        for worker in workers(self).await? {
            if worker.is_free {
                taken += self.bury(&worker.name).await?;
            } else if self.is_frozen(&worker) {
                taken += self.take_from_frozen(&worker.name).await?;
            }
        }
        Ok(taken)
    }

    /// The session of this worker is gone.
    async fn bury(&self, worker: &str) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // Until the commit nobody registers under the name, and no second reaper comes here.
        if !try_lock(&mut tx, worker).await? {
            return Ok(0);
        }
        let taken = take_back::from_worker(self, &mut tx, worker, Cause::Crash).await?;
        take_back::remove_worker(&mut tx, worker).await?;
        self.inner.suspects.lock().remove(worker);
        let jobs = taken.commit(self, tx).await?;
        if jobs > 0 {
            tracing::warn!(worker, jobs, "a worker has died; its jobs are queued again");
        }
        Ok(jobs)
    }

    async fn take_from_frozen(&self, worker: &str) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let taken = take_back::from_worker(self, &mut tx, worker, Cause::Stall).await?;
        let jobs = taken.commit(self, tx).await?;
        if jobs > 0 {
            tracing::warn!(
                worker,
                jobs,
                "a worker does not respond; its jobs are queued again"
            );
        }
        Ok(jobs)
    }

    /// Silent, and silent since the same moment when last looked at.
    fn is_frozen(&self, worker: &Worker) -> bool {
        let mut suspects = self.inner.suspects.lock();
        if !worker.is_silent || worker.process == self.inner.process {
            suspects.remove(&worker.name);
            return false;
        }
        let noticed = suspects
            .entry(worker.name.clone())
            .or_insert_with(|| (worker.seen_at, Instant::now()));
        if noticed.0 != worker.seen_at {
            *noticed = (worker.seen_at, Instant::now());
        }
        noticed.1.elapsed() >= CONFIRM
    }
}

struct Worker {
    name: String,
    process: i64,
    seen_at: DateTime<Utc>,
    is_silent: bool,
    /// Its session lock can be taken.
    is_free: bool,
}

async fn workers(store: &Store) -> Result<Vec<Worker>, StoreError> {
    let workers = sqlx::query_as!(
        Worker,
        r#"select name, process, seen_at, seen_at < now() - make_interval(secs => $1) as "is_silent!",
                  -- Held for this statement only.
                  pg_try_advisory_xact_lock(quire.worker_lock(name)) as "is_free!"
           from quire.workers"#,
        FROZEN_AFTER_SECS,
    )
    .fetch_all(&store.inner.pool)
    .await?;
    Ok(workers)
}

async fn try_lock(conn: &mut PgConnection, worker: &str) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"select pg_try_advisory_xact_lock(quire.worker_lock($1)) as "locked!""#,
        worker,
    )
    .fetch_one(conn)
    .await?;
    Ok(locked)
}
