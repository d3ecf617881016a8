//! The same lives on the rules and on Postgres: random operations, and after each of them every job's row, its events and the
//! queue's entries must be what the rules say.
//!
//! A life is a row of random numbers, each read as an operation on what is there at the time; so any part of a life is a life,
//! and a failing one is made shorter by leaving numbers out. Time is not compared, except that a pause must have its length.

use std::collections::HashMap;

use quire_store::{
    MAX_FAILURES, MAX_SNOOZES, Stage,
    rules::{Cause, Spent},
    testing::TestDb,
};

use crate::{
    database::{Database, Flaw, New},
    plan::Dice,
    real::Real,
    row::{Effect, Fence, JobNo, Kind, Ticket, Worker},
};

/// Lives of an ordinary run, and operations of each.
const LIVES: u64 = 12;
const OPERATIONS: usize = 45;
/// Jobs of one life.
const JOBS: usize = 3;
/// Shorter lives tried after a failure.
const SHORTER: usize = 100;

/// What an attempt tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Stream,
    FinishExtract,
    Complete,
    Fail,
    RetryLater,
    Snooze,
    Release,
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Create(New, Spent),
    Claim(JobNo, Ticket, Worker),
    Write(JobNo, Fence, Verb),
    Cancel(JobNo),
    Retry(JobNo),
    /// Its time has come.
    Promote(JobNo),
    /// apalis hands an entry out.
    Fetch(Stage, Worker),
    /// The entry of a waiting job is lost, and found missing long after.
    LoseEntry(JobNo),
    Register(Worker),
    Kill(Worker),
    Freeze(Worker),
    SignOff(Worker),
    Pause(Stage),
    GoOn(Stage),
}

/// The rules, and what the life has seen of them.
pub(crate) struct Rules {
    pub(crate) db: Database,
    fences: Vec<(JobNo, Fence)>,
    tickets: Vec<(JobNo, Ticket)>,
    workers: Vec<Worker>,
    names: u32,
    /// What each job's subscribers were told.
    pub(crate) told: HashMap<JobNo, Vec<Kind>>,
}

impl Rules {
    fn new(owner_slots: usize, flaw: Flaw) -> Self {
        let mut db = Database::new(flaw, 3_600_000);
        db.entries.owner_slots = owner_slots;
        Self {
            db,
            fences: Vec::new(),
            tickets: Vec::new(),
            workers: Vec::new(),
            names: 0,
            told: HashMap::new(),
        }
    }

    /// Reads a number as an operation; `None`: there is nothing to do it to.
    fn read(&self, number: u64) -> Option<Operation> {
        let mut dice = Dice::new(number);
        let jobs = self.db.jobs.len() as u64;
        if self.workers.len() < 2 {
            return Some(Operation::Register(Worker(self.names + 1)));
        }
        if jobs == 0 || (jobs < JOBS as u64 && dice.one_in(4)) {
            return Some(create(&mut dice));
        }
        let job = dice.below(jobs) as usize;
        let worker = self.workers[dice.below(self.workers.len() as u64) as usize];
        let stage = [Stage::Extract, Stage::Answer][dice.below(2) as usize];
        Some(match dice.below(34) {
            0..=7 => {
                let ticket = self.db.jobs[job].ticket?;
                Operation::Claim(job, ticket, worker)
            }
            8..=9 => {
                let (job, ticket) = pick(&self.tickets, &mut dice)?;
                Operation::Claim(job, ticket, worker)
            }
            10..=18 => {
                let fence = self.db.jobs[job].attempt_id?;
                self.write(job, fence, &mut dice)?
            }
            19..=20 => {
                let (job, fence) = pick(&self.fences, &mut dice)?;
                self.write(job, fence, &mut dice)?
            }
            21 => Operation::Cancel(job),
            22..=23 => Operation::Retry(job),
            24..=25 if self.db.jobs[job].due_at.is_some() => Operation::Promote(job),
            26..=27 => Operation::Fetch(stage, worker),
            28 if self.db.jobs[job].ticket.is_some() => Operation::LoseEntry(job),
            29..=30 => Operation::Kill(worker),
            // Slow: two looks, some time apart. Only where there is something to take.
            31 if is_raw(worker) && !self.db.owned_by(worker).is_empty() => {
                Operation::Freeze(worker)
            }
            32 if !is_raw(worker) => Operation::SignOff(worker),
            33 if self.db.entries.paused.contains(&stage) => Operation::GoOn(stage),
            33 => Operation::Pause(stage),
            _ => return None,
        })
    }

