//! Follows the wanted jobs of one socket: broadcasts as they come, the table where broadcasts are missing.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use quire_store::{EventRecord, JobId};
use tokio::{sync::broadcast::error::RecvError, time::Instant};

use super::{Socket, Trouble, frame::Frame};
use crate::http::socket::{
    BACKOFF, PAGE, RETRY, Session,
    sequence::{START, Sequencer},
    wire::{End, Wire},
};

/// How long an ended job is remembered, so that nothing of it is told twice.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The wanted jobs.
#[derive(Default)]
pub(super) struct Wanted {
    /// Jobs that are not named are wanted too.
    pub(super) all: bool,
    /// The place in each job's history.
    places: HashMap<JobId, Place>,
    /// Jobs to be read from the table.
    behind: HashSet<JobId>,
    /// When to read them.
    pub(super) read_at: Option<Instant>,
}

struct Place {
    order: Sequencer,
    /// When its end was told.
    over: Option<Instant>,
    /// The client named it, and no event has shown yet that it exists: a reading that finds none is to be explained. That
    /// saves two queries for every job of every client that comes back.
    unproven: bool,
}

impl Wanted {
    /// Nothing yet; `all` wants every job that will be.
    pub(super) fn new(all: bool) -> Self {
        Self {
            all,
            ..Self::default()
        }
    }

    /// Whether the job is followed already.
    pub(super) fn has(&self, job: JobId) -> bool {
        self.places.contains_key(&job)
    }

    /// Follows a job behind the event `seq`, reading from the table first.
    pub(super) fn replay(&mut self, job: JobId, seq: i64) {
        let mut order = Sequencer::after(seq);
        order.fall_behind();
        let (over, unproven) = (None, false);
        let place = Place {
            order,
            over,
            unproven,
        };
        self.places.insert(job, place);
        self.behind.insert(job);
        self.read_at = Some(Instant::now());
    }

    /// Follows a job that the client named, behind its cursor if it gave one.
    pub(super) fn name(&mut self, job: JobId) {
        if !self.has(job) {
            self.replay(job, START);
        }
        if let Some(place) = self.places.get_mut(&job) {
            place.unproven = true;
        }
    }

    /// Follows a job whose state up to `seq` was told.
    pub(super) fn watch(&mut self, job: JobId, seq: i64, ended: bool) {
        let over = ended.then(Instant::now);
        self.places.insert(
            job,
            Place {
                order: Sequencer::after(seq),
                over,
                unproven: false,
            },
        );
    }

    /// Follows a job no more.
    pub(super) fn forget(&mut self, job: JobId) {
        self.behind.remove(&job);
        self.places.remove(&job);
    }

    /// Takes a broadcast; what is to be told is appended to `out`.
    fn live(&mut self, record: Arc<EventRecord>, out: &mut Vec<Arc<EventRecord>>) {
        let job = record.job_id;
        let new = || Place {
            order: Sequencer::after(START),
            over: None,
            unproven: false,
        };
        let place = self.places.entry(job).or_insert_with(new);
        place.order.live(record, out);
        if place.order.is_behind() && self.behind.insert(job) {
            self.read_at = Some(Instant::now());
        }
    }

    /// Broadcasts were missed: every job that runs is to be read.
    fn fall_behind(&mut self) {
        for (job, place) in &mut self.places {
            if place.over.is_none() {
                place.order.fall_behind();
                self.behind.insert(*job);
            }
        }
        self.read_at = Some(Instant::now());
    }

    fn told(&mut self, record: &EventRecord) {
        let over = record.event.is_terminal().then(Instant::now);
        if let Some(place) = self.places.get_mut(&record.job_id) {
            place.over = over;
        }
        if over.is_some() && self.all {
            let fresh = |over: Instant| over.elapsed() < REMEMBERED;
            self.places.retain(|_, place| place.over.is_none_or(fresh));
        }
    }
}

impl Socket {
    /// Deals with one broadcast.
    pub(super) async fn follow(
        &mut self,
        event: Result<Arc<EventRecord>, RecvError>,
        wire: &mut Wire,
    ) -> Result<(), Trouble> {
        let record = match event {
            Ok(record) => record,
            Err(RecvError::Lagged(_)) => return Box::pin(self.look_for_new_jobs()).await,
            Err(RecvError::Closed) => return Err(End::Broken.into()),
        };
        let wanted = self.wanted.all || self.wanted.has(record.job_id);
        if !wanted || record.owner != self.session.owner {
            return Ok(());
        }
        let mut out = Vec::new();
        self.wanted.live(record, &mut out);
        self.tell(&out, wire).await
    }

    /// Broadcasts were missed: what is followed is read from the table, and so are jobs that came meanwhile.
    async fn look_for_new_jobs(&mut self) -> Result<(), Trouble> {
        self.wanted.fall_behind();
        if self.wanted.all {
            for seen in &*self.recent().await? {
                if !self.wanted.has(seen.job.id) {
                    self.wanted.replay(seen.job.id, START);
                }
            }
        }
        Ok(())
    }

    /// Reads from the table what the jobs that are behind lack.
    pub(super) async fn catch_up(&mut self, wire: &mut Wire) -> Result<(), End> {
        self.wanted.read_at = None;
        let behind: Vec<JobId> = self.wanted.behind.drain().collect();
        for job in behind {
            match self.read(job, wire).await {
                Ok(()) => {}
                Err(Trouble::End(end)) => return Err(end),
                Err(Trouble::Store(error)) => {
                    tracing::warn!(%error, job.id = %job, "events of a job could not be read, trying again");
                    self.wanted.behind.insert(job);
                    self.wanted.read_at = Some(Instant::now() + BACKOFF);
                }
            }
        }
        Ok(())
    }

    async fn read(&mut self, job: JobId, wire: &mut Wire) -> Result<(), Trouble> {
        let mut more = true;
        while more && let Some(place) = self.wanted.places.get_mut(&job) {
            let Session { store, owner, .. } = &self.session;
            let seq = place.order.seq();
            let records = store.events().since(*owner, job, seq, PAGE).await?;
            if place.unproven && records.is_empty() {
                self.explain(job, seq, wire).await?;
            }
            let Some(place) = self.wanted.places.get_mut(&job) else {
                return Ok(());
            };
            place.unproven = false;
            more = records.len() == PAGE as usize;
            let mut out = Vec::new();
            place.order.stored(records, &mut out);
            if !more {
                place.order.settle(&mut out);
                if place.order.is_behind() {
                    self.wanted.behind.insert(job);
                    self.wanted.read_at = Some(Instant::now() + RETRY);
                }
            }
            self.tell(&out, wire).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, records: &[Arc<EventRecord>], wire: &mut Wire) -> Result<(), Trouble> {
        for record in records {
            let position = self.positions.after(record, &self.session.store).await;
            wire.say(Frame::of(record, position).text()).await?;
            self.wanted.told(record);
        }
        Ok(())
    }
}
