//! Commits whose outcome this process has not seen: the caller went away while one was under way, or its reply was lost.
//!
//! Such a transaction may have happened, and then its events are in the table but were never published here; the catch-up passes
//! over events of this process. So they are looked for by number until it is certain whether they exist.

use std::{
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::event::EventRecord;
use crate::ids::JobId;

/// A commit that has not happened by then never will: the server has ended the transaction (session timeouts).
const CERTAIN_AFTER: Duration = Duration::from_secs(15);

/// The commits that this process is not certain of.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    open: Mutex<Vec<Open>>,
    /// There is a new one.
    pub(super) raised: Notify,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    job: JobId,
    seq: i64,
    since: Instant,
}

/// Held over a commit: dropped before it is dispelled, the outcome is unknown.
#[derive(Debug)]
#[must_use]
pub(crate) struct Doubt {
    doubts: Arc<Doubts>,
    about: Vec<(JobId, i64)>,
}

impl Doubts {
    /// To be held while `records` are being committed.
    pub(crate) fn about(self: &Arc<Self>, records: &[EventRecord]) -> Doubt {
        let about = records
            .iter()
            .map(|record| (record.job_id, record.seq))
            .collect();
        Doubt {
            doubts: Arc::clone(self),
            about,
        }
    }

    /// Events to look for, each with its job.
    pub(super) fn open(&self) -> Vec<(JobId, i64)> {
        let open = self.open.lock();
        open.iter().map(|doubt| (doubt.job, doubt.seq)).collect()
    }

    /// They have just been looked for.
    pub(super) fn checked(&self) {
        self.open
            .lock()
            .retain(|doubt| doubt.since.elapsed() < CERTAIN_AFTER);
    }
}

impl Doubt {
    /// The commit has been confirmed.
    pub(crate) fn dispel(mut self) {
        self.about.clear();
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        if self.about.is_empty() {
            return;
        }
        let since = Instant::now();
        let open = mem::take(&mut self.about)
            .into_iter()
            .map(|(job, seq)| Open { job, seq, since });
        self.doubts.open.lock().extend(open);
        self.doubts.raised.notify_one();
    }
}
