//! Every order of events of a small world: two workers, two jobs, a crash anywhere.
//!
//! Breadth first over the rules, states met before are not entered again, so a broken promise comes with the shortest way to it.
//! More is allowed here than can happen: every ticket that was ever drawn may be claimed at any time (apalis repeats, loses and
//! delays entries as it likes), every attempt that ever was may write at any time (messages are late), and any worker may be taken
//! for dead or frozen at any time. Time itself is left out: what is due is due whenever it suits.

use std::collections::{HashSet, VecDeque};

use quire_store::{MAX_FAILURES, MAX_SNOOZES, Stage, rules::Cause};

use crate::{
    database::{Database, Flaw, New},
    row::{Fence, Job, JobNo, Ticket, Worker},
    witness::{Broken, Witness},
};

/// How much is left of a job's tries at the start, so that "everything" comes to an end: longer rows of them are the same.
#[derive(Clone, Copy)]
struct Scope {
    jobs: usize,
    failures: i32,
}

/// One job with all its tries.
const ALONE: Scope = Scope {
    jobs: 1,
    failures: 0,
};
/// Two jobs, joined by the fate of their workers.
const TOGETHER: Scope = Scope {
    jobs: 2,
    failures: MAX_FAILURES - 1,
};
const WORKERS: [Worker; 2] = [Worker(1), Worker(2)];

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Register(Worker),
    /// kill -9, or the session is lost: for the database it is the same.
    SessionEnds(Worker),
    /// The worker was not dead: it comes back and finds what it lost.
    Beat(Worker),
    Bury(Worker),
    Suspect(Worker),
    SignOff(Worker),
    Claim(Worker, JobNo, Ticket),
    Write(JobNo, Fence, Verb),
    /// The reply to the claim was lost.
    GiveBack(JobNo),
    Overdue(JobNo),
    Promote(JobNo),
    Cancel(JobNo),
}

/// What an attempt may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Stream,
    Finish,
    Fail,
    Retry,
    Snooze,
    Release,
}

const VERBS: [Verb; 6] = [
    Verb::Stream,
    Verb::Finish,
    Verb::Fail,
    Verb::Retry,
    Verb::Snooze,
    Verb::Release,
];

/// The database and what may still come out of the past.
#[derive(Clone)]
struct State {
    scope: Scope,
    db: Database,
    witness: Witness,
    /// Of each job: the latest attempt and ticket that are not worth anything any more. Older ones are no different.
    past: Vec<(Option<Fence>, Option<Ticket>)>,
}

/// A state without its numbers: those of tickets, fences and epochs grow for ever and mean nothing but "the present one".
#[derive(Hash, PartialEq, Eq)]
struct Key(Vec<JobKey>, Vec<Option<bool>>);

#[derive(Hash, PartialEq, Eq, PartialOrd, Ord)]
struct JobKey {
    state: JobStateKey,
    owner: Option<Worker>,
    spent: (i32, i32, i32),
    interrupted: bool,
    refundable: bool,
    past: (bool, bool),
}

