//! The database of the simulation: what each verb of the store and each statement of apalis does to the rows, without SQL.
//!
//! States change by [`quire_store::transition`], budgets are spent by [`quire_store::rules`]: the code that is shipped. The rest is
//! the pure form of the statements, and `replay` compares it with them. A [`Flaw`] breaks one rule on purpose, to show that the
//! checks would find out.

use std::collections::BTreeMap;

use quire_store::{
    JobState, Stage,
    rules::{self, Cause, Cost},
    transition::{Transition, next},
};

use crate::{
    entries::Entries,
    row::{Effect, Fence, Job, JobNo, Kind, Millis, Ticket, Why, Worker},
};

/// Silence beyond which a worker counts as frozen.
pub(crate) const FROZEN_AFTER: Millis = 4_000;
/// An attempt without a lease is given back after this.
pub(crate) const UNCLAIMED_AFTER: Millis = 10_000;
/// An attempt is ended from outside this long after its deadline.
pub(crate) const OVERDUE_AFTER: Millis = 5_000;
/// A queued job may be without an entry for so long.
const STRANDED_AFTER: Millis = 30_000;
/// After a restart of the server, workers from before get this long to come back.
pub(crate) const RETURN_WITHIN: Millis = 2_000;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Flaw {
    #[default]
    None,
    /// Writes do not ask for the fence.
    NoFence,
    /// Claims do not ask for the ticket.
    AnyTicket,
    /// A retry of a failed try does not wait.
    NoPause,
    /// Deaths of workers are not counted.
    NoCrashBudget,
    /// A change of owner keeps the epoch.
    SameEpoch,
    /// Nobody looks after jobs whose entry is gone.
    NoRepair,
    /// Nobody looks for dead workers.
    NoReaper,
    /// Nobody gives back attempts that have no lease.
    NoReconcile,
    /// Jobs enter the queue before their time.
    EarlyPromotion,
    /// The queue forgets priorities.
    NoPriority,
    /// A failed end says nothing.
    SilentEnd,
}

/// A row of `quire.workers`, with the session that holds its lock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WorkerRow {
    pub(crate) seen_at: Millis,
    pub(crate) has_session: bool,
}

/// The rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Database {
    pub(crate) flaw: Flaw,
    pub(crate) now: Millis,
    /// When the server last started.
    pub(crate) began: Millis,
    pub(crate) jobs: Vec<Job>,
    pub(crate) workers: BTreeMap<Worker, WorkerRow>,
    pub(crate) entries: Entries,
    /// What the steps since the last look did.
    pub(crate) effects: Vec<(JobNo, Effect)>,
    /// Running time that one run of a job may take.
    pub(crate) job_deadline: Millis,
    tickets: u32,
    fences: u32,
}

/// A new job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct New {
    pub(crate) owner: u8,
    pub(crate) priority: i32,
    /// Not before then.
    pub(crate) scheduled_at: Option<Millis>,
}

impl Database {
    pub(crate) fn new(flaw: Flaw, job_deadline: Millis) -> Self {
        Self {
            flaw,
            job_deadline,
            ..Self::default()
        }
    }

    // ---- clients

    pub(crate) fn create(&mut self, new: New) -> JobNo {
        let job = self.jobs.len();
        let due_at = new.scheduled_at.filter(|at| *at > self.now);
        self.jobs.push(Job {
            state: JobState::Scheduled,
            stage: Stage::Extract,
            owner: new.owner,
            priority: new.priority,
            epoch: 0,
            run: 0,
            ticket: None,
            attempt_id: None,
            worker: None,
            claimed_at: 0,
            ran: 0,
            deadline_at: 0,
            attempt: 0,
            spent: rules::Spent::default(),
            interrupted: false,
            crashed: None,
            due_at,
            queued_at: 0,
            error: None,
        });
        if due_at.is_none() {
            self.enqueue(job);
        }
        self.tell(job, Kind::Queued);
        job
    }

    pub(crate) fn cancel(&mut self, job: JobNo) -> bool {
        let row = &self.jobs[job];
        let (ticket, stage) = (row.ticket, row.stage);
        if !self.step(job, Transition::Cancel) {
            return false;
        }
        if let Some(ticket) = ticket {
            self.entries.withdraw(stage, ticket);
        }
        self.jobs[job].due_at = None;
        self.disown(job, Why::Cancelled);
        self.tell(job, Kind::Cancelled);
        true
    }

    pub(crate) fn retry(&mut self, job: JobNo) -> bool {
        if !self.step(job, Transition::Retry) {
            return false;
        }
        let row = &mut self.jobs[job];
        row.stage = Stage::Extract;
        row.run += 1;
        row.attempt = 0;
        row.spent = rules::Spent::default();
        row.ran = 0;
        (row.crashed, row.interrupted, row.error) = (None, false, None);
        self.new_epoch(job);
        self.enqueue(job);
        self.tell(job, Kind::Queued);
        true
    }

