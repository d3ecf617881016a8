//! The queue entries: what apalis does with them, and the order in which `get_jobs` (migration 0004) hands them out.

use quire_store::Stage;

use crate::{
    database::{Database, Flaw},
    row::{Job, JobNo, Millis, Ticket, Worker},
};

/// One level of priority is gained in this time without service.
pub(crate) const LEVEL: Millis = 30_000;
/// Levels gained at most.
const MOST_LEVELS: i64 = 200;
/// Hand-outs of one entry before apalis gives it up.
const MAX_HAND_OUTS: u32 = 25;
/// A silent apalis worker's entries go to others after this.
const SWEPT_AFTER: Millis = 30_000;

/// One incarnation of an apalis worker of one of our workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    pub(crate) worker: Worker,
    pub(crate) incarnation: u32,
}

/// The life of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Pending,
    /// Also `Running`: no rule tells them apart.
    Held(Holder),
    Failed,
    Done,
    Killed,
}

/// A row of `apalis.jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) job: JobNo,
    pub(crate) ticket: Ticket,
    pub(crate) stage: Stage,
    pub(crate) priority: i32,
    pub(crate) owner: u8,
    pub(crate) run_at: Millis,
    pub(crate) status: Status,
    pub(crate) attempts: u32,
}

impl Entry {
    fn is_waiting(&self, stage: Stage, now: Millis) -> bool {
        let waits = match self.status {
            Status::Pending => true,
            Status::Failed => self.attempts < MAX_HAND_OUTS,
            _ => false,
        };
        waits && self.stage == stage && self.run_at < now
    }

    fn is_live(&self) -> bool {
        match self.status {
            Status::Pending | Status::Held(_) => true,
            Status::Failed => self.attempts < MAX_HAND_OUTS,
            Status::Done | Status::Killed => false,
        }
    }

    /// Back to waiting, as the sweep and the trigger have it.
    fn swept(&mut self) {
        self.attempts += 1;
        self.status = if self.attempts >= MAX_HAND_OUTS {
            Status::Killed
        } else {
            Status::Pending
        };
    }
}

/// Whose turn it was in a class, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Turn {
    pub(crate) stage: Stage,
    pub(crate) priority: i32,
    owner: u8,
    pub(crate) served_at: Millis,
}

/// The rows of apalis and the order of the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entries {
    pub(crate) rows: Vec<Entry>,
    pub(crate) turns: Vec<Turn>,
    /// Stages that hand nothing out.
    pub(crate) paused: Vec<Stage>,
    /// Slots of one owner; 0 = any number.
    pub(crate) owner_slots: usize,
}

impl Entries {
    pub(crate) fn push(&mut self, job: JobNo, ticket: Ticket, row: &Job) {
        self.rows.push(Entry {
            job,
            ticket,
            stage: row.stage,
            priority: row.priority,
            owner: row.owner,
            run_at: row.queued_at,
            status: Status::Pending,
            attempts: 0,
        });
    }

    pub(crate) fn withdraw(&mut self, stage: Stage, ticket: Ticket) {
        self.rows.retain(|entry| {
            entry.stage != stage || entry.ticket != ticket || entry.status != Status::Pending
        });
    }

    pub(crate) fn is_live(&self, stage: Stage, ticket: Ticket) -> bool {
        let is_it = |entry: &&Entry| entry.stage == stage && entry.ticket == ticket;
        self.rows.iter().find(is_it).is_some_and(Entry::is_live)
    }

    /// Entries in the hands of a worker that is gone are free at once.
    pub(crate) fn free(&mut self, worker: Worker) {
        for entry in &mut self.rows {
            if matches!(entry.status, Status::Held(holder) if holder.worker == worker) {
                entry.status = Status::Pending;
            }
        }
    }

    /// The holder is done with it. Fenced by the holder, as apalis does.
    pub(crate) fn acknowledge(&mut self, ticket: Ticket, holder: Holder, retry_at: Option<Millis>) {
        let held =
            |entry: &&mut Entry| entry.ticket == ticket && entry.status == Status::Held(holder);
        if let Some(entry) = self.rows.iter_mut().find(held) {
            entry.attempts += 1;
            entry.status = Status::Done;
            if let Some(at) = retry_at {
                entry.status = Status::Failed;
                entry.run_at = at;
            }
        }
    }

    /// apalis' own sweep: entries of apalis workers that `is_silent` for long enough.
    pub(crate) fn sweep(&mut self, is_silent: impl Fn(Holder) -> bool) {
        for entry in &mut self.rows {
            if matches!(entry.status, Status::Held(holder) if is_silent(holder)) {
                entry.swept();
            }
        }
    }

    /// apalis hands an entry out although it was done or is held.
    pub(crate) fn repeat(&mut self, nth: usize) {
        let count = self.rows.len().max(1);
        if let Some(entry) = self.rows.get_mut(nth % count)
            && !matches!(entry.status, Status::Killed)
        {
            entry.status = Status::Pending;
        }
    }

