//! A world in virtual time: clients, worker processes, messages that are lost, late or doubled, and one database.
//!
//! Every event is at a time; nothing waits. The same plan gives the same world, event by event.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fmt::Debug,
};

use quire_store::{MAX_CRASHES, MAX_FAILURES, Stage, rules::Cause};

use crate::{
    database::{Database, FROZEN_AFTER, Flaw, UNCLAIMED_AFTER},
    entries::Holder,
    event::{Event, Timed, Write},
    plan::{Input, Plan, roll},
    process::{Handler, Process},
    row::{JobNo, Millis, Worker},
    witness::{Broken, Witness},
};

/// After the faults have stopped, every job must have ended within this.
const PATIENCE: Millis = 30 * 60_000;
/// Once all is over, late messages may still come in.
const AFTERMATH: Millis = 16_000;
/// Longest running time of a run.
const JOB_DEADLINE: Millis = 60_000;
/// A dead worker's jobs are taken within this, restarts and all.
const NOTICED_WITHIN: Millis = 10_000;
/// Workers that one run of a job may take along: those of the crash budget, and, in company, one for each failed try.
const MOST_DEATHS: i32 = MAX_CRASHES + MAX_FAILURES - 1;
/// Heartbeat and reaper.
const TICK: Millis = 500;

/// How a world went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) at: Millis,
    pub(crate) what: Broken,
    /// Every step up to it.
    pub(crate) trace: Vec<String>,
}

/// What a world that went well has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Runs that ended.
    pub(crate) lives: u64,
    pub(crate) events: u64,
    /// Writes that the fence refused.
    pub(crate) refused: u64,
}

/// All of it.
pub(crate) struct World<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) db: Database,
    witness: Witness,
    heap: BinaryHeap<Reverse<Timed>>,
    pub(crate) processes: Vec<Process>,
    names: u32,
    /// What the plan calls each job.
    pub(crate) job_names: Vec<u64>,
    pushed: u64,
    /// The server is away until then.
    pub(crate) down_until: Millis,
    paused_until: Millis,
    trace: Option<Vec<String>>,
    pub(crate) seen: Seen,
    /// Worker deaths that a run of a job has caused.
    pub(crate) deaths: BTreeMap<(JobNo, u32), i32>,
}

/// Lives a plan to its end. With `traced`, a failure tells how it came about.
pub(crate) fn live(plan: &Plan, flaw: Flaw, traced: bool) -> Result<Seen, Failure> {
    let mut world = World {
        plan,
        db: Database::new(flaw, JOB_DEADLINE),
        witness: Witness::default(),
        heap: BinaryHeap::new(),
        processes: Vec::new(),
        names: 0,
        job_names: Vec::new(),
        pushed: 0,
        down_until: 0,
        paused_until: 0,
        trace: traced.then(Vec::new),
        seen: Seen::default(),
        deaths: BTreeMap::new(),
    };
    world.db.entries.owner_slots = plan.owner_slots;
    match world.run() {
        Ok(()) => Ok(Seen {
            lives: world.witness.lives,
            ..world.seen
        }),
        Err(what) => Err(Failure {
            at: world.db.now,
            what,
            trace: world.trace.unwrap_or_default(),
        }),
    }
}

