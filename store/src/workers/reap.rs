//! Finds workers that are dead or frozen and takes their jobs.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::take_back;
use crate::{error::StoreError, rules::Cause, store::Store};

/// Silence of a worker whose session still lives, beyond which it counts as frozen: seven missed heartbeats. With [`CONFIRM`] and the
/// pause between two looks its jobs are taken 3.7 to 4.7 s after it froze.
const FROZEN_AFTER_SECS: f64 = 3.5;
/// After the server itself has (re)started every session is gone: workers that were alive before get this long to come back.
const RETURN_WITHIN_SECS: f64 = 2.0;
/// How often one process looks for dead workers while it is the only one, for each other process there is, and at most: all
/// processes together look about ten times a second, however many there are.
const LOOK_EVERY: (Duration, Duration, Duration) = (
    Duration::from_millis(500),
    Duration::from_millis(100),
    Duration::from_secs(1),
);
/// The silence must still last this long after it was first noticed here: when a whole machine has slept, the reaper may wake up
/// a moment before the others.
const CONFIRM: Duration = Duration::from_millis(700);

impl Store {
    /// Takes the jobs of dead and frozen workers back, and says how many. Meant to be called every [`Store::reap_interval`] by any
    /// number of processes. One look at ten workers takes well under a millisecond (`store/tests/store/limits.rs` prints it).
    pub async fn reap(&self) -> Result<u64, StoreError> {
        let workers = workers(self).await?;
        self.inner
            .workers_seen
            .store(workers.len(), Ordering::Relaxed);
        let (mut taken, mut trouble) = (0, None);
        for worker in workers {
            if self.inner.beating.lock().contains(worker.name.as_str()) {
                // Our own: its session may be lost, it is not dead.
                continue;
            }
            let jobs = if worker.is_free {
                self.bury(&worker.name).await
            } else if self.is_frozen(&worker) {
                self.take_from_frozen(&worker.name).await
            } else {
                Ok(0)
            };
            // One worker whose jobs cannot be had now must not keep those of the others waiting.
            match jobs {
                Ok(jobs) => taken += jobs,
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(taken), Err)
    }

    /// How long to wait between two calls of [`Store::reap`].
    pub fn reap_interval(&self) -> Duration {
        let (alone, per_peer, longest) = LOOK_EVERY;
        let seen = self.inner.workers_seen.load(Ordering::Relaxed);
        match u32::try_from(seen.saturating_sub(self.inner.beating.lock().len())) {
            Ok(0) => alone,
            Ok(peers) => (per_peer * peers).min(longest),
            Err(_) => longest,
        }
    }

    /// Ends jobs that have run past their deadline although their worker lives, and says how many. A worker ends its own in time;
    /// this is for one that cannot. Meant to be called about once a second.
    pub async fn end_overdue(&self) -> Result<u64, StoreError> {
        let ended = take_back::overdue(self).await?;
        if ended > 0 {
            tracing::warn!(
                jobs = ended,
                "jobs past their deadline were ended from outside"
            );
        }
        Ok(ended)
    }

    /// The session of this worker is gone.
    async fn bury(&self, worker: &str) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // Until the commit nobody registers under the name, and no second reaper comes here.
        if !try_lock(&mut tx, worker).await? || may_return(&mut tx, worker).await? {
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
    .fetch_all(&store.pool)
    .await?;
    Ok(workers)
}

/// The server has just begun, or begun anew after the death of a backend, and the worker's last sign of life is from before. The
/// process that writes the log is there from the end of a recovery on, which may take a while; the others are there before. A role
/// that may not see the server's own processes sees only when the server began.
async fn may_return(conn: &mut PgConnection, worker: &str) -> Result<bool, StoreError> {
    let may = sqlx::query_scalar!(
        r#"with server as (
               select greatest(pg_postmaster_start_time(), max(backend_start)) as began
               from pg_stat_activity
               where backend_type = 'walwriter'
           )
           select w.seen_at < s.began and s.began > clock_timestamp() - make_interval(secs => $2) as "may!"
           from quire.workers w, server s
           where w.name = $1"#,
        worker,
        RETURN_WITHIN_SECS,
    )
    .fetch_optional(conn)
    .await?;
    // Without a row somebody else has buried it.
    Ok(may.unwrap_or(true))
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
