//! From ticket to end: what a process and the database say to each other about one attempt, and what is lost on the way.

use quire_store::Stage;

use crate::{
    event::{Claim, Event, Write},
    process::{Handler, index},
    row::{Fence, Millis, Worker},
    witness::{Broken, Witness},
    world::World,
};

impl World<'_> {
    pub(crate) fn look(
        &mut self,
        place: usize,
        name: Worker,
        stage: Stage,
        again: bool,
    ) -> Result<(), Broken> {
        let now = self.db.now;
        if !self.is_there(place, name, Event::Look(place, name, stage, again)) {
            return Ok(());
        }
        if again {
            self.push(now + 1_000, Event::Look(place, name, stage, true));
        }
        let process = &self.processes[place];
        let full = process.busy(stage) >= usize::from(self.plan.slots);
        if full || process.stopping || !self.reaches(place) {
            return Ok(());
        }
        let Some(chosen) = self.db.choose(stage) else {
            return Ok(());
        };
        Witness::handed_out(&self.db, stage, &self.db.entries.rows[chosen])?;
        let holder = self.processes[place].apalis[index(stage)].0;
        let entry = self.db.hand_out(chosen, holder);
        let about = self.about(entry.job);
        if self.misses(about, now) {
            // The reply was lost: apalis starts its worker again, under another name.
            self.processes[place].restart_apalis(stage, now);
            return Ok(());
        }
        let handler = Handler {
            stage,
            job: entry.job,
            about,
            ticket: entry.ticket,
            holder,
            fence: None,
        };
        self.processes[place].handlers.push(handler);
        let delay = 1 + self.roll(about, 5, now) % 20;
        let suspect = self.db.jobs[entry.job].spent.crashes > 0;
        self.push(now + delay, Event::Admit(place, handler, suspect, now));
        self.push(now + 1, Event::Look(place, name, stage, false));
        Ok(())
    }

    /// A suspect waits until it may run alone, and others until it has.
    pub(crate) fn admit(&mut self, place: usize, handler: Handler, suspect: bool, since: Millis) {
        let now = self.db.now;
        let event = Event::Admit(place, handler, suspect, since);
        if !self.is_there(place, handler.holder.worker, event)
            || !self.processes[place].handlers.contains(&handler)
        {
            return;
        }
        let quarantine = &mut self.processes[place].quarantine;
        if quarantine.admits(handler.ticket, suspect, since, now) {
            self.push(now + 1, Event::Claim(place, handler));
        } else {
            self.push(now + 100, event);
        }
    }

    pub(crate) fn claim(&mut self, place: usize, handler: Handler) {
        let now = self.db.now;
        if now < self.down_until {
            self.push(now + 2_000, Event::Claimed(place, handler, Claim::Unknown));
            return;
        }
        let name = handler.holder.worker;
        let fence = self.db.claim(handler.job, handler.ticket, name);
        self.note(&("claim", place, handler.job, handler.ticket, fence));
        let lost = self.misses(handler.about, 1);
        let (delay, answer) = match fence {
            _ if lost => (2_000, Claim::Unknown),
            Some(fence) => (1, Claim::Granted(fence)),
            None => (1, Claim::Refused),
        };
        self.push(now + delay, Event::Claimed(place, handler, answer));
    }

    pub(crate) fn claimed(&mut self, place: usize, handler: Handler, claim: Claim) {
        let name = handler.holder.worker;
        if !self.is_there(place, name, Event::Claimed(place, handler, claim)) {
            return;
        }
        let Claim::Granted(fence) = claim else {
            self.end_handler(place, handler, claim == Claim::Refused);
            return;
        };
        let granted = Handler {
            fence: Some(fence),
            about: self.about(handler.job),
            ..handler
        };
        let handlers = &mut self.processes[place].handlers;
        let Some(known) = handlers.iter_mut().find(|known| **known == handler) else {
            self.processes[place].quarantine.leave(handler.ticket);
            return;
        };
        *known = granted;
        let run = granted.about;
        let pause = match self.roll(run, 6, 0) % 40 {
            0 => 20_000,
            _ => self.roll(run, 6, 1) % 3_000,
        };
        self.push(self.db.now + 1 + pause, Event::Work(place, granted, 0));
    }

    pub(crate) fn work(&mut self, place: usize, handler: Handler, step: u32) {
        let name = handler.holder.worker;
        if !self.is_there(place, name, Event::Work(place, handler, step))
            || !self.processes[place].handlers.contains(&handler)
        {
            return;
        }
        let now = self.db.now;
        if step == 0 && handler.stage == Stage::Answer {
            self.send(place, handler, Write::Stream, 0);
            self.push(now + 200, Event::Work(place, handler, 1));
            return;
        }
        // Some jobs take the whole process along, some hang.
        let poison = self
            .roll(self.job_names[handler.job], 8, 0)
            .is_multiple_of(25);
        if poison && handler.stage == Stage::Extract {
            self.note(&("is killed by", handler.job));
            let life = (handler.job, self.db.jobs[handler.job].run);
            *self.deaths.entry(life).or_default() += 1;
            self.kill(place);
            return;
        }
        let write = match self.roll(handler.about, 9, 0) % 100 {
            0..=11 => Write::Retry,
            12..=14 => Write::Fail,
            15..=19 => Write::Snooze,
            20 => return self.hang(place, handler),
            _ => Write::Finish,
        };
        self.send(place, handler, write, step);
    }

    /// The worker ends it at the deadline, or cannot.
    fn hang(&mut self, place: usize, handler: Handler) {
        if self.roll(handler.about, 10, 0).is_multiple_of(2) {
            let at = self.db.jobs[handler.job].deadline_at.max(self.db.now);
            self.push(at, Event::Arrive(place, handler, Write::Fail, true));
        }
    }

    /// Sends a write, which may be lost, late or doubled.
    pub(crate) fn send(&mut self, place: usize, handler: Handler, write: Write, step: u32) {
        let now = self.db.now;
        let about = handler.about * 64 + u64::from(step) * 8 + write as u64;
        if !self.reaches(place) || self.misses(about, 11) {
            self.push(now + 2_000, Event::Answer(place, handler, write, None));
            return;
        }
        let late = if self.misses(about, 12) {
            self.roll(about, 12, 1) % 15_000
        } else {
            self.roll(about, 12, 1) % 20
        };
        let answered = !self.misses(about, 13) && late < 2_000;
        self.push(
            now + 1 + late,
            Event::Arrive(place, handler, write, answered),
        );
        if self.misses(about, 14) {
            self.push(
                now + 5 + late * 2,
                Event::Arrive(place, handler, write, false),
            );
        }
        if !answered {
            self.push(now + 2_000, Event::Answer(place, handler, write, None));
        }
    }

    /// A write reaches the database, whatever has become of its sender.
    pub(crate) fn arrive(&mut self, place: usize, handler: Handler, write: Write, answered: bool) {
        let Some(fence) = handler.fence else { return };
        let now = self.db.now;
        if now < self.down_until {
            if answered {
                self.push(now + 2_000, Event::Answer(place, handler, write, None));
            }
            return;
        }
        let done = self.apply(handler, fence, write);
        self.seen.refused += u64::from(!done);
        self.note(&(write, place, handler.job, fence, done));
        if answered {
            self.push(now + 1, Event::Answer(place, handler, write, Some(done)));
        }
    }

    fn apply(&mut self, handler: Handler, fence: Fence, write: Write) -> bool {
        let job = handler.job;
        let jitter = 0.75 + (self.roll(handler.about, 15, 0) % 500) as f64 / 1_000.0;
        match write {
            Write::Stream => self.db.stream(job, fence),
            Write::Finish if handler.stage == Stage::Extract => self.db.finish_extract(job, fence),
            Write::Finish => self.db.complete(job, fence),
            Write::Fail => self.db.fail(job, fence, "failed"),
            Write::Retry => self.db.retry_later(job, fence, "again", jitter),
            Write::Snooze => self.db.snooze(job, fence, 3_000, "wait", jitter),
            Write::Release => self.db.release(job, fence),
        }
    }

    pub(crate) fn answer(
        &mut self,
        place: usize,
        handler: Handler,
        write: Write,
        outcome: Option<bool>,
    ) {
        let name = handler.holder.worker;
        if !self.is_there(place, name, Event::Answer(place, handler, write, outcome))
            || !self.processes[place].handlers.contains(&handler)
        {
            return;
        }
        match (write, outcome) {
            // Said, or to be said again with the next.
            (Write::Stream, Some(true) | None) => {}
            // Unknown whether it was done: handed back, if it was not.
            (Write::Finish | Write::Fail | Write::Retry | Write::Snooze, None) => {
                self.send(place, handler, Write::Release, 6);
            }
            // Not even that: the lease is dropped, and the queue entry is to come again.
            (Write::Release, None) => self.end_handler(place, handler, false),
            (_, Some(_)) => self.end_handler(place, handler, true),
        }
    }

    /// The handler returns to apalis, which acknowledges the entry. Where it cannot, its worker dies and is started again under
    /// another name, and what the former one held is not acknowledged by anybody.
    pub(crate) fn end_handler(&mut self, place: usize, handler: Handler, well: bool) {
        let now = self.db.now;
        let process = &mut self.processes[place];
        process.handlers.retain(|known| *known != handler);
        process.quarantine.leave(handler.ticket);
        let name = process.name;
        if !self.reaches(place) || self.misses(handler.about, 16) {
            self.processes[place].restart_apalis(handler.stage, now);
        } else if self.processes[place].apalis[index(handler.stage)].0 == handler.holder {
            let retry_at = (!well).then_some(now + 2_000);
            self.db
                .entries
                .acknowledge(handler.ticket, handler.holder, retry_at);
        }
        self.push(now + 1, Event::Look(place, name, handler.stage, false));
    }
}