    // ---- attempts

    /// `None`: the ticket is worth nothing.
    pub(crate) fn claim(&mut self, job: JobNo, ticket: Ticket, worker: Worker) -> Option<Fence> {
        let row = &self.jobs[job];
        let good = row.ticket == Some(ticket)
            || (self.flaw == Flaw::AnyTicket && row.state == JobState::Queued);
        if !good || !self.workers.contains_key(&worker) || !self.step(job, Transition::Claim) {
            return None;
        }
        self.fences += 1;
        let (fence, now, deadline) = (Fence(self.fences), self.now, self.job_deadline);
        let row = &mut self.jobs[job];
        let interrupted = row.interrupted;
        row.ticket = None;
        (row.attempt_id, row.worker, row.claimed_at) = (Some(fence), Some(worker), now);
        row.deadline_at = (now + deadline).saturating_sub(row.ran);
        row.attempt += 1;
        row.interrupted = false;
        self.new_epoch(job);
        self.effects.push((job, Effect::Granted { fence, ticket }));
        if interrupted {
            self.tell(job, Kind::Restarted);
        }
        Some(fence)
    }

    pub(crate) fn stream(&mut self, job: JobNo, fence: Fence) -> bool {
        if !self.owns(job, fence) || !self.step(job, Transition::Stream) {
            return false;
        }
        self.effects.push((job, Effect::Wrote { by: fence }));
        true
    }

    /// Puts a job into a run that has a past.
    pub(crate) fn has_spent(&mut self, job: JobNo, spent: rules::Spent) {
        self.jobs[job].spent = spent;
    }

    pub(crate) fn finish_extract(&mut self, job: JobNo, fence: Fence) -> bool {
        let extracting = self.jobs[job].stage == Stage::Extract;
        if !extracting || !self.ends(job, fence, Transition::NextStage) {
            return false;
        }
        self.leave(job, Why::Done);
        let row = &mut self.jobs[job];
        row.stage = Stage::Answer;
        row.attempt = 0;
        row.interrupted = false;
        self.push_entry(job);
        self.tell(job, Kind::Progress);
        true
    }

    pub(crate) fn complete(&mut self, job: JobNo, fence: Fence) -> bool {
        if !self.ends(job, fence, Transition::Complete) {
            return false;
        }
        self.disown(job, Why::Done);
        self.jobs[job].error = None;
        self.tell(job, Kind::Completed);
        true
    }

    pub(crate) fn fail(&mut self, job: JobNo, fence: Fence, code: &'static str) -> bool {
        if !self.ends(job, fence, Transition::Fail) {
            return false;
        }
        self.end_badly(job, code, Why::Failed, (0, 1));
        true
    }

    pub(crate) fn retry_later(
        &mut self,
        job: JobNo,
        fence: Fence,
        code: &'static str,
        jitter: f64,
    ) -> bool {
        let Some(pause) = rules::pause_after_failure(self.jobs[job].spent, jitter) else {
            let given_up = self.ends(job, fence, Transition::GiveUp);
            if given_up {
                self.end_badly(job, code, Why::Failed, (0, 1));
            }
            return given_up;
        };
        if !self.ends(job, fence, Transition::RetryLater) {
            return false;
        }
        self.leave(job, Why::Failed);
        let wait = match self.flaw {
            Flaw::NoPause => 0,
            _ => pause.as_millis() as Millis,
        };
        let due_at = self.now + wait;
        let row = &mut self.jobs[job];
        row.spent.failures += 1;
        row.interrupted = true;
        (row.due_at, row.error) = (Some(due_at), Some(code));
        true
    }

    pub(crate) fn snooze(
        &mut self,
        job: JobNo,
        fence: Fence,
        delay: Millis,
        code: &'static str,
        jitter: f64,
    ) -> bool {
        if !rules::may_snooze(self.jobs[job].spent) {
            return self.retry_later(job, fence, code, jitter);
        }
        let streaming = self.jobs[job].state == JobState::Streaming;
        if !self.ends(job, fence, Transition::RetryLater) {
            return false;
        }
        self.leave(job, Why::Free);
        let due_at = self.now + delay;
        let row = &mut self.jobs[job];
        row.spent.snoozes += 1;
        row.attempt -= 1;
        row.interrupted |= streaming;
        (row.due_at, row.error) = (Some(due_at), Some(code));
        true
    }

    pub(crate) fn release(&mut self, job: JobNo, fence: Fence) -> bool {
        if !self.ends(job, fence, Transition::Requeue) {
            return false;
        }
        self.put_back(job, rules::cost(Cause::Shutdown), Cause::Shutdown, fence);
        true
    }