    /// An entry is lost.
    pub(crate) fn lose(&mut self, nth: usize) {
        if !self.rows.is_empty() {
            self.rows.remove(nth % self.rows.len());
        }
    }

    /// Housekeeping deletes what is done.
    pub(crate) fn delete_done(&mut self) {
        self.rows
            .retain(|entry| !matches!(entry.status, Status::Done | Status::Killed));
    }

    /// The entries that could be handed out now.
    pub(crate) fn waiting(&self, stage: Stage, now: Millis) -> impl Iterator<Item = &Entry> {
        let paused = self.paused.contains(&stage);
        self.rows
            .iter()
            .filter(move |entry| !paused && entry.is_waiting(stage, now))
            .filter(move |entry| !self.is_full(stage, entry.owner))
    }

    /// The owner has all his slots in use.
    fn is_full(&self, stage: Stage, owner: u8) -> bool {
        let held = |entry: &&Entry| {
            entry.stage == stage && entry.owner == owner && matches!(entry.status, Status::Held(_))
        };
        self.owner_slots > 0 && self.rows.iter().filter(held).count() >= self.owner_slots
    }

    /// Rule 1 of the queue's order: the class to serve.
    fn next_class(&self, stage: Stage, now: Millis) -> Option<i32> {
        let mut classes: Vec<(i32, Millis)> = Vec::new();
        for entry in self.waiting(stage, now) {
            match classes.iter_mut().find(|class| class.0 == entry.priority) {
                Some(class) => class.1 = class.1.min(entry.run_at),
                None => classes.push((entry.priority, entry.run_at)),
            }
        }
        let level = |&(priority, oldest): &(i32, Millis)| {
            let since = oldest.max(self.served_at(stage, priority).unwrap_or(0));
            let levels = (now.saturating_sub(since) / LEVEL).cast_signed();
            i64::from(priority) + levels.min(MOST_LEVELS)
        };
        let best = classes.iter().max_by_key(|class| (level(class), class.0))?;
        Some(best.0)
    }

    /// When a class last had its turn.
    pub(crate) fn served_at(&self, stage: Stage, priority: i32) -> Option<Millis> {
        let turn = self.turn(stage, priority)?;
        Some(self.turns[turn].served_at)
    }

    fn turn(&self, stage: Stage, priority: i32) -> Option<usize> {
        self.turns
            .iter()
            .position(|turn| turn.stage == stage && turn.priority == priority)
    }

    /// Rules 2 and 3: the entry of the class whose turn it is.
    fn next_in_class(&self, stage: Stage, class: i32, now: Millis) -> Option<usize> {
        let after = self.turn(stage, class).map(|turn| self.turns[turn].owner);
        let key = |entry: &Entry| {
            let second_round = after.is_some_and(|after| entry.owner <= after);
            (second_round, entry.owner, entry.run_at, entry.ticket)
        };
        let ticket = self
            .waiting(stage, now)
            .filter(|entry| entry.priority == class)
            .min_by_key(|entry| key(entry))?
            .ticket;
        self.rows
            .iter()
            .position(|entry| entry.ticket == ticket && entry.stage == stage)
    }

    fn note_turn(&mut self, stage: Stage, priority: i32, owner: u8, served_at: Millis) {
        let turn = Turn {
            stage,
            priority,
            owner,
            served_at,
        };
        match self.turn(stage, priority) {
            Some(index) => self.turns[index] = turn,
            None => self.turns.push(turn),
        }
    }
}

impl Database {
    /// apalis' fetch: which entry of a stage is next.
    pub(crate) fn choose(&self, stage: Stage) -> Option<usize> {
        let now = self.now;
        if self.flaw == Flaw::NoPriority {
            let first = self.entries.waiting(stage, now).next()?.ticket;
            let is_it = |entry: &Entry| entry.ticket == first;
            return self.entries.rows.iter().position(is_it);
        }
        let class = self.entries.next_class(stage, now)?;
        self.entries.next_in_class(stage, class, now)
    }

    /// It goes to `holder`.
    pub(crate) fn hand_out(&mut self, index: usize, holder: Holder) -> Entry {
        let now = self.now;
        let entry = &mut self.entries.rows[index];
        entry.status = Status::Held(holder);
        let entry = entry.clone();
        self.entries
            .note_turn(entry.stage, entry.priority, entry.owner, now);
        entry
    }

    /// Every heartbeat of an apalis worker looks for the entries of silent ones.
    pub(crate) fn apalis_sweep(&mut self, last_seen: impl Fn(Holder) -> Millis) {
        let now = self.now;
        self.entries
            .sweep(|holder| last_seen(holder) + SWEPT_AFTER <= now);
    }
}