impl World<'_> {
    fn run(&mut self) -> Result<(), Broken> {
        for process in 0..self.plan.processes {
            self.boot(process);
        }
        for (number, (at, _)) in self.plan.inputs.iter().enumerate() {
            self.push(*at, Event::Input(number));
        }
        let mut inputs_left = self.plan.inputs.len();
        let mut over_at = None;
        while let Some(Reverse(Timed(at, _, event))) = self.heap.pop() {
            if over_at.is_some_and(|over| at > over) {
                return Ok(());
            }
            self.db.now = at;
            self.seen.events += 1;
            inputs_left -= usize::from(matches!(event, Event::Input(_)));
            self.handle(event)?;
            self.witness.look(&mut self.db)?;
            if let Some((life, _)) = self
                .deaths
                .iter()
                .find(|(_, deaths)| **deaths > MOST_DEATHS)
            {
                return Err(format!(
                    "job {} has killed more workers than allowed",
                    life.0
                ));
            }
            if inputs_left > 0 {
                continue;
            }
            let stuck = || self.db.jobs.iter().position(|job| !job.state.is_terminal());
            if over_at.is_none() && stuck().is_none() {
                over_at = Some(at + AFTERMATH);
            } else if at > self.plan.calm_at + PATIENCE {
                let job = stuck().unwrap_or_default();
                return Err(format!("job {job}: stuck as {:?}", self.db.jobs[job]));
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Input(number) => self.input(self.plan.inputs[number].1),
            Event::Boot(process) => self.boot(process),
            Event::Tick(process, name, count) => {
                self.tick(process, name, count);
                return self.owners_work();
            }
            Event::Look(process, name, stage, again) => {
                return self.look(process, name, stage, again);
            }
            Event::Admit(process, handler, suspect, since) => {
                self.admit(process, handler, suspect, since);
            }
            Event::Claim(process, handler) => self.claim(process, handler),
            Event::Claimed(process, handler, claim) => self.claimed(process, handler, claim),
            Event::Work(process, handler, step) => self.work(process, handler, step),
            Event::Arrive(process, handler, write, answered) => {
                self.arrive(process, handler, write, answered);
            }
            Event::Answer(process, handler, write, outcome) => {
                self.answer(process, handler, write, outcome);
            }
            Event::HandBack(process, name) => self.hand_back(process, name),
            Event::SignOff(process, name) => self.sign_off(process, name),
            Event::SessionEnds(name) => self.db.session_ends(name),
            Event::Unpause => {
                if self.db.now >= self.paused_until {
                    self.db.entries.paused.clear();
                }
            }
        }
        Ok(())
    }

    // ---- from outside

    fn input(&mut self, input: Input) {
        self.note(&input);
        let now = self.db.now;
        match input {
            Input::Create(name, new) => {
                self.job_names.push(name);
                self.db.create(new);
            }
            Input::Cancel(name) => {
                if let Some(job) = self.job_names.iter().position(|known| *known == name) {
                    self.db.cancel(job);
                }
            }
            Input::Retry(name) => {
                if let Some(job) = self.job_names.iter().position(|known| *known == name) {
                    self.db.retry(job);
                }
            }
            Input::Kill(process) => self.kill(process),
            Input::Freeze(process, time) => self.processes[process].frozen_until = now + time,
            Input::Cut(process, time) => {
                let name = self.processes[process].name;
                self.processes[process].cut_until = now + time;
                // The server notices after a while that nobody is there.
                if time > 5_000 {
                    self.push(now + 5_000, Event::SessionEnds(name));
                }
            }
            Input::Stop(process, grace) => {
                let name = self.processes[process].name;
                self.processes[process].stopping = true;
                self.push(now + grace, Event::HandBack(process, name));
            }
            Input::Restart(time) => self.restart_server(time),
            Input::Repeat(entry) => self.db.entries.repeat(entry),
            Input::Lose(entry) => self.db.entries.lose(entry),
            Input::Pause(stage, time) => {
                self.db.entries.paused.push(stage);
                self.paused_until = self.paused_until.max(now + time);
                self.push(self.paused_until, Event::Unpause);
            }
        }
    }

    fn restart_server(&mut self, time: Millis) {
        self.down_until = self.db.now + time;
        self.db.began = self.down_until;
        for process in 0..self.processes.len() {
            self.db.session_ends(self.processes[process].name);
            let cut = &mut self.processes[process].cut_until;
            *cut = self.down_until.max(*cut);
        }
    }

    fn boot(&mut self, place: usize) {
        self.names += 1;
        let (name, now) = (Worker(self.names), self.db.now);
        let process = Process::boot(name, now);
        if place == self.processes.len() {
            self.processes.push(process);
        } else {
            self.processes[place] = process;
        }
        if now < self.down_until {
            self.processes[place].up = false;
            self.push(self.down_until, Event::Boot(place));
            return;
        }
        self.db.register(name);
        let phase = self.roll(u64::from(name.0), 1, 2) % TICK;
        self.push(now + phase, Event::Tick(place, name, 0));
        for stage in [Stage::Extract, Stage::Answer] {
            self.push(now + phase, Event::Look(place, name, stage, true));
        }
    }

    pub(crate) fn kill(&mut self, place: usize) {
        let process = &mut self.processes[place];
        if !process.up {
            return;
        }
        process.up = false;
        let name = process.name;
        self.db.session_ends(name);
        let pause = 200 + self.roll(u64::from(name.0), 3, 4) % 4_000;
        self.push(self.db.now + pause, Event::Boot(place));
    }

    fn hand_back(&mut self, place: usize, name: Worker) {
        let now = self.db.now;
        let event = Event::HandBack(place, name);
        if !self.is_there(place, name, event) {
            return;
        }
        for handler in self.processes[place].handlers.clone() {
            self.send(place, handler, Write::Release, 7);
        }
        self.push(now + 300, Event::SignOff(place, name));
    }

    fn sign_off(&mut self, place: usize, name: Worker) {
        if !self.is_there(place, name, Event::SignOff(place, name)) {
            return;
        }
        self.processes[place].up = false;
        if self.reaches(place) {
            self.note(&"signs off");
            self.db.sign_off(name);
        } else {
            self.db.session_ends(name);
        }
        self.push(self.db.now + 500, Event::Boot(place));
    }

    // ---- heartbeat, reaper, housekeeping

    fn tick(&mut self, place: usize, name: Worker, count: u64) {
        let now = self.db.now;
        if !self.is_there(place, name, Event::Tick(place, name, count)) {
            return;
        }
        self.push(now + TICK, Event::Tick(place, name, count + 1));
        if !self.reaches(place) {
            return;
        }
        self.db.beat(name);
        self.reconcile(place);
        self.db.promote_due();
        self.reap(place);
        if count.is_multiple_of(2) {
            self.db.end_overdue();
        }
        if count.is_multiple_of(10) {
            for (_, seen) in &mut self.processes[place].apalis {
                *seen = now;
            }
            let processes = &self.processes;
            let last_seen = |holder: Holder| {
                let alive = processes.iter().flat_map(|process| process.apalis);
                let found = alive.into_iter().find(|(known, _)| *known == holder);
                found.map_or(0, |(_, seen)| seen)
            };
            self.db.apalis_sweep(last_seen);
        }
        if count.is_multiple_of(20) {
            self.db.repair();
            self.db.entries.delete_done();
        }
    }

    /// Once the faults have stopped for a while, whoever owns a job is alive and works on it.
    fn owners_work(&self) -> Result<(), Broken> {
        let now = self.db.now;
        if now < self.plan.calm_at + NOTICED_WITHIN {
            return Ok(());
        }
        for (job, row) in self.db.jobs.iter().enumerate() {
            let (Some(name), Some(fence)) = (row.worker, row.attempt_id) else {
                continue;
            };
            let is_owner = |process: &&Process| process.up && process.name == name;
            let Some(process) = self.processes.iter().find(is_owner) else {
                if self.is_long_dead(name) {
                    return Err(format!("job {job} is owned by {name:?}, which is dead"));
                }
                continue;
            };
            let works = |handler: &Handler| handler.fence == Some(fence);
            let long = row.claimed_at + UNCLAIMED_AFTER + NOTICED_WITHIN < now;
            if long && !process.handlers.iter().any(works) {
                return Err(format!(
                    "job {job} is owned by {name:?}, which does not work on it"
                ));
            }
        }
        Ok(())
    }

    fn is_long_dead(&self, name: Worker) -> bool {
        let seen = self.db.workers.get(&name).map_or(0, |row| row.seen_at);
        seen + NOTICED_WITHIN < self.db.now
    }

    /// What the database says this worker owns, against what it holds.
    fn reconcile(&mut self, place: usize) {
        let (name, now) = (self.processes[place].name, self.db.now);
        let mut lost = Vec::new();
        for handler in self.processes[place].handlers.clone() {
            let Some(fence) = handler.fence else { continue };
            if self.db.jobs[handler.job].attempt_id != Some(fence) {
                lost.push((handler.job, fence));
                self.end_handler(place, handler, true);
            }
        }
        self.db.refund(&lost);
        if self.db.flaw == Flaw::NoReconcile {
            return;
        }
        for job in self.db.owned_by(name) {
            let row = &self.db.jobs[job];
            let (Some(fence), old) = (row.attempt_id, row.claimed_at + UNCLAIMED_AFTER < now)
            else {
                continue;
            };
            let held = |handler: &Handler| handler.fence == Some(fence);
            if old && !self.processes[place].handlers.iter().any(held) {
                self.note(&("gives back", job));
                self.db.take_one(job, fence, Cause::Stall);
            }
        }
    }

    fn reap(&mut self, place: usize) {
        let (own, now) = (self.processes[place].name, self.db.now);
        let others: Vec<_> = self
            .db
            .workers
            .iter()
            .map(|(name, row)| (*name, row.clone()))
            .collect();
        for (name, row) in others {
            if name == own {
                continue;
            }
            if !row.has_session {
                if self.db.bury(name) {
                    self.note(&("buries", name));
                }
            } else if row.seen_at + FROZEN_AFTER < now
                && self.processes[place].is_frozen(name, row.seen_at, now)
            {
                if !self.db.owned_by(name).is_empty() {
                    self.note(&("takes from frozen", name));
                }
                self.db.take_from(name, Cause::Stall);
            }
        }
    }

    // ---- parts

    /// The process of that name lives and runs; a frozen one does it when it thaws.
    pub(crate) fn is_there(&mut self, place: usize, name: Worker, event: Event) -> bool {
        let process = &self.processes[place];
        if !process.up || process.name != name {
            return false;
        }
        if self.db.now < process.frozen_until {
            self.push(process.frozen_until, event);
            return false;
        }
        true
    }

    pub(crate) fn reaches(&self, place: usize) -> bool {
        self.db.now >= self.processes[place].cut_until && self.db.now >= self.down_until
    }

    /// One of the messages that go astray.
    pub(crate) fn misses(&self, about: u64, what: u64) -> bool {
        self.db.now < self.plan.calm_at && self.roll(about, 17, what) % 1_000 < self.plan.loss
    }

    /// This epoch of this job.
    pub(crate) fn about(&self, job: JobNo) -> u64 {
        self.job_names[job] << 20 | u64::from(self.db.jobs[job].epoch)
    }

    pub(crate) fn roll(&self, about: u64, what: u64, which: u64) -> u64 {
        roll(self.plan.seed, [about, what, which])
    }

    pub(crate) fn push(&mut self, at: Millis, event: Event) {
        self.pushed += 1;
        self.heap.push(Reverse(Timed(at, self.pushed, event)));
    }

    pub(crate) fn note(&mut self, what: &impl Debug) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>7} ms {what:?}", self.db.now));
        }
    }
}
