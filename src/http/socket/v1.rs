//! A socket of a client that speaks `quire.v1`: it says what it wants to hear and what it already has.
//!
//! Nothing is sent before its `hello`. Each wanted job is read from the table after the client's cursor and then followed live,
//! every event once and in order; a client that is too slow falls out of the ring of broadcasts and is served from the table
//! again, so it may be late but misses nothing. Only a job whose history is gone, or that the client never had, is told as a
//! state (`resync`).

mod follow;
pub(crate) mod frame;
mod goodbye;
mod message;
mod positions;

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use quire_store::{CancelOutcome, EventRecord, JobId, StoreError, clock};
use tokio::{
    sync::{broadcast::Receiver, watch},
    time::{Instant, sleep_until},
};

use self::{
    follow::Wanted,
    frame::Frame,
    message::{BadMessage, ClientMessage, Hello},
    positions::Positions,
};
use super::{
    Session,
    recent::Seen,
    sequence::START,
    wire::{End, Heard, Wire},
};
use crate::http::admin::{Admin, live::Newest};

/// Serves the connection until it ends.
pub(super) async fn serve(session: Session, wire: &mut Wire) -> End {
    let events = session.store.events().subscribe();
    let (wanted, positions) = (Wanted::default(), Positions::default());
    let mut socket = Socket {
        session,
        events,
        wanted,
        positions,
        queue: None,
    };
    let closing = socket.session.closing.clone();
    loop {
        let step = tokio::select! {
            biased;
            // Also in the middle of a step, which may be waiting for the database.
            () = closing.cancelled() => return send_away(wire).await,
            step = socket.step(wire) => step,
        };
        let end = match step {
            Ok(()) => continue,
            Err(Trouble::End(end)) => end,
            Err(Trouble::Store(cause)) => {
                tracing::warn!(error = %cause, "a socket's request could not be served");
                match wire.say(unavailable()).await {
                    Ok(()) => continue,
                    Err(end) => end,
                }
            }
        };
        return end;
    }
}

/// Tells the client when to come back, before the close frame tells it to.
async fn send_away(wire: &mut Wire) -> End {
    let frame = Frame::Restarting {
        retry_after_ms: goodbye::retry_after().as_millis() as u64,
    };
    wire.say(frame.text()).await.err().unwrap_or(End::Restart)
}

struct Socket {
    session: Session,
    events: Receiver<Arc<EventRecord>>,
    wanted: Wanted,
    positions: Positions,
    /// The whole queue, while the client wants it.
    queue: Option<watch::Receiver<Newest>>,
}

/// What stops a step.
enum Trouble {
    /// The connection is over.
    End(End),
    /// The database did not answer; the client is told and may ask again.
    Store(Arc<StoreError>),
}

impl From<End> for Trouble {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Socket {
    /// Waits for one thing to happen and deals with it. What rarely happens and needs the database is boxed: its many kilobytes
    /// of state would otherwise be part of every idle socket.
    async fn step(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        let (read_at, look_at) = (self.wanted.read_at, self.positions.look_at());
        tokio::select! {
            biased;
            heard = wire.hear() => Box::pin(self.obey(&heard?, wire)).await,
            () = until(read_at), if read_at.is_some() => Ok(Box::pin(self.catch_up(wire)).await?),
            () = until(look_at), if look_at.is_some() => Box::pin(self.tell_positions(wire)).await,
            frame = newest(&mut self.queue), if self.queue.is_some() => {
                if let Some(frame) = frame {
                    wire.say(frame).await?;
                }
                Ok(())
            }
            event = self.events.recv() => self.follow(event, wire).await,
        }
    }

    async fn obey(&mut self, heard: &Heard, wire: &mut Wire) -> Result<(), Trouble> {
        let message = match heard {
            Heard::Text(text) => text.as_str().parse(),
            Heard::Binary => Err(BadMessage {
                code: "bad_message",
                message: "messages are JSON text".to_owned(),
            }),
        };
        match message {
            Ok(ClientMessage::Hello(hello)) => self.greet(hello, wire).await,
            Ok(ClientMessage::Cancel(job)) => self.cancel(job, wire).await,
            Ok(ClientMessage::Ping) => {
                Ok(wire.say(Frame::Pong { ts: clock::now() }.text()).await?)
            }
            Ok(ClientMessage::Ack) => Ok(()),
            Err(BadMessage { code, message }) => Ok(wire.say(error(code, &message, None)).await?),
        }
    }

