//! The jobs that run or have just ended, read once for all sockets that want to know.
//!
//! Every socket begins with this reading, and after a restart all of them come in the same second: ten thousand readings
//! would keep the database busy for as long as the clients are willing to wait. So who comes while a reading is yet to
//! begin takes part in it, and readings of one owner keep a distance. A reading always begins after its reader came,
//! so nobody is told of a state older than its own subscription.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use quire_store::{EventHub, Job, JobSnapshot, Owner, StoreError};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until},
};

use super::ENDED_WITHIN;
use crate::http::metrics;

/// Least time from the end of one reading to the next: at most 50 a second, and no person notices.
const DISTANCE: Duration = Duration::from_millis(20);

/// Owners that are remembered without anybody reading; above, those are forgotten.
const MOST_IDLE: usize = 1024;

/// A job as one reading found it.
#[derive(Debug)]
pub(super) struct Seen {
    /// The job.
    pub(super) job: Job,
    /// Its answer so far; shared by every socket that was told it.
    pub(super) partial: Arc<str>,
    /// Every event up to this one is contained.
    pub(super) last_seq: i64,
    /// What it is in frames to a socket that knows nothing of it, once some socket needed that.
    pub(super) frames: OnceLock<Vec<Utf8Bytes>>,
}

impl From<JobSnapshot> for Seen {
    fn from(snapshot: JobSnapshot) -> Self {
        Self {
            job: snapshot.job,
            partial: snapshot.partial.into(),
            last_seq: snapshot.last_seq,
            frames: OnceLock::new(),
        }
    }
}

/// What a reading gave; its readers share the failure too, or each would wait for the database in turn.
type Reading = Result<Arc<[Seen]>, Arc<StoreError>>;

/// The readings of a process.
#[derive(Default)]
pub(super) struct RecentJobs {
    desks: Mutex<HashMap<Owner, Arc<Desk>>>,
}

/// The readings of one owner.
#[derive(Default)]
struct Desk {
    /// The one that has not begun: who comes now takes part.
    next: Mutex<Arc<OnceCell<Reading>>>,
    /// Held while reading; when the last one ended.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

impl RecentJobs {
    /// The owner's jobs that run or have just ended, as they are at some time after this call.
    pub(super) async fn read(&self, hub: &EventHub, owner: Owner) -> Reading {
        let desk = self.desk(owner);
        let reading = Arc::clone(&desk.next.lock());
        let read = || async {
            let mut last = desk.turn.lock().await;
            if let Some(last) = *last {
                sleep_until(last + DISTANCE).await;
            }
            // Who comes from here on might miss what happened before it came.
            desk.close(&reading);
            metrics::count_socket_reading();
            let jobs = hub.recent(owner, ENDED_WITHIN).await;
            *last = Some(Instant::now());
            jobs.map(|jobs| jobs.into_iter().map(Seen::from).collect())
                .map_err(Arc::new)
        };
        reading.get_or_init(read).await.clone()
    }

    fn desk(&self, owner: Owner) -> Arc<Desk> {
        let mut desks = self.desks.lock();
        if desks.len() > MOST_IDLE {
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        Arc::clone(desks.entry(owner).or_default())
    }
}

impl Desk {
    /// Nobody joins this reading any more. When its first reader went away, a later one of it comes here again.
    fn close(&self, reading: &Arc<OnceCell<Reading>>) {
        let mut next = self.next.lock();
        if Arc::ptr_eq(&next, reading) {
            *next = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use quire_store::testing::TestDb;

    use super::*;

    /// How many different readings a number of readers got.
    fn readings(results: &[Reading]) -> usize {
        let readings = results
            .iter()
            .map(|reading| Arc::as_ptr(reading.as_ref().unwrap()));
        readings.collect::<HashSet<_>>().len()
    }

    #[tokio::test]
    async fn who_comes_together_reads_together_and_who_comes_later_reads_anew() {
        let db = TestDb::new().await;
        let store = db.store().await;
        let recent = RecentJobs::default();
        let read = || recent.read(store.events(), Owner::LOCAL);
        let many = futures_util::future::join_all((0..1000).map(|_| read())).await;
        // They are not polled in one go, so some may find the first reading begun.
        assert!(readings(&many) <= 3, "{}", readings(&many));
        let again = read().await;
        assert!(!Arc::ptr_eq(
            again.as_ref().unwrap(),
            many[0].as_ref().unwrap()
        ));
        store.close().await;
    }

    #[tokio::test]
    async fn a_failure_is_shared_and_not_kept() {
        let db = TestDb::new().await;
        let store = db.store().await;
        let hub = store.events().clone();
        store.close().await;
        let recent = RecentJobs::default();
        let started = Instant::now();
        let reads = (0..1000).map(|_| recent.read(&hub, Owner::LOCAL));
        let many = futures_util::future::join_all(reads).await;
        let failures = many
            .iter()
            .map(|reading| Arc::as_ptr(reading.as_ref().unwrap_err()));
        let failures: HashSet<_> = failures.collect();
        assert!(failures.len() <= 3, "{}", failures.len());
        let again = recent.read(&hub, Owner::LOCAL).await.unwrap_err();
        assert!(
            !failures.contains(&Arc::as_ptr(&again)),
            "the next one tries again"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_reader_that_goes_away_takes_nobody_with_it() {
        let db = TestDb::new().await;
        let store = db.store().await;
        let recent = RecentJobs::default();
        let read = || recent.read(store.events(), Owner::LOCAL);
        read().await.unwrap();
        // The first of them waits for the distance; the second joins it and is left alone.
        let mut first = Box::pin(read());
        let mut second = Box::pin(read());
        assert!(futures_util::poll!(&mut first).is_pending());
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        second.await.unwrap();
        store.close().await;
    }
}