/// The word of the state, and whether it is in the second stage.
type JobStateKey = (&'static str, bool);

impl State {
    fn start(scope: Scope, flaw: Flaw) -> Self {
        let mut db = Database::new(flaw, 60_000);
        db.now = 1_001;
        for worker in WORKERS {
            db.register(worker);
        }
        let mut witness = Witness::default();
        for job in 0..scope.jobs {
            db.create(New {
                owner: 0,
                priority: 0,
                scheduled_at: None,
            });
            let spent = &mut db.jobs[job].spent;
            (spent.failures, spent.snoozes) = (scope.failures, MAX_SNOOZES - 1);
            witness.has_failed(job, scope.failures);
        }
        witness
            .look(&mut db)
            .expect("nothing has happened that could break a promise");
        Self {
            scope,
            db,
            witness,
            past: vec![(None, None); scope.jobs],
        }
    }

    fn key(&self) -> Key {
        let mut jobs: Vec<JobKey> = (0..self.scope.jobs).map(|job| self.job_key(job)).collect();
        // The jobs are alike.
        jobs.sort();
        let worker = |name| self.db.workers.get(&name).map(|row| row.has_session);
        Key(jobs, WORKERS.map(worker).to_vec())
    }

    fn job_key(&self, job: JobNo) -> JobKey {
        let row = &self.db.jobs[job];
        let (fence, ticket) = self.past[job];
        let over = row.state.is_terminal();
        let spent = (row.spent.crashes, row.spent.failures, row.spent.snoozes);
        JobKey {
            state: (row.state.as_str(), row.stage == Stage::Answer && !over),
            owner: row.worker,
            // A job that has ended is like any other, but for how far its past reaches.
            spent: if over { (0, 0, 0) } else { spent },
            interrupted: row.interrupted && !over,
            refundable: row.crashed.is_some() && row.crashed == fence && !over,
            past: (fence.is_some(), ticket.is_some()),
        }
    }

    /// Everything that could happen next.
    fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for worker in WORKERS {
            match self.db.workers.get(&worker) {
                None => actions.push(Action::Register(worker)),
                Some(_) => actions.extend([
                    Action::SessionEnds(worker),
                    Action::Bury(worker),
                    Action::Suspect(worker),
                    Action::SignOff(worker),
                ]),
            }
            actions.push(Action::Beat(worker));
        }
        for (job, row) in self.db.jobs.iter().enumerate() {
            actions.extend([
                Action::GiveBack(job),
                Action::Overdue(job),
                Action::Promote(job),
                Action::Cancel(job),
            ]);
            let (fence, ticket) = self.past[job];
            for ticket in [row.ticket, ticket].into_iter().flatten() {
                actions.extend(WORKERS.map(|worker| Action::Claim(worker, job, ticket)));
            }
            for fence in [row.attempt_id, fence].into_iter().flatten() {
                let writes = VERBS.iter();
                actions.extend(writes.map(|verb| Action::Write(job, fence, *verb)));
            }
        }
        actions
    }

    fn after(&self, action: Action) -> Result<Self, Broken> {
        let mut next = self.clone();
        let before: Vec<_> = self.db.jobs.iter().map(past).collect();
        next.act(action);
        for (job, (fence, ticket)) in before.into_iter().enumerate() {
            let row = &next.db.jobs[job];
            if fence.is_some() && row.attempt_id != fence {
                next.past[job].0 = fence;
            }
            if ticket.is_some() && row.ticket != ticket {
                next.past[job].1 = ticket;
            }
        }
        next.db.entries.rows.clear();
        next.witness.look(&mut next.db)?;
        Ok(next)
    }

    fn act(&mut self, action: Action) {
        let db = &mut self.db;
        match action {
            Action::Register(worker) => db.register(worker),
            Action::SessionEnds(worker) => db.session_ends(worker),
            Action::Beat(worker) => {
                db.beat(worker);
                for job in 0..self.scope.jobs {
                    if let (Some(fence), _) = self.past[job] {
                        db.refund(&[(job, fence)]);
                    }
                }
            }
            Action::Bury(worker) => {
                db.bury(worker);
            }
            Action::Suspect(worker) => db.take_from(worker, Cause::Stall),
            Action::SignOff(worker) => db.sign_off(worker),
            Action::Claim(worker, job, ticket) => {
                db.claim(job, ticket, worker);
            }
            Action::Write(job, fence, verb) => write(db, job, fence, verb),
            Action::GiveBack(job) => take(db, job, Cause::Stall),
            Action::Overdue(job) => take(db, job, Cause::Deadline),
            Action::Promote(job) => {
                if db.jobs[job].due_at.is_some() {
                    let now = db.now;
                    db.jobs[job].due_at = Some(now);
                    self.witness.time_has_come(job);
                    db.promote_due();
                }
            }
            Action::Cancel(job) => {
                db.cancel(job);
            }
        }
    }

    /// Without further faults both jobs end.
    fn ends_when_left_alone(&self) -> Result<(), Broken> {
        let mut state = self.clone();
        for worker in WORKERS {
            let row = state.db.workers.get(&worker);
            let look = if row.is_some_and(|row| row.has_session) {
                Action::Suspect(worker)
            } else {
                Action::Bury(worker)
            };
            state = state.after(look)?;
        }
        state = state.after(Action::Beat(WORKERS[0]))?;
        for _ in 0..4 {
            for job in 0..self.scope.jobs {
                state = state.after(Action::Promote(job))?;
                if let Some(ticket) = state.db.jobs[job].ticket {
                    state = state.after(Action::Claim(WORKERS[0], job, ticket))?;
                }
                let row = &state.db.jobs[job];
                if let (Some(fence), Some(owner)) = (row.attempt_id, row.worker)
                    && owner == WORKERS[0]
                {
                    state = state.after(Action::Write(job, fence, Verb::Finish))?;
                }
            }
        }
        match state
            .db
            .jobs
            .iter()
            .position(|job| !job.state.is_terminal())
        {
            Some(job) => Err(format!("job {job} cannot end: {:?}", state.db.jobs[job])),
            None => Ok(()),
        }
    }
}

