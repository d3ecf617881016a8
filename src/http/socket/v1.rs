//! A socket of a client that speaks `quire.v1`: it says what it wants to hear and what it already has.
//!
//! Nothing is sent before its `hello`. Each wanted job is read from the table after the client's cursor and then followed live,
//! every event once and in order; a client that is too slow falls out of the ring of broadcasts and is served from the table
//! again, so it may be late but misses nothing. Only a job whose history is gone, or that the client never had, is told as a
//! state (`resync`).

pub(crate) mod frame;
mod message;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use axum::extract::ws::Utf8Bytes;
use quire_store::{CancelOutcome, Event, EventRecord, JobId, JobSnapshot, StoreError, clock};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};

use self::{
    frame::Frame,
    message::{BadMessage, ClientMessage, Hello},
};
use super::{
    Session,
    sequence::{START, Sequencer},
    wire::{End, Heard, Wire},
};

/// How long ago a job may have ended and still be told to somebody who wants all jobs.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Events read from the table at once.
pub(crate) const PAGE: u32 = 500;

/// Pause before the table is asked again for what it did not hold yet: two flushes.
pub(crate) const RETRY: Duration = Duration::from_millis(100);

/// Pause after the database did not answer.
pub(crate) const BACKOFF: Duration = Duration::from_secs(1);

/// Pause between two looks at the queue for waiting jobs.
const POSITION_EVERY: Duration = Duration::from_secs(2);

/// Waiting jobs whose position is kept up to date on one socket.
const MOST_POSITIONS: usize = 32;

/// How long an ended job is remembered, so that nothing of it is told twice.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Serves the connection until it ends.
pub(super) async fn serve(session: Session, wire: &mut Wire) -> End {
    let events = session.store.events().subscribe();
    let mut socket = Socket {
        session,
        events,
        all: false,
        jobs: HashMap::new(),
        behind: HashSet::new(),
        read_at: None,
        waiting: HashMap::new(),
        position_at: None,
    };
    loop {
        if let Err(end) = socket.step(wire).await {
            return end;
        }
    }
}

struct Socket {
    session: Session,
    events: Receiver<Arc<EventRecord>>,
    /// Jobs that are not named are wanted too.
    all: bool,
    /// The place in each wanted job's history.
    jobs: HashMap<JobId, Place>,
    /// Jobs to be read from the table.
    behind: HashSet<JobId>,
    /// When to read them.
    read_at: Option<Instant>,
    /// Waiting jobs and their last told position.
    waiting: HashMap<JobId, Option<i64>>,
    /// When to look at the queue.
    position_at: Option<Instant>,
}

struct Place {
    order: Sequencer,
    /// When its end was told.
    over: Option<Instant>,
}

impl Socket {
    /// Waits for one thing to happen and deals with it.
    async fn step(&mut self, wire: &mut Wire) -> Result<(), End> {
        tokio::select! {
            biased;
            () = self.session.closing.cancelled() => Err(End::Restart),
            heard = wire.hear() => self.obey(heard?, wire).await,
            () = until(self.read_at), if self.read_at.is_some() => self.read_what_is_missing(wire).await,
            () = until(self.position_at), if self.position_at.is_some() => self.tell_positions(wire).await,
            event = self.events.recv() => self.follow(event, wire).await,
        }
    }

    async fn obey(&mut self, heard: Heard, wire: &mut Wire) -> Result<(), End> {
        let message = match &heard {
            Heard::Text(text) => text.as_str().parse(),
            Heard::Binary => Err(BadMessage { code: "bad_message", message: "messages are JSON text".to_owned() }),
        };
        match message {
            Ok(ClientMessage::Hello(hello)) => self.greet(hello, wire).await,
            Ok(ClientMessage::Cancel(job)) => self.cancel(job, wire).await,
            Ok(ClientMessage::Ping) => wire.say(Frame::Pong { ts: clock::now() }.text()).await,
            Ok(ClientMessage::Ack) => Ok(()),
            Err(BadMessage { code, message }) => wire.say(error(code, &message, None)).await,
        }
    }

    /// Forgets what was wanted before and begins anew.
    async fn greet(&mut self, hello: Hello, wire: &mut Wire) -> Result<(), End> {
        self.all = hello.all;
        self.jobs.clear();
        self.behind.clear();
        self.waiting.clear();
        for (job, seq) in &hello.since {
            if hello.all || hello.jobs.contains(job) {
                self.begin(*job, *seq);
            }
        }
        for job in hello.jobs {
            match self.begin_named(job, wire).await {
                Ok(said) => said?,
                Err(cause) => return unavailable(&cause, wire).await,
            }
        }
        if hello.all
            && let Err(cause) = self.begin_recent(wire).await?
        {
            return unavailable(&cause, wire).await;
        }
        Ok(())
    }