    fn write(&self, job: JobNo, fence: Fence, dice: &mut Dice) -> Option<Operation> {
        let verb = match dice.below(12) {
            0..=1 => Verb::Stream,
            2..=4 => Verb::FinishExtract,
            5..=6 => Verb::Complete,
            7 => Verb::Fail,
            8..=9 => Verb::RetryLater,
            10 => Verb::Snooze,
            _ => Verb::Release,
        };
        // The wrong verb for the stage is a mistake of the program, not of the world.
        let wrong = verb == Verb::FinishExtract && self.db.jobs[job].stage == Stage::Answer;
        (!wrong).then_some(Operation::Write(job, fence, verb))
    }

    /// Does it. What a verb that may be refused says.
    pub(crate) fn act(&mut self, operation: Operation) -> Option<bool> {
        let db = &mut self.db;
        let mut said = None;
        match operation {
            Operation::Create(new, spent) => {
                let job = db.create(new);
                db.has_spent(job, spent);
            }
            Operation::Claim(job, ticket, worker) => {
                let fence = db.claim(job, ticket, worker);
                self.fences.extend(fence.map(|fence| (job, fence)));
                said = Some(fence.is_some());
            }
            Operation::Write(job, fence, verb) => said = Some(write(db, job, fence, verb)),
            Operation::Cancel(job) => said = Some(db.cancel(job)),
            Operation::Retry(job) => said = Some(db.retry(job)),
            Operation::Promote(job) => {
                let now = db.now;
                db.jobs[job].due_at = Some(now);
                db.promote_due();
            }
            // Compared by the one who fetches.
            Operation::Fetch(..) => {}
            Operation::LoseEntry(job) => {
                if let Some(ticket) = db.jobs[job].ticket {
                    db.entries.rows.retain(|entry| entry.ticket != ticket);
                }
                db.jobs[job].queued_at = 0;
                db.repair();
            }
            Operation::Register(worker) => {
                db.register(worker);
                self.workers.push(worker);
                self.names = worker.0;
            }
            Operation::Kill(worker) => {
                db.session_ends(worker);
                db.bury(worker);
                self.workers.retain(|known| *known != worker);
            }
            Operation::Freeze(worker) => db.take_from(worker, Cause::Stall),
            Operation::SignOff(worker) => {
                db.sign_off(worker);
                self.workers.retain(|known| *known != worker);
            }
            Operation::Pause(stage) => db.entries.paused.push(stage),
            Operation::GoOn(stage) => db.entries.paused.retain(|paused| *paused != stage),
        }
        self.take_note();
        said
    }

    fn take_note(&mut self) {
        for (job, effect) in std::mem::take(&mut self.db.effects) {
            match effect {
                Effect::Told { kind, .. } => self.told.entry(job).or_default().push(kind),
                Effect::Ticketed(ticket) => self.tickets.push((job, ticket)),
                _ => {}
            }
        }
    }

    /// A written part of the answer is an event too.
    pub(crate) fn told_chunk(&mut self, job: JobNo) {
        self.told.entry(job).or_default().push(Kind::Chunk);
    }
}

/// Every other worker is only a row and a session, so that it can freeze; the rest are whole.
pub(crate) const fn is_raw(worker: Worker) -> bool {
    worker.0.is_multiple_of(2)
}

