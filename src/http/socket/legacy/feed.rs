//! The one task of a process that renders frames for all sockets of the upload contract.
//!
//! A hundred sockets then cost one serialisation and a hundred writes. The task starts with the first socket and ends with the
//! last one; the ring of frames is bounded, and a socket that falls out of it looks at the table.

use std::sync::Arc;

use parking_lot::Mutex;
use quire_store::{EventHub, EventRecord, StoreError, clock};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::{Instant, sleep_until},
};

use super::{frame::Frame, render::Renderer};
use crate::http::socket::{BACKOFF, PAGE, RETRY, hold::UploadHold};

/// Frames that a socket may be behind. With frames every 50 ms from four running jobs that is 3 s; at 8 KB each, 2 MB.
const RING: usize = 256;

/// Broadcast events taken in before frames are rendered, so that a burst is merged and the sockets still move.
const BURST: usize = 256;

/// What travels from the renderer to the sockets.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// A frame for whoever owns its job.
    Frame(Arc<Frame>),
    /// Broadcasts were missed: a job may have come and gone unseen, so every socket looks at the table.
    LookAgain,
}

/// Where the renderer of a process is found while it runs.
#[derive(Default)]
pub(in super::super) struct FeedSlot {
    running: Mutex<Option<broadcast::WeakSender<Told>>>,
}

impl FeedSlot {
    /// Frames from now on; starts the renderer when none runs.
    pub(super) fn subscribe(&self, hub: &EventHub, hold: &UploadHold) -> broadcast::Receiver<Told> {
        let mut running = self.running.lock();
        if let Some(frames) = running.as_ref().and_then(broadcast::WeakSender::upgrade) {
            return frames.subscribe();
        }
        let (frames, receiver) = broadcast::channel(RING);
        *running = Some(frames.downgrade());
        let feed = Feed {
            frames,
            // Subscribed here and not in the task: what happens after this function returned will be told.
            events: hub.subscribe(),
            hub: hub.clone(),
            hold: hold.clone(),
            renderer: Renderer::default(),
            read_at: None,
        };
        // Ends with its last socket, which the upgrade's own task keeps alive.
        tokio::spawn(feed.run());
        receiver
    }
}

struct Feed {
    frames: broadcast::Sender<Told>,
    events: broadcast::Receiver<Arc<EventRecord>>,
    hub: EventHub,
    hold: UploadHold,
    renderer: Renderer,
    /// When to read from the table.
    read_at: Option<Instant>,
}

impl Feed {
    async fn run(mut self) {
        while self.frames.receiver_count() > 0 {
            let wake = self.emit();
            let wake = wake.into_iter().chain(self.read_at).min();
            tokio::select! {
                event = self.events.recv() => {
                    if !self.hear(event) {
                        return;
                    }
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
                // Nobody listens any more.
                () = self.frames.closed() => return,
            }
            self.read_what_is_missing().await;
        }
    }

    /// Sends what is due; returns when the next frame is.
    fn emit(&mut self) -> Option<Instant> {
        let mut frames = Vec::new();
        let next = self
            .renderer
            .render(Instant::now(), &self.hold, &mut frames);
        for frame in frames {
            // Fails only when the last socket has gone, which ends the loop.
            let _ = self.frames.send(Told::Frame(Arc::new(frame)));
        }
        next
    }

    /// Takes in one broadcast and whatever lies behind it; false when there will be no more.
    fn hear(&mut self, first: Result<Arc<EventRecord>, RecvError>) -> bool {
        let (now, wall) = (Instant::now(), clock::now());
        match first {
            Ok(record) => self.renderer.live(record, now, wall),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "event renderer lagged, reading the table");
                self.renderer.fall_behind();
                let _ = self.frames.send(Told::LookAgain);
            }
            Err(RecvError::Closed) => return false,
        }
        for _ in 0..BURST {
            // A lag is seen again by the next `recv`.
            let Ok(record) = self.events.try_recv() else {
                break;
            };
            self.renderer.live(record, now, wall);
        }
        true
    }

    async fn read_what_is_missing(&mut self) {
        let behind = self.renderer.behind();
        if behind.is_empty() {
            self.read_at = None;
            return;
        }
        let now = Instant::now();
        if self.read_at.is_some_and(|at| now < at) {
            return;
        }
        self.read_at = Some(now + RETRY);
        for (owner, job, after) in behind {
            if let Err(error) = self.read(owner, job, after).await {
                tracing::warn!(%error, job.id = %job, "events of a job could not be read, trying again");
                self.read_at = Some(now + BACKOFF);
                return;
            }
        }
    }

    async fn read(
        &mut self,
        owner: quire_store::Owner,
        job: quire_store::JobId,
        mut after: i64,
    ) -> Result<(), StoreError> {
        loop {
            let records = self.hub.since(owner, job, after, PAGE).await?;
            let last = records.len() < PAGE as usize;
            after = records.last().map_or(after, |record| record.seq);
            self.renderer.stored(job, records, last);
            if last {
                return Ok(());
            }
        }
    }
}