fn past(job: &Job) -> (Option<Fence>, Option<Ticket>) {
    (job.attempt_id, job.ticket)
}

fn take(db: &mut Database, job: JobNo, cause: Cause) {
    if let Some(fence) = db.jobs[job].attempt_id {
        db.take_one(job, fence, cause);
    }
}

fn write(db: &mut Database, job: JobNo, fence: Fence, verb: Verb) {
    match verb {
        Verb::Stream => db.stream(job, fence),
        Verb::Finish if db.jobs[job].stage == Stage::Extract => db.finish_extract(job, fence),
        Verb::Finish => db.complete(job, fence),
        Verb::Fail => db.fail(job, fence, "failed"),
        Verb::Retry => db.retry_later(job, fence, "again", 1.0),
        Verb::Snooze => db.snooze(job, fence, 3_000, "wait", 1.0),
        Verb::Release => db.release(job, fence),
    };
}

/// Enters every state; how many there are, or the shortest way to a broken promise.
fn explore(scope: Scope, flaw: Flaw) -> Result<usize, String> {
    let start = State::start(scope, flaw);
    let mut known = HashSet::from([start.key()]);
    let mut came_from: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut open = VecDeque::from([(0, start)]);
    while let Some((place, state)) = open.pop_front() {
        state
            .ends_when_left_alone()
            .map_err(|what| way(&came_from, place, None, &what))?;
        for action in state.actions() {
            let next = state
                .after(action)
                .map_err(|what| way(&came_from, place, Some(action), &what))?;
            if known.insert(next.key()) {
                came_from.push((place, Some(action)));
                open.push_back((came_from.len() - 1, next));
            }
        }
    }
    Ok(known.len())
}

fn way(
    came_from: &[(usize, Option<Action>)],
    mut place: usize,
    last: Option<Action>,
    what: &str,
) -> String {
    let mut actions: Vec<Action> = last.into_iter().collect();
    while let (before, Some(action)) = came_from[place] {
        actions.push(action);
        place = before;
    }
    actions.reverse();
    let actions: Vec<String> = actions
        .iter()
        .map(|action| format!("  {action:?}"))
        .collect();
    format!("{what}, after\n{}", actions.join("\n"))
}

#[test]
fn every_order_of_events_keeps_every_promise() {
    for scope in [ALONE, TOGETHER] {
        let states = explore(scope, Flaw::None).unwrap_or_else(|way| panic!("{way}"));
        println!("{} jobs: {states} states", scope.jobs);
        assert!(states > 1_000, "{states} states are not all");
    }
}

#[test]
fn a_broken_rule_shows_in_some_order() {
    for flaw in [
        Flaw::NoFence,
        Flaw::AnyTicket,
        Flaw::NoCrashBudget,
        Flaw::SameEpoch,
        Flaw::NoReaper,
        Flaw::SilentEnd,
    ] {
        match explore(ALONE, flaw) {
            Ok(states) => panic!("{flaw:?} goes unnoticed in {states} states"),
            Err(way) => println!("{flaw:?}: {way}\n"),
        }
    }
}