fn create(dice: &mut Dice) -> Operation {
    let new = New {
        owner: dice.below(2) as u8,
        priority: dice.below(2) as i32,
        scheduled_at: dice.one_in(4).then_some(u64::MAX / 2),
    };
    let spent = Spent {
        crashes: dice.below(2) as i32,
        failures: dice.below(MAX_FAILURES.unsigned_abs().into()) as i32,
        snoozes: if dice.one_in(2) { MAX_SNOOZES - 1 } else { 0 },
    };
    Operation::Create(new, spent)
}

fn pick<T: Copy>(from: &[T], dice: &mut Dice) -> Option<T> {
    from.get(dice.below(from.len() as u64) as usize).copied()
}

fn write(db: &mut Database, job: JobNo, fence: Fence, verb: Verb) -> bool {
    match verb {
        Verb::Stream => db.stream(job, fence),
        Verb::FinishExtract => db.finish_extract(job, fence),
        Verb::Complete => db.complete(job, fence),
        Verb::Fail => db.fail(job, fence, "code"),
        Verb::RetryLater => db.retry_later(job, fence, "code", 1.0),
        Verb::Snooze => db.snooze(job, fence, 3_600_000, "wait", 1.0),
        Verb::Release => db.release(job, fence),
    }
}

/// What is played.
#[derive(Clone, Debug)]
struct Life {
    owner_slots: usize,
    flaw: Flaw,
    numbers: Vec<u64>,
}

/// Where the two differ, and how they came there.
#[derive(Debug)]
struct Difference {
    done: Vec<Operation>,
    what: String,
}

impl Life {
    fn draw(seed: u64, flaw: Flaw) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            owner_slots: dice.below(3) as usize,
            flaw,
            numbers: (0..OPERATIONS).map(|_| dice.below(u64::MAX)).collect(),
        }
    }

    /// Plays it on both sides; how many operations it had.
    async fn play(&self) -> Result<usize, Difference> {
        let mut rules = Rules::new(self.owner_slots, self.flaw);
        let mut real = Real::new(TestDb::new().await, self.owner_slots).await;
        let mut done = Vec::new();
        for number in &self.numbers {
            let Some(operation) = rules.read(*number) else {
                continue;
            };
            done.push(operation);
            if let Err(what) = real.step(&mut rules, operation).await {
                return Err(Difference { done, what });
            }
        }
        Ok(done.len())
    }

    /// Leaves out what the difference does not need.
    async fn shorten(mut self, mut found: Difference) -> Difference {
        let from = self.numbers.len().saturating_sub(SHORTER);
        for at in (from..self.numbers.len()).rev() {
            let mut shorter = self.clone();
            shorter.numbers.remove(at);
            if let Err(difference) = shorter.play().await {
                (self, found) = (shorter, difference);
            }
        }
        found
    }
}

#[tokio::test]
async fn any_life_is_the_same_on_postgres() {
    let only = std::env::var("QUIRE_SIMULATE_SEED").ok();
    let seeds: Vec<u64> = match only {
        Some(seed) => vec![seed.parse().unwrap()],
        None => (0..LIVES).collect(),
    };
    let mut operations = 0;
    for seed in seeds {
        let life = Life::draw(seed, Flaw::None);
        match life.play().await {
            Ok(done) => operations += done,
            Err(difference) => {
                let short = life.shorten(difference).await;
                panic!("seed {seed}: {}, after\n{:#?}", short.what, short.done);
            }
        }
    }
    assert!(operations > OPERATIONS / 2, "only {operations} operations");
}

#[tokio::test]
async fn a_broken_rule_differs_from_postgres() {
    for flaw in [
        Flaw::NoFence,
        Flaw::AnyTicket,
        Flaw::SameEpoch,
        Flaw::NoPriority,
        Flaw::SilentEnd,
    ] {
        let mut noticed = None;
        for seed in 0..4 * LIVES {
            if let Err(difference) = Life::draw(seed, flaw).play().await {
                noticed = Some((difference.done.len(), difference.what));
                break;
            }
        }
        let Some((operations, what)) = noticed else {
            panic!("nobody notices {flaw:?}")
        };
        println!("{flaw:?}: noticed after {operations} operations: {what}");
    }
}