    /// Follows a job from `seq` on.
    fn begin(&mut self, job: JobId, seq: i64) {
        let mut order = Sequencer::after(seq);
        order.fall_behind();
        self.jobs.insert(job, Place { order, over: None });
        self.behind.insert(job);
        self.read_at = Some(Instant::now());
    }

    /// Follows a job that the client named, if it exists; tells its state if its history is gone.
    async fn begin_named(&mut self, id: JobId, wire: &mut Wire) -> Result<Result<(), End>, StoreError> {
        let Session { store, owner, .. } = &self.session;
        let Some(job) = store.job(*owner, id).await? else {
            self.jobs.remove(&id);
            self.behind.remove(&id);
            return Ok(wire.say(error("not_found", "job not found", Some(id))).await);
        };
        if !store.events().since(*owner, id, START, 1).await?.is_empty() {
            if !self.jobs.contains_key(&id) {
                self.begin(id, START);
            }
            return Ok(Ok(()));
        }
        let last_seq = self.jobs.remove(&id).map_or(START, |place| place.order.seq());
        let partial = job.answer.clone().unwrap_or_default();
        let state = JobSnapshot { job, partial, last_seq };
        self.begin(id, last_seq);
        Ok(wire.say(Frame::resync(&state, clock::now()).text()).await)
    }

    /// Tells the state of all jobs that run or ended a moment ago, and follows them from there.
    async fn begin_recent(&mut self, wire: &mut Wire) -> Result<Result<(), StoreError>, End> {
        let Session { store, owner, .. } = &self.session;
        let snapshots = match store.events().recent(*owner, ENDED_WITHIN).await {
            Ok(snapshots) => snapshots,
            Err(cause) => return Ok(Err(cause)),
        };
        for snapshot in snapshots {
            let id = snapshot.job.id;
            if self.jobs.contains_key(&id) {
                continue;
            }
            wire.say(Frame::resync(&snapshot, clock::now()).text()).await?;
            let over = snapshot.job.state.is_terminal().then(Instant::now);
            self.jobs.insert(id, Place { order: Sequencer::after(snapshot.last_seq), over });
        }
        Ok(Ok(()))
    }

    async fn cancel(&mut self, id: JobId, wire: &mut Wire) -> Result<(), End> {
        let Session { store, owner, .. } = &self.session;
        match store.cancel_job(*owner, id).await {
            // Its `job_failed` frame is the answer.
            Ok(CancelOutcome::Cancelled(_)) => Ok(()),
            Ok(CancelOutcome::NotFound) => wire.say(error("not_found", "job not found", Some(id))).await,
            Ok(CancelOutcome::InvalidState(job)) => {
                let message = format!("a job that is {} cannot be cancelled", job.state);
                wire.say(error("invalid_state", &message, Some(id))).await
            }
            Err(cause) => unavailable(&cause, wire).await,
        }
    }

    /// Deals with one broadcast.
    async fn follow(&mut self, event: Result<Arc<EventRecord>, RecvError>, wire: &mut Wire) -> Result<(), End> {
        let record = match event {
            Ok(record) => record,
            Err(RecvError::Lagged(_)) => return self.fall_behind(wire).await,
            Err(RecvError::Closed) => return Err(End::Broken),
        };
        let job = record.job_id;
        let wanted = self.all || self.jobs.contains_key(&job);
        if !wanted || record.owner != self.session.owner {
            return Ok(());
        }
        let mut out = Vec::new();
        let place = self.jobs.entry(job).or_insert_with(|| Place { order: Sequencer::after(START), over: None });
        place.order.live(record, &mut out);
        if place.order.is_behind() && self.behind.insert(job) {
            self.read_at = Some(Instant::now());
        }
        self.tell(&out, wire).await
    }

