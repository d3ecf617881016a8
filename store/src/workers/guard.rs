//! A registered worker: its name, its session lock, its heartbeat.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection as _, PgConnection};
use tokio::{sync::oneshot, time};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::take_back;
use crate::{
    error::{StoreError, sql_state},
    ids::JobId,
    rules::Cause,
    store::Store,
};

/// Time between two heartbeats: how late a due job is queued, and how soon a lost attempt is noticed without a notification.
const BEAT_EVERY: Duration = Duration::from_millis(500);
/// Longest time for one heartbeat with all it does; beyond it the connection is taken for dead.
const BEAT_WITHIN: Duration = Duration::from_secs(2);
/// Longest time for the sign-off, which includes what the attempts have said.
const SIGN_OFF_WITHIN: Duration = Duration::from_secs(3);
/// Running time that one run of a job has when the worker does not say.
const JOB_DEADLINE: Duration = Duration::from_hours(1);
/// An attempt that this process holds no lease for is given back after this: its claim was committed but the reply was lost, or
/// its lease was dropped without an end.
const UNCLAIMED_AFTER_SECS: f64 = 10.0;
/// Postgres: a lock was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// A worker name that is this process's alone while the guard lives. Its task sends the heartbeat, queues jobs that are due, and
/// compares the attempts held here with those in the database, both ways.
#[derive(Debug)]
pub struct WorkerGuard {
    name: Arc<str>,
    /// Tells the task to sign off in good order.
    stop: CancellationToken,
    /// Without a sign-off the task just ends, and the jobs are taken over like those of a dead worker.
    _abandon: DropGuard,
    signed_off: oneshot::Receiver<()>,
}

impl WorkerGuard {
    /// The registered name, which claims are made in.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A name for an apalis worker of this process: `part` tells queue and restart apart and must never repeat. Queue entries
    /// that such a worker holds are handed to others when this process dies.
    pub fn apalis_name(&self, part: &str) -> String {
        format!("{}{}{part}", self.name, take_back::NAME_SEPARATOR)
    }

    /// Signs the worker off. Attempts that it still owns are given back to the queue.
    pub async fn stop(self) {
        self.stop.cancel();
        // An error means that the task is gone, which is what was asked for.
        let _ = self.signed_off.await;
    }
}

impl Store {
    /// Registers a worker under a name that no live process has. Jobs left over from a dead process of the same name go back to
    /// the queue first.
    pub async fn register_worker(&self, name: &str) -> Result<WorkerGuard, StoreError> {
        self.register_worker_with(name, JOB_DEADLINE).await
    }

    /// The same, with the running time that one run of a job may take in the hands of this worker.
    pub async fn register_worker_with(
        &self,
        name: &str,
        job_deadline: Duration,
    ) -> Result<WorkerGuard, StoreError> {
        let mut conn = PgConnection::connect_with(&self.inner.session).await?;
        lock(&mut conn, name).await?;
        let beat = Beat {
            store: self.clone(),
            name: name.into(),
            job_deadline,
            conn: Some(conn),
        };
        self.inner.beating.lock().insert(Arc::clone(&beat.name));
        let mut tx = self.begin().await?;
        let left = take_back::from_worker(self, &mut tx, name, Cause::Crash).await?;
        upsert(&mut tx, &beat).await?;
        left.commit(self, tx).await?;
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let (sign_off, signed_off) = oneshot::channel();
        let guard = WorkerGuard {
            name: name.into(),
            stop: stop.clone(),
            _abandon: abandon.clone().drop_guard(),
            signed_off,
        };
        self.inner.tasks.spawn(beat.run(stop, abandon, sign_off));
        Ok(guard)
    }
}

/// The task behind a guard.
struct Beat {
    store: Store,
    name: Arc<str>,
    /// Running time of one run of a job.
    job_deadline: Duration,
    /// Holds the session lock. `None` while it cannot be reached.
    conn: Option<PgConnection>,
}

impl Drop for Beat {
    /// Before the session: from then on the worker may be buried by this process too.
    fn drop(&mut self) {
        self.store.inner.beating.lock().remove(&self.name);
    }
}