    /// Forgets what was wanted before and begins anew.
    async fn greet(&mut self, hello: Hello, wire: &mut Wire) -> Result<(), Trouble> {
        self.wanted = Wanted::new(hello.all);
        self.positions.clear();
        self.queue = hello
            .admin
            .then(|| self.session.queue.subscribe(Admin::LOCAL));
        for (job, seq) in &hello.since {
            if hello.all || hello.jobs.contains(job) {
                self.wanted.replay(*job, *seq);
            }
        }
        for job in hello.jobs {
            self.wanted.name(job);
        }
        if hello.all {
            self.begin_recent(wire).await
        } else {
            Ok(())
        }
    }

    /// Nothing was found after `seq` of a job that the client named. Tells it if there is no such job, and the job's state if its
    /// history is gone.
    async fn explain(&mut self, id: JobId, seq: i64, wire: &mut Wire) -> Result<(), Trouble> {
        let Session { store, owner, .. } = &self.session;
        let Some(job) = store.job(*owner, id).await? else {
            self.wanted.forget(id);
            return Ok(wire
                .say(error("not_found", "job not found", Some(id)))
                .await?);
        };
        if store.events().since(*owner, id, START, 1).await?.is_empty() {
            let state = Frame::resync((&job, "", seq), clock::now());
            wire.say(state.text()).await?;
        }
        Ok(())
    }

    /// Tells the state of all jobs that run or ended a moment ago, and follows them from there.
    async fn begin_recent(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        for seen in &*self.recent().await? {
            let job = &seen.job;
            if !self.wanted.has(job.id) {
                let frame = Frame::resync((job, &seen.partial, seen.last_seq), clock::now());
                wire.say(frame.text()).await?;
                self.wanted
                    .watch(job.id, seen.last_seq, job.state.is_terminal());
            }
        }
        Ok(())
    }

    /// The jobs that run or have just ended.
    async fn recent(&self) -> Result<Arc<[Seen]>, Trouble> {
        let Session {
            store, owner, hold, ..
        } = &self.session;
        let read = hold.recent().read(store.events(), *owner).await;
        read.map_err(Trouble::Store)
    }

    async fn cancel(&mut self, id: JobId, wire: &mut Wire) -> Result<(), Trouble> {
        let Session { store, owner, .. } = &self.session;
        let refusal = match store.cancel_job(*owner, id).await? {
            // Its `job_failed` frame is the answer.
            CancelOutcome::Cancelled(_) => return Ok(()),
            CancelOutcome::NotFound => error("not_found", "job not found", Some(id)),
            CancelOutcome::InvalidState(job) => {
                let message = format!("a job that is {} cannot be cancelled", job.state);
                error("invalid_state", &message, Some(id))
            }
        };
        Ok(wire.say(refusal).await?)
    }

    async fn tell_positions(&mut self, wire: &mut Wire) -> Result<(), Trouble> {
        for frame in self.positions.changed(&self.session.store).await {
            wire.say(frame.text()).await?;
        }
        Ok(())
    }
}

/// The next frame about the whole queue. Its end is that of the server.
async fn newest(queue: &mut Option<watch::Receiver<Newest>>) -> Newest {
    let receiver = queue.as_mut()?;
    if receiver.changed().await.is_err() {
        *queue = None;
        return None;
    }
    receiver.borrow_and_update().clone()
}

async fn until(at: Option<Instant>) {
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}

fn error(code: &'static str, message: &str, job_id: Option<JobId>) -> Utf8Bytes {
    Frame::Error {
        code,
        message,
        job_id,
    }
    .text()
}

fn unavailable() -> Utf8Bytes {
    error(
        "overloaded",
        "the server cannot take this request now",
        None,
    )
}
