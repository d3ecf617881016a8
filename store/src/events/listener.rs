//! What other processes do, heard: one LISTEN connection, and a catch-up that does not trust it.
//!
//! Notifications are lost whenever the connection is; nothing is replayed. So after every (re)connect, and every two seconds
//! anyway, the table is read for events that others have written since. When that finds what no notification had told, the
//! connection is half dead and is replaced.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions},
};
use tokio::{sync::Notify, time};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    doubt::Doubts,
    event::EventRecord,
    feed::Feed,
    log::{self, EventRow, Place},
    wake::{self, CONTROL_CHANNEL, EVENT_CHANNEL, Wake},
};
use crate::{
    attempts::Attempts,
    error::{StoreError, sql_state},
    ids::JobId,
    store::Inner,
};

/// Time between two catch-up reads: how late an event may be whose notification was lost.
const CATCH_UP_EVERY: Duration = Duration::from_secs(2);
/// The same, while the outcome of a commit is unknown.
const DOUBT_EVERY: Duration = Duration::from_millis(250);
/// Overlap of two catch-up reads: a row becomes visible at commit. That is rarely a second after its time stamp, but a worker that
/// is frozen in between commits when it thaws, unless the server has ended its idle transaction by then (after 4 s, see `session`).
const OVERLAP: TimeDelta = TimeDelta::seconds(6);
/// Events read at once when catching up.
const PAGE: usize = 5_000;
/// First and longest wait between two tries to connect.
const RECONNECT_FIRST: Duration = Duration::from_millis(100);
const RECONNECT_LONGEST: Duration = Duration::from_secs(2);
/// Longest wait for the server when connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Postgres: the table does not exist, because nobody has migrated yet.
const UNDEFINED_TABLE: &str = "42P01";

/// What both tasks need.
#[derive(Clone, Debug)]
struct Ears {
    pool: PgPool,
    session: PgConnectOptions,
    process: i64,
    feed: Arc<Feed>,
    doubts: Arc<Doubts>,
    attempts: Arc<Attempts>,
    /// When this process began, by the database's clock: it is told everything that others write from then on.
    began: DateTime<Utc>,
    /// Catch-up, please: the connection was new.
    behind: Arc<Notify>,
    /// The connection is half dead.
    deaf: Arc<Notify>,
}

/// Starts the listening and the catching up.
pub(super) fn start(inner: &Inner, began: DateTime<Utc>) {
    let ears = Ears {
        began,
        pool: inner.pool.clone(),
        session: inner.session.clone(),
        process: inner.process,
        feed: Arc::clone(&inner.feed),
        doubts: Arc::clone(&inner.doubts),
        attempts: Arc::clone(&inner.attempts),
        behind: Arc::new(Notify::new()),
        deaf: Arc::new(Notify::new()),
    };
    inner
        .tasks
        .spawn(stoppable(inner.stop.clone(), ears.clone().listen()));
    inner
        .tasks
        .spawn(stoppable(inner.stop.clone(), ears.catch_up()));
}

async fn stoppable(stop: CancellationToken, task: impl Future<Output = ()>) {
    let _ = stop.run_until_cancelled(task).await;
}

