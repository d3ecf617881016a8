//! The handle on the database, and the background tasks behind it.
//!
//! Cheap to clone; one per process is meant. The tasks (flusher, listener, catch-up) end with [`Store::close`], or when the last
//! clone is dropped. What can be done with a job is in `jobs`, one file per verb.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use sqlx::{PgConnection, PgPool, Postgres, Transaction, postgres::PgConnectOptions};
use tokio::{
    sync::{broadcast, watch},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    attempts::Attempts,
    clock,
    error::StoreError,
    events::{self, Doubts, Event, EventHub, EventRecord, Feed, Outbox},
    failpoint::failpoint,
    ids::JobId,
    reach, session,
};

/// Longest time for closing: flushing what is pending takes some milliseconds.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// The same while the database does not answer: enough to notice that it does after all.
const CLOSE_UNHEARD: Duration = Duration::from_millis(500);

/// How to reach the database.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `postgres://..`, also the unix socket form.
    pub url: String,
    /// Upper bound of pooled connections. A listening connection and one per registered worker come on top.
    pub max_connections: u32,
    /// The `application_name` of the sessions.
    pub role: &'static str,
}

/// A handle on the database.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
    /// Where this clone's calls get their connections from: those of jobs must not wait for those of requests, nor the other way.
    pub(crate) pool: PgPool,
}

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    /// Of requests and background tasks.
    pub(crate) pool: PgPool,
    /// That one and those of [`Store::for_workers`].
    pub(crate) pools: Arc<Mutex<Vec<PgPool>>>,
    /// Whether the database answers.
    reachable: watch::Receiver<bool>,
    /// Names of the workers of this process whose heartbeat runs.
    pub(crate) beating: Mutex<HashSet<Arc<str>>>,
    /// Workers that the last look for dead ones has found, this process's own included.
    pub(crate) workers_seen: AtomicUsize,
    /// Options for connections outside of the pool: listener, worker locks, migration.
    pub(crate) session: PgConnectOptions,
    /// Drawn at connect: tells this process's notifications and events from those of others.
    pub(crate) process: i64,
    /// Publishes to local subscribers and drops what they have already seen.
    pub(crate) feed: Arc<Feed>,
    /// Commits of unknown outcome.
    pub(crate) doubts: Arc<Doubts>,
    /// Events of running attempts on their way to the table.
    pub(crate) outbox: Arc<Outbox>,
    /// The attempts that this process owns.
    pub(crate) attempts: Arc<Attempts>,
    /// Workers without a heartbeat, as first seen so by this process: frozen only if still so a moment later.
    pub(crate) suspects: Mutex<HashMap<String, (DateTime<Utc>, Instant)>>,
    /// Every background task.
    pub(crate) tasks: TaskTracker,
    /// Ends them.
    pub(crate) stop: CancellationToken,
    hub: EventHub,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Store {
    /// Connects and starts the background tasks. Fails when the database does not answer.
    pub async fn connect(options: &StoreOptions) -> Result<Self, StoreError> {
        let session = session::options(options)?;
        let pool = session::pool(&session, options.max_connections);
        let began = events::database_now(&pool).await?;
        let process = clock::random_id().as_u64_pair().0.cast_signed() & i64::MAX;
        let feed = Arc::new(Feed::new());
        let outbox = Arc::new(Outbox::new(Arc::clone(&feed)));
        let pools = Arc::new(Mutex::new(vec![pool.clone()]));
        let (reaching, reachable) = watch::channel(true);
        let inner = Inner {
            hub: EventHub::new(pool.clone(), Arc::clone(&feed), Arc::clone(&outbox)),
            attempts: Arc::new(Attempts::new()),
            doubts: Arc::default(),
            suspects: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            beating: Mutex::default(),
            workers_seen: AtomicUsize::new(0),
            pools: Arc::clone(&pools),
            reachable,
            pool: pool.clone(),
            session,
            process,
            feed,
            outbox,
        };
        events::start(&inner, began);
        inner.tasks.spawn(reach::ask(
            inner.session.clone(),
            pools,
            reaching,
            inner.stop.clone(),
        ));
        Ok(Self {
            inner: Arc::new(inner),
            pool,
        })
    }

    /// The same store with up to `max_connections` of its own: however many of them jobs hold, requests still find one.
    #[must_use]
    pub fn for_workers(&self, max_connections: u32) -> Self {
        let pool = session::pool(&self.inner.session, max_connections);
        self.inner.pools.lock().push(pool.clone());
        Self {
            inner: Arc::clone(&self.inner),
            pool,
        }
    }

    /// Whether the database answers, as noticed within a second.
    pub fn reachable(&self) -> watch::Receiver<bool> {
        self.inner.reachable.clone()
    }

    /// Answers when the database does.
    pub async fn ping(&self) -> Result<(), StoreError> {
        ping(&self.inner.pool).await
    }

    /// The pool, for apalis only.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Where events are subscribed to and replayed.
    pub fn events(&self) -> &EventHub {
        &self.inner.hub
    }

    /// Jobs whose attempt *in this process* was ended from outside: cancelled, or taken over by another worker. The same
    /// attempts also have their [`crate::Lease::lost`] token tripped.
    pub fn cancellations(&self) -> broadcast::Receiver<JobId> {
        self.inner.attempts.subscribe()
    }

    /// Flushes what is pending, ends the background tasks and closes the connections.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        let pools = std::mem::take(&mut *self.inner.pools.lock());
        let closed = async {
            self.inner.tasks.wait().await;
            for pool in pools {
                pool.close().await;
            }
        };
        // Only a database that does not answer takes longer; its connections end with the process.
        if time::timeout(self.patience(CLOSE_WITHIN), closed)
            .await
            .is_err()
        {
            tracing::warn!("connections to the database were still busy at the end");
        }
    }

    /// How long a parting word may take: `usual`, but hardly any time for a database that does not answer.
    pub(crate) fn patience(&self, usual: Duration) -> Duration {
        if *self.inner.reachable.borrow() {
            usual
        } else {
            CLOSE_UNHEARD
        }
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.pool.begin().await?)
    }

    /// Writes `event` as the first of the present epoch of each of `jobs`. [`Self::commit`] publishes them.
    pub(crate) async fn record(
        &self,
        conn: &mut PgConnection,
        jobs: &[JobId],
        event: &Event,
    ) -> Result<Vec<EventRecord>, StoreError> {
        events::record(conn, self.inner.process, jobs, event).await
    }

    /// Commits, and tells the subscribers of this process: what others have said about the jobs goes first, should it not have
    /// been heard here yet.
    pub(crate) async fn commit(
        &self,
        mut tx: Transaction<'static, Postgres>,
        records: Vec<EventRecord>,
    ) -> Result<(), StoreError> {
        let jobs: Vec<(JobId, i64)> = records
            .iter()
            .map(|record| (record.job_id, record.seq))
            .collect();
        let earlier = self.unheard(&mut tx, &jobs).await?;
        self.commit_after(tx, earlier, records).await
    }

    /// What has been said about the jobs up to the given events and has not been heard here. The caller has the jobs locked, so
    /// nobody says any more meanwhile.
    pub(crate) async fn unheard(
        &self,
        conn: &mut PgConnection,
        jobs: &[(JobId, i64)],
    ) -> Result<Vec<EventRecord>, StoreError> {
        // Nothing comes before a job's first event, and without subscribers it need not be asked.
        let later: Vec<(JobId, i64)> = jobs.iter().filter(|(_, seq)| *seq > 0).copied().collect();
        if later.is_empty() || !self.inner.feed.is_heard() {
            return Ok(Vec::new());
        }
        events::unheard(conn, &self.inner.feed, &later).await
    }

    /// Commits, and tells the subscribers of this process. When the caller goes away meanwhile, or the reply is lost, they hear
    /// of it as soon as the outcome is known.
    pub(crate) async fn commit_after(
        &self,
        tx: Transaction<'static, Postgres>,
        earlier: Vec<EventRecord>,
        records: Vec<EventRecord>,
    ) -> Result<(), StoreError> {
        let doubt = self.inner.doubts.about(&records);
        failpoint!("commit");
        tx.commit().await?;
        failpoint!("after the commit");
        doubt.dispel();
        self.publish(earlier);
        self.publish(records);
        Ok(())
    }

    /// Tells the subscribers of this process, who have heard some of it perhaps.
    pub(crate) fn publish(&self, records: Vec<EventRecord>) {
        for record in records {
            self.inner.feed.publish(Arc::new(record));
        }
    }
}

async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("select 1 as one").fetch_one(pool).await?;
    Ok(())
}
