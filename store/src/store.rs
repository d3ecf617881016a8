//! The handle on the database, and the background tasks behind it.
//!
//! Cheap to clone; one per process is meant. The tasks (flusher, listener, catch-up) end with [`Store::close`], or when the last
//! clone is dropped. What can be done with a job is in `jobs`, one file per verb.

use std::{collections::HashMap, sync::Arc, time::Instant};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use sqlx::{PgConnection, PgPool, Postgres, Transaction, postgres::PgConnectOptions};
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    attempts::Attempts,
    clock,
    error::StoreError,
    events::{self, Doubts, Event, EventHub, EventRecord, Feed, Outbox},
    ids::JobId,
    session,
};

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
}

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) pool: PgPool,
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
        ping(&pool).await?;
        let process = clock::random_id().as_u64_pair().0.cast_signed() & i64::MAX;
        let feed = Arc::new(Feed::new());
        let outbox = Arc::new(Outbox::new(Arc::clone(&feed)));
        let inner = Inner {
            hub: EventHub::new(pool.clone(), Arc::clone(&feed), Arc::clone(&outbox)),
            attempts: Arc::new(Attempts::new()),
            doubts: Arc::default(),
            suspects: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            pool,
            session,
            process,
            feed,
            outbox,
        };
        events::start(&inner);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Answers when the database does.
    pub async fn ping(&self) -> Result<(), StoreError> {
        ping(&self.inner.pool).await
    }

    /// The pool, for apalis only.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
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
        self.inner.tasks.wait().await;
        self.inner.pool.close().await;
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        Ok(self.inner.pool.begin().await?)
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

    /// Commits, and tells the subscribers of this process. When the caller goes away meanwhile, or the reply is lost, they hear
    /// of it as soon as the outcome is known.
    pub(crate) async fn commit(
        &self,
        tx: Transaction<'static, Postgres>,
        records: Vec<EventRecord>,
    ) -> Result<(), StoreError> {
        let doubt = self.inner.doubts.about(&records);
        tx.commit().await?;
        doubt.dispel();
        for record in records {
            self.inner.feed.publish(Arc::new(record));
        }
        Ok(())
    }
}

async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("select 1 as one").fetch_one(pool).await?;
    Ok(())
}
