//! Keeps a job's frames back until its uploader can know the job's id.
//!
//! A client of the upload contract learns `job_id` from the HTTP reply and drops socket frames of ids it does not know. A small
//! CSV is answered before that reply is parsed, so its `job_completed` would be lost and the page would wait for ever. The
//! upload route therefore takes a [`ReplyGuard`] and lets go of it when the reply is written; frames follow a grace later.
//! A job that was uploaded through another process has no guard here: its own age is the measure. Nothing waits here, and
//! `quire.v1` clients, who can ask for the past, are never held back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use quire_store::JobId;
use tokio::time::Instant;

use super::{legacy::feed::FeedSlot, recent::RecentJobs};

/// From the reply's last byte to the first frame: a browser needs some 10 ms to parse the reply and render, a phone more.
pub const GRACE: Duration = Duration::from_millis(150);

/// A reply that takes longer than this is not being read; the other sockets wait no longer for it.
const LONGEST: Duration = Duration::from_secs(10);

/// The uploads of this process whose replies are still on their way. Clones share one table.
#[derive(Clone, Default)]
pub struct UploadHold {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// One entry for each job whose reply is on its way or was written within the grace.
    replies: Mutex<HashMap<JobId, Reply>>,
    /// The renderer that obeys the hold. It lives here because hold and renderer are one per process, and always a pair.
    feed: FeedSlot,
    /// What every socket begins with; here for the same reason.
    recent: RecentJobs,
}

enum Reply {
    /// Not written yet; `writers` counts requests that replay the same upload at once.
    Pending { writers: u32, since: Instant },
    /// Written; frames may go from then on.
    Written { open_at: Instant },
}

impl UploadHold {
    /// An empty hold.
    pub fn new() -> Self {
        Self::default()
    }

    /// Holds the job's frames until the guard is dropped, plus [`GRACE`]. The upload route puts the guard into the reply's
    /// body, so that a client that goes away lets go of it too.
    pub fn begin(&self, job: JobId) -> ReplyGuard {
        let now = Instant::now();
        let mut replies = self.inner.replies.lock();
        replies.retain(|_, reply| !matches!(reply, Reply::Written { open_at } if *open_at <= now));
        let entry = replies.entry(job).or_insert(Reply::Pending {
            writers: 0,
            since: now,
        });
        match entry {
            Reply::Pending { writers, .. } => *writers += 1,
            Reply::Written { .. } => {
                *entry = Reply::Pending {
                    writers: 1,
                    since: now,
                }
            }
        }
        ReplyGuard {
            hold: self.clone(),
            job,
        }
    }

    /// When to ask again, if the job's frames must wait; `None` when they may go. `settled` is what [`settled`] gave for the job.
    /// Whoever asks again in time is never late: frames stay back for the whole grace after the reply.
    pub(super) fn gate(&self, job: JobId, settled: Instant, now: Instant) -> Option<Instant> {
        let open_at = match self.inner.replies.lock().get(&job) {
            Some(Reply::Pending { since, .. }) => *since + LONGEST,
            Some(Reply::Written { open_at }) => *open_at,
            None => settled,
        };
        (now < open_at).then(|| open_at.min(now + GRACE))
    }

    /// Where the renderer of this process is found.
    pub(super) fn feed(&self) -> &FeedSlot {
        &self.inner.feed
    }

    /// Where the jobs that run or have just ended are read.
    pub(super) fn recent(&self) -> &RecentJobs {
        &self.inner.recent
    }

    fn release(&self, job: JobId) {
        let mut replies = self.inner.replies.lock();
        if let Some(Reply::Pending { writers, .. }) = replies.get_mut(&job) {
            *writers -= 1;
            if *writers == 0 {
                replies.insert(
                    job,
                    Reply::Written {
                        open_at: Instant::now() + GRACE,
                    },
                );
            }
        }
    }
}

/// When a job seen for the first time `now` is old enough to need no guard. A clock that differs between machines can
/// shorten the wait but never stretch it beyond the grace.
pub(super) fn settled(created_at: DateTime<Utc>, wall: DateTime<Utc>, now: Instant) -> Instant {
    let age = (wall - created_at).to_std().unwrap_or_default();
    now + GRACE.saturating_sub(age)
}

/// Lives as long as an upload's reply is being written.
#[must_use = "dropping the guard says that the reply is written"]
pub struct ReplyGuard {
    hold: UploadHold,
    job: JobId,
}

impl Drop for ReplyGuard {
    fn drop(&mut self) {
        self.hold.release(self.job);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use quire_store::clock;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    /// Whether a job that is long settled is held at `now`.
    fn is_held(hold: &UploadHold, job: JobId, now: Instant) -> bool {
        hold.gate(job, now, now).is_some()
    }

    #[test]
    fn frames_wait_for_the_reply_and_a_grace() {
        let (hold, job) = (UploadHold::new(), JobId::generate());
        let guard = hold.begin(job);
        assert!(
            is_held(&hold, job, Instant::now() + GRACE * 2),
            "the reply is still on its way"
        );
        let before = Instant::now();
        drop(guard);
        let after = Instant::now();
        assert!(is_held(&hold, job, before + GRACE - MOMENT));
        assert!(!is_held(&hold, job, after + GRACE));
        assert!(
            !is_held(&hold, JobId::generate(), before),
            "other jobs are not held"
        );
    }

    #[test]
    fn two_replies_of_one_upload_hold_until_the_later_one() {
        let (hold, job) = (UploadHold::new(), JobId::generate());
        let (first, second) = (hold.begin(job), hold.begin(job));
        drop(first);
        assert!(is_held(&hold, job, Instant::now() + GRACE * 2));
        drop(second);
        assert!(!is_held(&hold, job, Instant::now() + GRACE));
    }

    #[test]
    fn an_upload_that_is_repeated_later_is_held_again() {
        let (hold, job) = (UploadHold::new(), JobId::generate());
        drop(hold.begin(job));
        let _again = hold.begin(job);
        assert!(is_held(&hold, job, Instant::now() + GRACE * 2));
    }

    #[test]
    fn a_reply_that_nobody_reads_holds_nobody_for_ever() {
        let (hold, job) = (UploadHold::new(), JobId::generate());
        let _guard = hold.begin(job);
        assert!(!is_held(&hold, job, Instant::now() + LONGEST));
    }

    #[test]
    fn written_replies_are_forgotten() {
        let hold = UploadHold::new();
        let open_at = Instant::now();
        let written = (0..100).map(|_| (JobId::generate(), Reply::Written { open_at }));
        hold.inner.replies.lock().extend(written);
        let _last = hold.begin(JobId::generate());
        assert_eq!(hold.inner.replies.lock().len(), 1);
    }

    #[test]
    fn a_foreign_job_is_measured_by_its_age() {
        let (wall, now) = (clock::now(), Instant::now());
        let wait = |age| settled(wall - TimeDelta::milliseconds(age), wall, now) - now;
        assert_eq!(wait(0), GRACE);
        assert_eq!(wait(100), Duration::from_millis(50));
        assert_eq!(wait(5_000), Duration::ZERO);
        assert_eq!(
            wait(-3_600_000),
            GRACE,
            "a clock that is ahead adds nothing"
        );
    }
}