impl Beat {
    async fn run(
        mut self,
        stop: CancellationToken,
        abandon: CancellationToken,
        sign_off: oneshot::Sender<()>,
    ) {
        let mut ticks = time::interval(BEAT_EVERY);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let all = self.store.inner.stop.clone();
        let mut reachable = self.store.reachable();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = abandon.cancelled() => return,
                () = all.cancelled() => break,
                _ = ticks.tick() => {}
                // A worker without its session counts as dead: back as soon as the database is.
                Ok(()) = reachable.changed() => {}
            }
            match time::timeout(BEAT_WITHIN, self.tick()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, worker = %self.name, "heartbeat failed");
                    self.conn = None;
                }
                Err(_) => {
                    tracing::warn!(worker = %self.name, "heartbeat had no answer");
                    self.conn = None;
                }
            }
        }
        let limit = self.store.patience(SIGN_OFF_WITHIN);
        match time::timeout(limit, self.sign_off()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, worker = %self.name, "cannot sign off; others will take the jobs over");
            }
            Err(_) => {
                tracing::warn!(worker = %self.name, "nobody answers the sign-off; others will take the jobs over");
            }
        }
        // Nobody waits for it when the guard is gone.
        let _ = sign_off.send(());
    }

    async fn tick(&mut self) -> Result<(), StoreError> {
        self.relock().await?;
        self.reconcile().await?;
        self.store.promote_due().await?;
        Ok(())
    }

    /// The heartbeat proper, on the connection that holds the lock: the session is alive, or this fails.
    async fn relock(&mut self) -> Result<(), StoreError> {
        if self.conn.is_none() {
            let mut conn = PgConnection::connect_with(&self.store.inner.session).await?;
            upsert(&mut conn, self).await?;
            // Not free: the server has not noticed yet that our former session is gone. The heartbeat speaks for us meanwhile.
            if !try_lock(&mut conn, &self.name).await? {
                return Ok(());
            }
            take_back::refund(&mut conn, &self.name).await?;
            self.conn = Some(conn);
        }
        let Some(mut conn) = self.conn.take() else {
            return Ok(());
        };
        upsert(&mut conn, self).await?;
        self.conn = Some(conn);
        Ok(())
    }

    /// What the database says this worker owns, against what it holds leases for.
    async fn reconcile(&self) -> Result<(), StoreError> {
        // Taken first: what is here and not in the later answer has been lost in between.
        let held = self.store.inner.attempts.of_worker(&self.name);
        let owned = owned(&self.store, &self.name).await?;
        for (job, attempt_id) in &held {
            if !owned.iter().any(|row| row.attempt_id == *attempt_id) {
                self.store.inner.attempts.fence(*job, *attempt_id);
            }
        }
        for row in owned
            .iter()
            .filter(|row| row.is_old && !held.contains_key(&JobId(row.id)))
        {
            tracing::warn!(job.id = %row.id, worker = %self.name, "an attempt that nobody works on is given back");
            take_back::one(&self.store, JobId(row.id), row.attempt_id, Cause::Stall).await?;
        }
        Ok(())
    }

    async fn sign_off(&mut self) -> Result<(), StoreError> {
        // What the attempts have said is stored while they still own their jobs.
        self.store.inner.outbox.settle_all().await?;
        let mut tx = self.store.begin().await?;
        let left =
            take_back::from_worker(&self.store, &mut tx, &self.name, Cause::Shutdown).await?;
        take_back::remove_worker(&mut tx, &self.name).await?;
        left.commit(&self.store, tx).await?;
        if let Some(conn) = self.conn.take() {
            conn.close().await?;
        }
        Ok(())
    }
}

struct Owned {
    id: uuid::Uuid,
    attempt_id: uuid::Uuid,
    is_old: bool,
}

async fn owned(store: &Store, worker: &str) -> Result<Vec<Owned>, StoreError> {
    let rows = sqlx::query_as!(
        Owned,
        r#"select id, attempt_id as "attempt_id!", claimed_at < now() - make_interval(secs => $2) as "is_old!"
           from quire.jobs
           where worker = $1"#,
        worker,
        UNCLAIMED_AFTER_SECS,
    )
    .fetch_all(&store.pool)
    .await?;
    Ok(rows)
}

/// Waits for as long as a session waits for any lock: a reaper may hold this one for a moment.
async fn lock(conn: &mut PgConnection, name: &str) -> Result<(), StoreError> {
    let locked = sqlx::query!("select pg_advisory_lock(quire.worker_lock($1))", name)
        .execute(conn)
        .await;
    match locked {
        Ok(_) => Ok(()),
        Err(error) if sql_state(&error).as_deref() == Some(LOCK_NOT_AVAILABLE) => {
            Err(StoreError::WorkerNameTaken(name.to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

async fn try_lock(conn: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        r#"select pg_try_advisory_lock(quire.worker_lock($1)) as "locked!""#,
        name,
    )
    .fetch_one(conn)
    .await?;
    Ok(locked)
}

async fn upsert(conn: &mut PgConnection, beat: &Beat) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into quire.workers (name, process, job_deadline)
         values ($1, $2, make_interval(secs => $3))
         on conflict (name) do update
         set seen_at = clock_timestamp(), process = excluded.process, job_deadline = excluded.job_deadline",
        &beat.name,
        beat.store.inner.process,
        beat.job_deadline.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