    // ---- time

    /// Queues what is due.
    pub(crate) fn promote_due(&mut self) {
        let early = if self.flaw == Flaw::EarlyPromotion {
            1_500
        } else {
            0
        };
        for job in 0..self.jobs.len() {
            let due = self.jobs[job].due_at;
            if due.is_some_and(|at| at <= self.now + early) && self.step(job, Transition::Promote) {
                self.jobs[job].due_at = None;
                self.new_epoch(job);
                self.enqueue(job);
                self.tell(job, Kind::Queued);
            }
        }
    }

    /// Gives queued jobs without a live entry a new one.
    pub(crate) fn repair(&mut self) {
        if self.flaw == Flaw::NoRepair {
            return;
        }
        for job in 0..self.jobs.len() {
            let row = &self.jobs[job];
            let Some(ticket) = row.ticket else { continue };
            if row.queued_at + STRANDED_AFTER < self.now && !self.entries.is_live(row.stage, ticket)
            {
                self.push_entry(job);
            }
        }
    }

    // ---- parts

    /// Asks the shipped function for the next state.
    pub(crate) fn step(&mut self, job: JobNo, transition: Transition) -> bool {
        let Ok(state) = next(self.jobs[job].state, transition) else {
            return false;
        };
        self.jobs[job].state = state;
        true
    }

    fn owns(&self, job: JobNo, fence: Fence) -> bool {
        self.jobs[job].attempt_id == Some(fence) || self.flaw == Flaw::NoFence
    }

    /// An attempt ends itself, if it owns the job.
    fn ends(&mut self, job: JobNo, fence: Fence, by: Transition) -> bool {
        if !self.owns(job, fence) || !self.step(job, by) {
            return false;
        }
        self.effects.push((job, Effect::Wrote { by: fence }));
        true
    }

    pub(crate) fn end_badly(&mut self, job: JobNo, code: &'static str, why: Why, cost: (i32, i32)) {
        self.disown(job, why);
        let row = &mut self.jobs[job];
        row.spent.crashes += cost.0;
        row.spent.failures += cost.1;
        row.error = Some(code);
        if self.flaw != Flaw::SilentEnd {
            self.tell(job, Kind::Failed);
        }
    }

    pub(crate) fn put_back(&mut self, job: JobNo, cost: Cost, cause: Cause, fence: Fence) {
        let why = match cause {
            Cause::CrashInCompany if self.jobs[job].spent.crashes > 0 => Why::Stalled,
            Cause::Crash | Cause::CrashInCompany => Why::Crashed,
            Cause::Stall | Cause::Deadline => Why::Stalled,
            Cause::Shutdown => Why::Free,
        };
        let counted = self.flaw != Flaw::NoCrashBudget;
        self.leave(job, why);
        let row = &mut self.jobs[job];
        row.interrupted = true;
        row.spent.crashes += if counted { cost.crashes } else { 0 };
        row.spent.failures += cost.failures;
        row.attempt += cost.attempts;
        if cost.crashes > 0 {
            row.crashed = Some(fence);
        }
        self.push_entry(job);
    }

    /// An ownership ends and its running time is counted.
    fn leave(&mut self, job: JobNo, why: Why) {
        let now = self.now;
        let row = &mut self.jobs[job];
        row.ran += now - row.claimed_at;
        self.disown(job, why);
    }

    fn disown(&mut self, job: JobNo, why: Why) {
        let row = &mut self.jobs[job];
        let owned = row.attempt_id.take().is_some();
        (row.worker, row.ticket) = (None, None);
        self.new_epoch(job);
        if owned {
            self.effects.push((job, Effect::Lost(why)));
        }
    }

    fn new_epoch(&mut self, job: JobNo) {
        if self.flaw != Flaw::SameEpoch {
            self.jobs[job].epoch += 1;
        }
    }

    /// A new place at the end of the queue.
    fn enqueue(&mut self, job: JobNo) {
        let row = &mut self.jobs[job];
        row.state = JobState::Queued;
        row.queued_at = self.now / 1_000 * 1_000;
        self.push_entry(job);
    }

    /// A new ticket for the job's place.
    fn push_entry(&mut self, job: JobNo) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let row = &mut self.jobs[job];
        row.ticket = Some(ticket);
        self.entries.push(job, ticket, row);
        self.effects.push((job, Effect::Ticketed(ticket)));
    }

    fn tell(&mut self, job: JobNo, kind: Kind) {
        let row = &self.jobs[job];
        let (seq, run) = (u64::from(row.epoch), row.run);
        self.effects.push((job, Effect::Told { kind, seq, run }));
    }
}
