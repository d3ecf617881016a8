//! The queue, live: one task of the process looks, every socket that wants it is told.
//!
//! The task runs only while somebody listens. A listener holds the newest frame and nothing else, so a slow one skips frames
//! and costs neither memory nor another look.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use quire_store::{QueueSnapshot, Store};
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Admin, view::QueueView};

/// Least pause between two looks.
const EVERY: Duration = Duration::from_millis(300);

/// A frame although nothing has changed but the time: ages grow, workers are seen.
const REFRESH: Duration = Duration::from_secs(2);

/// Looks take at most one part in so many of the time: a database that is slow is not asked so often.
const SHARE: u32 = 10;

/// The newest frame; `None` before the first look.
pub type Newest = Option<Utf8Bytes>;

/// Where the live view of a process is found.
#[derive(Clone, Debug)]
pub struct LiveQueue {
    store: Store,
    closing: CancellationToken,
    running: Arc<Mutex<Weak<watch::Sender<Newest>>>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "admin")]
struct Frame {
    queue: QueueView,
}

impl LiveQueue {
    /// Nobody listens yet.
    pub fn new(store: Store, closing: CancellationToken) -> Self {
        Self {
            store,
            closing,
            running: Arc::default(),
        }
    }

    /// The newest frame and all that follow; starts the task when none runs.
    pub fn subscribe(&self, _: Admin) -> watch::Receiver<Newest> {
        let mut running = self.running.lock();
        if let Some(frames) = running.upgrade() {
            let mut receiver = frames.subscribe();
            if receiver.borrow().is_some() {
                receiver.mark_changed();
            }
            return receiver;
        }
        let (frames, receiver) = watch::channel(None);
        let frames = Arc::new(frames);
        *running = Arc::downgrade(&frames);
        // Ends with its last listener or with the server.
        tokio::spawn(
            self.closing
                .clone()
                .run_until_cancelled_owned(self.clone().look(frames)),
        );
        receiver
    }

    async fn look(self, frames: Arc<watch::Sender<Newest>>) {
        let mut told: Option<(QueueSnapshot, Instant)> = None;
        let mut failing = false;
        loop {
            let began = Instant::now();
            match self.store.queue_snapshot().await {
                Ok(snapshot) => {
                    failing = false;
                    if is_news(told.as_ref(), &snapshot, began) {
                        frames.send_replace(Some(frame(&snapshot)));
                        told = Some((snapshot, began));
                    }
                }
                Err(error) if failing => tracing::debug!(%error, "the queue still cannot be read"),
                Err(error) => {
                    failing = true;
                    tracing::warn!(%error, "the queue cannot be read for its live view");
                }
            }
            let pause = EVERY.max(began.elapsed() * SHARE);
            tokio::select! {
                () = sleep(pause) => {}
                () = frames.closed() => {}
            }
            if self.is_over(&frames) {
                return;
            }
        }
    }

    /// Nobody listens, and from now on whoever comes starts another task.
    fn is_over(&self, frames: &watch::Sender<Newest>) -> bool {
        let mut running = self.running.lock();
        let over = frames.receiver_count() == 0;
        if over {
            *running = Weak::new();
        }
        over
    }
}

/// Whether the listeners should hear of `now`.
fn is_news(told: Option<&(QueueSnapshot, Instant)>, now: &QueueSnapshot, at: Instant) -> bool {
    let Some((told, then)) = told else {
        return true;
    };
    at.duration_since(*then) >= REFRESH || !is_same(told, now)
}

/// The same but for what changes with the time alone.
fn is_same(one: &QueueSnapshot, other: &QueueSnapshot) -> bool {
    let workers = |snapshot: &QueueSnapshot| {
        let workers = snapshot.workers.iter();
        workers
            .map(|worker| (worker.name.clone(), worker.started_at, worker.jobs))
            .collect::<Vec<_>>()
    };
    one.queues == other.queues && one.ended == other.ended && workers(one) == workers(other)
}

fn frame(snapshot: &QueueSnapshot) -> Utf8Bytes {
    let frame = Frame {
        queue: snapshot.into(),
    };
    serde_json::to_string(&frame)
        .expect("strings, numbers and times always serialise")
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::admin::view::tests::snapshot;

    #[test]
    fn a_frame_says_what_it_is() {
        let value: serde_json::Value = serde_json::from_str(&frame(&snapshot())).unwrap();
        assert_eq!(value["type"], "admin");
        assert_eq!(value["queue"]["jobs"]["queued"], 4);
    }

    #[test]
    fn the_passing_of_time_alone_is_told_now_and_then() {
        let (then, told) = (Instant::now(), snapshot());
        let told = Some((told, then));
        let mut later = snapshot();
        later.at += Duration::from_millis(300);
        later.workers[0].seen_at = later.at;
        assert!(!is_news(told.as_ref(), &later, then + EVERY));
        assert!(is_news(told.as_ref(), &later, then + REFRESH));
        assert!(is_news(None, &later, then));
        later.queues[0].queued += 1;
        assert!(is_news(told.as_ref(), &later, then + EVERY));
    }
}