    /// Broadcasts were missed: everything that is wanted is read from the table, and with it jobs that are new.
    async fn fall_behind(&mut self, wire: &mut Wire) -> Result<(), End> {
        for (job, place) in &mut self.jobs {
            if place.over.is_none() {
                place.order.fall_behind();
                self.behind.insert(*job);
            }
        }
        self.read_at = Some(Instant::now());
        if !self.all {
            return Ok(());
        }
        let Session { store, owner, .. } = &self.session;
        match store.events().recent(*owner, ENDED_WITHIN).await {
            Ok(snapshots) => {
                let new: Vec<_> = snapshots.iter().map(|snapshot| snapshot.job.id).filter(|id| !self.jobs.contains_key(id)).collect();
                for job in new {
                    self.begin(job, START);
                }
                Ok(())
            }
            Err(cause) => unavailable(&cause, wire).await,
        }
    }

    async fn read_what_is_missing(&mut self, wire: &mut Wire) -> Result<(), End> {
        self.read_at = None;
        let behind: Vec<JobId> = self.behind.drain().collect();
        for job in behind {
            if let Err(cause) = self.read(job, wire).await? {
                tracing::warn!(error = %cause, job.id = %job, "events of a job could not be read, trying again");
                self.behind.insert(job);
                self.read_at = Some(Instant::now() + BACKOFF);
            }
        }
        Ok(())
    }

    async fn read(&mut self, job: JobId, wire: &mut Wire) -> Result<Result<(), StoreError>, End> {
        loop {
            let Some(place) = self.jobs.get_mut(&job) else {
                return Ok(Ok(()));
            };
            let Session { store, owner, .. } = &self.session;
            let records = match store.events().since(*owner, job, place.order.seq(), PAGE).await {
                Ok(records) => records,
                Err(cause) => return Ok(Err(cause)),
            };
            let last = records.len() < PAGE as usize;
            let mut out = Vec::new();
            place.order.stored(records, &mut out);
            if last {
                place.order.settle(&mut out);
            }
            let behind = place.order.is_behind();
            self.tell(&out, wire).await?;
            if last {
                if behind {
                    self.behind.insert(job);
                    self.read_at = Some(Instant::now() + RETRY);
                }
                return Ok(Ok(()));
            }
        }
    }

    async fn tell(&mut self, records: &[Arc<EventRecord>], wire: &mut Wire) -> Result<(), End> {
        for record in records {
            let position = self.position_after(record).await;
            wire.say(Frame::of(record, position).text()).await?;
            let over = record.event.is_terminal().then(Instant::now);
            if let Some(place) = self.jobs.get_mut(&record.job_id) {
                place.over = over;
            }
            if over.is_some() {
                self.jobs.retain(|_, place| !self.all || place.over.is_none_or(|over| over.elapsed() < REMEMBERED));
            }
        }
        Ok(())
    }

    /// Keeps track of whether the job waits; its position if it does.
    async fn position_after(&mut self, record: &EventRecord) -> Option<i64> {
        if !matches!(record.event, Event::Queued) {
            self.waiting.remove(&record.job_id);
            return None;
        }
        let position = self.position(record.job_id).await;
        if self.waiting.len() < MOST_POSITIONS {
            self.waiting.insert(record.job_id, position);
            self.position_at.get_or_insert_with(|| Instant::now() + POSITION_EVERY);
        }
        position
    }

    async fn tell_positions(&mut self, wire: &mut Wire) -> Result<(), End> {
        let jobs: Vec<_> = self.waiting.iter().map(|(job, position)| (*job, *position)).collect();
        for (job_id, told) in jobs {
            let position = self.position(job_id).await;
            if position != told {
                self.waiting.insert(job_id, position);
                wire.say(Frame::QueuePosition { seq: None, ts: clock::now(), job_id, position }.text()).await?;
            }
        }
        self.position_at = (!self.waiting.is_empty()).then(|| Instant::now() + POSITION_EVERY);
        Ok(())
    }

    async fn position(&self, job: JobId) -> Option<i64> {
        match self.session.store.queue_position(job).await {
            Ok(position) => position,
            Err(cause) => {
                tracing::warn!(error = %cause, job.id = %job, "queue position could not be read");
                None
            }
        }
    }
}

async fn until(at: Option<Instant>) {
    sleep_until(at.unwrap_or_else(Instant::now)).await;
}

fn error(code: &'static str, message: &str, job_id: Option<JobId>) -> Utf8Bytes {
    Frame::Error { code, message, job_id }.text()
}

/// Tells that the database did not answer; the client may ask again.
async fn unavailable(cause: &StoreError, wire: &mut Wire) -> Result<(), End> {
    tracing::warn!(error = %cause, "a socket's request could not be served");
    wire.say(error("overloaded", "the server cannot take this request now", None)).await
}
