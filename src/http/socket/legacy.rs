//! A socket of a client that knows only the upload contract: it listens, and must be told everything.
//!
//! Such a client cannot ask for what it missed, so every connection begins with the state of all jobs that run or ended a
//! moment ago. The same look at the table mends everything else: frames lost to slowness, a job that was held back
//! for its uploader. What the client sends is ignored: the contract has no message for it.

#[cfg(test)]
mod client;
pub(super) mod feed;
mod frame;
mod render;
mod seam;
mod view;

use std::time::Duration;

use quire_store::clock;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use self::{feed::Told, seam::Seam};
use super::{
    BACKOFF, Session,
    hold::settled,
    wire::{End, Wire},
};

/// From the moment at which a held job may be told to the look at what the renderer did not tell.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// Serves the connection until it ends.
pub(super) async fn serve(session: Session, wire: &mut Wire) -> End {
    let frames = session
        .hold
        .feed()
        .subscribe(session.store.events(), &session.hold);
    let mut socket = Socket {
        session,
        frames,
        seam: Seam::default(),
        look_at: Some(Instant::now()),
    };
    let closing = socket.session.closing.clone();
    loop {
        let step = tokio::select! {
            biased;
            // Also in the middle of a step, which may be waiting for the database.
            () = closing.cancelled() => return End::Restart,
            step = socket.step(wire) => step,
        };
        if let Err(end) = step {
            return end;
        }
    }
}

struct Socket {
    session: Session,
    frames: Receiver<Told>,
    seam: Seam,
    /// When to look at the table.
    look_at: Option<Instant>,
}

impl Socket {
    /// Waits for one thing to happen and deals with it. The look is boxed: its state would otherwise be part of every idle socket.
    async fn step(&mut self, wire: &mut Wire) -> Result<(), End> {
        tokio::select! {
            biased;
            heard = wire.hear() => heard.map(drop),
            // Before further frames: a look makes up for those that were lost.
            () = sleep_until(self.look_at.unwrap_or_else(Instant::now)), if self.look_at.is_some() => Box::pin(self.look(wire)).await,
            told = self.frames.recv() => self.pass_on(told, wire).await,
        }
    }

    async fn pass_on(&mut self, told: Result<Told, RecvError>, wire: &mut Wire) -> Result<(), End> {
        match told {
            Ok(Told::Frame(frame)) if frame.owner == self.session.owner => {
                if let Some(text) = self.seam.pass(&frame, Instant::now()) {
                    wire.say(text).await?;
                }
            }
            Ok(Told::Frame(_)) => {}
            Ok(Told::LookAgain) | Err(RecvError::Lagged(_)) => self.look_at = Some(Instant::now()),
            Err(RecvError::Closed) => {
                tracing::warn!("the event renderer ended, starting another");
                let Session { hold, store, .. } = &self.session;
                self.frames = hold.feed().subscribe(store.events(), hold);
                self.look_at = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// Tells what the table knows and the client does not.
    async fn look(&mut self, wire: &mut Wire) -> Result<(), End> {
        let Session {
            store, owner, hold, ..
        } = &self.session;
        let jobs = match hold.recent().read(store.events(), *owner).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::warn!(%error, "running jobs could not be read, trying again");
                self.look_at = Some(Instant::now() + BACKOFF);
                return Ok(());
            }
        };
        self.look_at = None;
        let now = Instant::now();
        for seen in &*jobs {
            let job = &seen.job;
            let settled = self
                .seam
                .settled(job.id, || settled(job.created_at, clock::now(), now));
            if let Some(until) = self.session.hold.gate(job.id, settled, now) {
                // Held for its uploader; the renderer may not know of it, so it is looked up again. If it does, its frames
                // come first and tell more than the state would.
                let again = until + SECOND_LOOK;
                self.look_at = Some(self.look_at.map_or(again, |at| at.max(again)));
                continue;
            }
            for text in self.seam.catch_up(seen, now) {
                wire.say(text).await?;
            }
        }
        Ok(())
    }
}
