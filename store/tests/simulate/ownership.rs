//! Workers in the database, and how jobs are taken from them.

use quire_store::{
    JobState,
    rules::{self, Cause, Verdict},
    transition::Transition,
};

use crate::{
    database::{Database, Flaw, OVERDUE_AFTER, RETURN_WITHIN, WorkerRow},
    row::{Effect, Fence, JobNo, Why, Worker},
};

impl Database {
    pub(crate) fn register(&mut self, worker: Worker) {
        let row = WorkerRow {
            seen_at: self.now,
            has_session: true,
        };
        self.workers.insert(worker, row);
    }

    /// The heartbeat; takes the lock again if its session was lost.
    pub(crate) fn beat(&mut self, worker: Worker) {
        self.register(worker);
    }

    /// The session of the worker ends, and with it its lock.
    pub(crate) fn session_ends(&mut self, worker: Worker) {
        if let Some(row) = self.workers.get_mut(&worker) {
            row.has_session = false;
        }
    }

    /// A reaper looks at a worker without a session. Whether it was buried.
    pub(crate) fn bury(&mut self, worker: Worker) -> bool {
        let Some(row) = self.workers.get(&worker) else {
            return false;
        };
        let may_return = row.seen_at < self.began && self.began + RETURN_WITHIN > self.now;
        if row.has_session || may_return || self.flaw == Flaw::NoReaper {
            return false;
        }
        self.take_from(worker, Cause::Crash);
        self.workers.remove(&worker);
        true
    }

    /// Takes every job of the worker and every entry in its hands.
    pub(crate) fn take_from(&mut self, worker: Worker, cause: Cause) {
        let all = self.owned_by(worker);
        let cause = match cause {
            Cause::Crash if all.len() > 1 => Cause::CrashInCompany,
            cause => cause,
        };
        for job in all {
            if let Some(fence) = self.jobs[job].attempt_id {
                self.take_one(job, fence, cause);
            }
        }
        self.entries.free(worker);
    }

    /// Takes one job, if that attempt still owns it.
    pub(crate) fn take_one(&mut self, job: JobNo, fence: Fence, cause: Cause) {
        if self.jobs[job].attempt_id != Some(fence) {
            return;
        }
        let why = match cause {
            Cause::CrashInCompany if self.jobs[job].spent.crashes > 0 => Why::Stalled,
            Cause::Crash | Cause::CrashInCompany => Why::Crashed,
            Cause::Stall | Cause::Deadline => Why::Stalled,
            Cause::Shutdown => Why::Free,
        };
        match rules::lose(self.jobs[job].spent, cause) {
            Verdict::End { state, error, cost } => {
                let end = if state == JobState::Dead {
                    Transition::GiveUp
                } else {
                    Transition::Fail
                };
                if self.step(job, end) {
                    self.end_badly(job, error.0, why, (cost.crashes, cost.failures));
                }
            }
            Verdict::Again(cost) => {
                if self.step(job, Transition::Requeue) {
                    self.put_back(job, cost, cause, fence);
                }
            }
        }
    }

    /// The worker signs off.
    pub(crate) fn sign_off(&mut self, worker: Worker) {
        self.take_from(worker, Cause::Shutdown);
        self.workers.remove(&worker);
    }

    /// Ends what has run for too long.
    pub(crate) fn end_overdue(&mut self) {
        for job in 0..self.jobs.len() {
            let row = &self.jobs[job];
            if let Some(fence) = row.attempt_id
                && row.deadline_at + OVERDUE_AFTER < self.now
            {
                self.take_one(job, fence, Cause::Deadline);
            }
        }
    }

    /// Takes back what a living worker's attempts were charged for its death.
    pub(crate) fn refund(&mut self, lost: &[(JobNo, Fence)]) {
        for (job, fence) in lost {
            let row = &mut self.jobs[*job];
            if row.crashed == Some(*fence) && row.spent.crashes > 0 && !row.state.is_terminal() {
                row.spent.crashes -= 1;
                row.crashed = None;
                self.effects.push((*job, Effect::Refunded));
            }
        }
    }

    /// The attempts of a worker that the database knows.
    pub(crate) fn owned_by(&self, worker: Worker) -> Vec<JobNo> {
        let owned = |job: &JobNo| self.jobs[*job].worker == Some(worker);
        (0..self.jobs.len()).filter(owned).collect()
    }
}