impl Ears {
    async fn listen(self) {
        let mut wait = RECONNECT_FIRST;
        loop {
            match self.connect().await {
                Ok(listener) => {
                    wait = RECONNECT_FIRST;
                    self.behind.notify_one();
                    tokio::select! {
                        () = self.hear(listener) => {}
                        () = self.deaf.notified() => tracing::warn!("the listening connection had gone deaf"),
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot listen to the database"),
            }
            time::sleep(wait).await;
            wait = (wait * 2).min(RECONNECT_LONGEST);
        }
    }

    async fn connect(&self) -> Result<PgListener, StoreError> {
        let options = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT_TIMEOUT)
            .max_lifetime(None);
        let pool = options
            .idle_timeout(None)
            .connect_lazy_with(self.session.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener
            .listen_all([EVENT_CHANNEL, CONTROL_CHANNEL])
            .await?;
        Ok(listener)
    }

    /// Until the connection ends.
    async fn hear(&self, mut listener: PgListener) {
        while let Ok(Some(notification)) = listener.try_recv().await {
            let mut heard = vec![notification];
            heard.extend(std::iter::from_fn(|| listener.next_buffered()));
            self.act(&heard).await;
        }
    }

    async fn act(&self, heard: &[PgNotification]) {
        let mut jobs = Vec::new();
        for notification in heard {
            match wake::parse(self.process, notification.channel(), notification.payload()) {
                Some(Wake::Events(some)) => jobs.extend(some),
                Some(Wake::Ended(job, attempt_id)) => self.attempts.fence(job, attempt_id),
                None => {}
            }
        }
        if let Err(error) = self.tell(jobs).await {
            tracing::warn!(%error, "events of other processes are late");
            self.behind.notify_one();
        }
    }

    /// Reads what is new of these jobs and publishes it: the records that were new here. Each job comes with an event that there
    /// is, and whatever lies between that and what has gone out goes before it: an earlier notification may have been lost, or the
    /// reading it led to may have failed.
    async fn tell(&self, jobs: Vec<(JobId, i64)>) -> Result<Vec<Arc<EventRecord>>, StoreError> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let rows = log::unheard(&self.pool, &self.feed, &jobs).await?;
        Ok(self.publish(rows))
    }

    async fn catch_up(self) {
        // Subscribers may be there before the first LISTEN is, so what is written in between is read, too.
        let (mut from, mut listens) = (self.began, false);
        loop {
            let doubtful = !self.doubts.open().is_empty();
            tokio::select! {
                () = self.behind.notified() => {}
                () = self.doubts.raised.notified() => {}
                () = time::sleep(if doubtful { DOUBT_EVERY } else { CATCH_UP_EVERY }) => {}
            }
            if let Err(error) = self.look_for_doubtful().await {
                tracing::warn!(%error, "cannot look for events of unknown commits");
            }
            match self.read_missed(from, listens).await {
                Ok(now) => (from, listens) = (self.began.max(now - OVERLAP), true),
                Err(StoreError::Database(error))
                    if sql_state(&error).as_deref() == Some(UNDEFINED_TABLE) => {}
                Err(error) => tracing::warn!(%error, "cannot catch up with other processes"),
            }
        }
    }

    /// Reads what others wrote since `from`, and says when that was. Whoever `listens` should have heard most of it.
    async fn read_missed(
        &self,
        from: DateTime<Utc>,
        listens: bool,
    ) -> Result<DateTime<Utc>, StoreError> {
        let now = log::database_now(&self.pool).await?;
        let mut place = Place {
            at: from,
            job: JobId(Uuid::nil()),
            seq: -1,
        };
        // The newest may be on their way still; the older ones should have been heard.
        let overdue = now - TimeDelta::seconds(1);
        let mut deaf = false;
        loop {
            let rows = log::foreign_after(&self.pool, self.process, place, PAGE).await?;
            let full = rows.len() == PAGE;
            if let Some(last) = rows.last() {
                place = Place {
                    at: last.at,
                    job: JobId(last.job_id),
                    seq: last.seq,
                };
            }
            // Not these rows themselves: an event that became visible so late that it is not among them goes before them.
            let told = self.tell(self.unheard(&rows)).await?;
            deaf |= told.iter().any(|record| record.at < overdue);
            if !full {
                break;
            }
        }
        if deaf && listens {
            self.deaf.notify_one();
        }
        Ok(now)
    }

    /// Jobs of which there is more than has gone out, each with the first such number among the rows.
    fn unheard(&self, rows: &[EventRow]) -> Vec<(JobId, i64)> {
        let mut jobs: HashMap<JobId, i64> = HashMap::new();
        for row in rows {
            let job = JobId(row.job_id);
            if self.feed.last_seq(job).is_none_or(|last| last < row.seq) {
                let first = jobs.entry(job).or_insert(row.seq);
                *first = row.seq.min(*first);
            }
        }
        jobs.into_iter().collect()
    }

    async fn look_for_doubtful(&self) -> Result<(), StoreError> {
        let doubtful = self.doubts.open();
        if doubtful.is_empty() {
            return Ok(());
        }
        let rows = log::from_each(&self.pool, &doubtful).await?;
        self.publish(rows);
        self.doubts.checked();
        Ok(())
    }

    /// The records that were new here.
    fn publish(&self, rows: Vec<EventRow>) -> Vec<Arc<EventRecord>> {
        let mut fresh = Vec::new();
        for row in rows {
            match EventRecord::try_from(row).map(Arc::new) {
                Ok(record) if self.feed.publish(Arc::clone(&record)) => fresh.push(record),
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "an event of another process is passed over"),
            }
        }
        fresh
    }
}
