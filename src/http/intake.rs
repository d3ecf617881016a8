//! Whether the server takes another upload now: a limit on the jobs that wait, and on the room that must stay free.
//!
//! A queue that grows without end helps nobody: its owner is better told at once and comes back later, which is what the
//! `Retry-After` of these refusals says. Asking must cost next to nothing, so what is known is an estimate: the jobs
//! counted a moment ago and those made since. Counting again is the business of one request at a time, every one to five
//! seconds: the longer it takes, the less often.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use quire_store::{FileStore, Store};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{config::Config, error::ApiError};

/// An estimate is not renewed before this.
const FRESH: Duration = Duration::from_secs(1);

/// An estimate is renewed after this: whoever was sent away comes back about then, and should not find an old one.
const STALE: Duration = Duration::from_secs(5);

/// Between these two, the pause between two looks is this many times what a look takes.
const LOOK_SHARE: u32 = 50;

/// A database that needs longer than this to count has other worries; the upload itself will meet them.
const LOOK_LIMIT: Duration = Duration::from_millis(500);

/// Uploads that may be between their last byte and their reply. A machine that syncs 300 files a second has these behind it in less
/// than a second; every further one would only make all of them wait longer, until their clients give up and the work
/// was for nothing.
const MOST_FINISHING: usize = 256;

/// Uploads that are stored at the same time; the others stand in line. Twice the clients of the accept benchmark, which this does
/// not slow; what the limit itself gains under overload has not been measured apart.
const PARALLEL: usize = 32;

/// What was known at the last look.
#[derive(Debug)]
pub struct Intake {
    known: Mutex<Known>,
    /// Held by the request that looks.
    looking: tokio::sync::Mutex<()>,
    /// Uploads between their last byte and their reply.
    finishing: Arc<AtomicUsize>,
    /// The places of those that are being stored.
    places: Arc<Semaphore>,
}

/// Lives from an upload's last byte to its reply.
#[derive(Debug)]
#[must_use = "dropping it says that the upload is answered"]
pub struct Finishing {
    _counted: Counted,
    _place: OwnedSemaphorePermit,
}

/// Is counted as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Known {
    /// Jobs that waited, and those made since.
    waiting: u64,
    /// Bytes that were free; `None` when that is not known.
    free: Option<u64>,
    /// When to look again; `None` before the first look.
    next: Option<Instant>,
}

/// What is known of an upload before it is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announced {
    /// Its size, as far as that was said.
    pub bytes: u64,
    /// Uploads of the same request that were let in and are no jobs yet.
    pub ahead: u64,
}

/// The limits, from the settings.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_waiting: u64,
    min_free: u64,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            known: Mutex::new(Known {
                waiting: 0,
                free: None,
                next: None,
            }),
            looking: tokio::sync::Mutex::default(),
            finishing: Arc::default(),
            places: Arc::new(Semaphore::new(PARALLEL)),
        }
    }
}

impl Intake {
    /// Lets one upload in, or says why not now.
    pub async fn admit(
        &self,
        config: &Config,
        store: &Store,
        files: &FileStore,
        upload: Announced,
    ) -> Result<(), ApiError> {
        if self.finishing.load(Ordering::Relaxed) >= MOST_FINISHING {
            return Err(ApiError::Overloaded(None));
        }
        let limits = Limits {
            max_waiting: config.max_waiting_jobs,
            min_free: config.min_free_bytes,
        };
        // While one request looks, the others go by what was known.
        if self.is_stale()
            && let Ok(_looks) = self.looking.try_lock()
        {
            self.look(store, files, limits).await;
        }
        self.known.lock().admit(limits, upload)
    }

    /// Uploads became jobs: new ones, not those that were sent again.
    pub fn count(&self, jobs: u64) {
        self.known.lock().waiting += jobs;
    }

    /// An upload has been received: returns when it is its turn to be stored.
    pub async fn finishing(&self) -> Finishing {
        self.finishing.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&self.finishing));
        let place = Arc::clone(&self.places).acquire_owned().await;
        Finishing {
            _counted: counted,
            _place: place.expect("the semaphore is never closed"),
        }
    }

    fn is_stale(&self) -> bool {
        let next = self.known.lock().next;
        next.is_none_or(|next| Instant::now() >= next)
    }

    async fn look(&self, store: &Store, files: &FileStore, limits: Limits) {
        let started = Instant::now();
        let limit = i64::try_from(limits.max_waiting).unwrap_or(i64::MAX);
        let looks = async { tokio::join!(store.count_waiting(limit), files.free_bytes()) };
        let looked = timeout(LOOK_LIMIT, looks).await;
        let now = Instant::now();
        let mut known = self.known.lock();
        known.next = Some(now + ((now - started) * LOOK_SHARE).clamp(FRESH, STALE));
        // When it took too long: what follows in the request needs the same database and says what is wrong with it.
        if let Ok((waiting, free)) = looked {
            known.waiting = waiting.map_or(known.waiting, i64::cast_unsigned);
            known.free = free.ok();
        }
    }
}

impl Known {
    fn admit(&self, limits: Limits, upload: Announced) -> Result<(), ApiError> {
        if self.waiting.saturating_add(upload.ahead) >= limits.max_waiting {
            return Err(ApiError::QueueFull {
                limit: limits.max_waiting,
            });
        }
        let wanted = limits.min_free.saturating_add(upload.bytes);
        if self.free.is_some_and(|free| free < wanted) {
            return Err(ApiError::StorageFull);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_waiting: 3,
        min_free: 1_000,
    };

    fn known(waiting: u64, free: Option<u64>) -> Known {
        Known {
            waiting,
            free,
            next: None,
        }
    }

    fn announced(bytes: u64, ahead: u64) -> Announced {
        Announced { bytes, ahead }
    }

    #[test]
    fn new_jobs_count_until_the_next_look() {
        let intake = Intake::default();
        let admit = |ahead| intake.known.lock().admit(LIMITS, announced(0, ahead));
        intake.count(2);
        assert!(admit(0).is_ok());
        assert!(matches!(admit(1), Err(ApiError::QueueFull { limit: 3 })));
        intake.count(1);
        assert!(admit(0).is_err());
    }

    #[test]
    fn an_upload_must_leave_the_reserve_free() {
        let known = known(0, Some(1_500));
        assert!(known.admit(LIMITS, announced(500, 0)).is_ok());
        assert!(matches!(
            known.admit(LIMITS, announced(501, 0)),
            Err(ApiError::StorageFull)
        ));
        let endless = announced(u64::MAX, 0);
        assert!(known.admit(LIMITS, endless).is_err(), "no overflow");
    }

    #[tokio::test]
    async fn a_place_is_free_again_when_its_upload_is_answered_or_given_up() {
        let intake = Intake::default();
        let mut stored: Vec<Finishing> = Vec::new();
        for _ in 0..PARALLEL {
            stored.push(intake.finishing().await);
        }
        let mut next = Box::pin(intake.finishing());
        assert!(futures_util::poll!(&mut next).is_pending());
        assert_eq!(intake.finishing.load(Ordering::Relaxed), PARALLEL + 1);
        drop(next);
        assert_eq!(intake.finishing.load(Ordering::Relaxed), PARALLEL);
        stored.pop();
        let _next = intake.finishing().await;
    }

    #[test]
    fn unknown_room_refuses_nobody() {
        let endless = announced(u64::MAX, 0);
        assert!(known(0, None).admit(LIMITS, endless).is_ok());
    }
}
