//! What must be true whatever happens: judged from the effects alone, without asking the rows who may do what.

use quire_store::{JobState, MAX_CRASHES, MAX_FAILURES, Stage};

use crate::{
    database::Database,
    entries::{Entry, LEVEL},
    row::{Effect, Fence, Job, JobNo, Kind, Millis, Ticket, Why},
};

/// The shortest pause after a failed try: 2 s less a quarter.
const SHORTEST_PAUSE: Millis = 1_500;

/// A promise that was broken, in words.
pub(crate) type Broken = String;

/// What one job has been through.
#[derive(Clone, Debug, Default)]
struct Seen {
    ticket: Option<Ticket>,
    owner: Option<Fence>,
    /// Nobody may have it before then.
    not_before: Millis,
    last_seq: Option<u64>,
    run: u32,
    ended: bool,
    grants: i32,
    failed: i32,
    crashed: i32,
    free: i32,
    done: i32,
}

/// The judge of a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    seen: Vec<Seen>,
    /// Runs that have ended.
    pub(crate) lives: u64,
}

impl Witness {
    /// Takes note of what the last step did.
    pub(crate) fn look(&mut self, db: &mut Database) -> Result<(), Broken> {
        let effects = std::mem::take(&mut db.effects);
        self.seen.resize_with(db.jobs.len(), Seen::default);
        for (job, effect) in &effects {
            self.effect(db, *job, *effect)
                .map_err(|what| format!("job {job}: {what}"))?;
        }
        for (job, _) in effects {
            self.row(db, job)
                .map_err(|what| format!("job {job}: {what}"))?;
        }
        Ok(())
    }

    /// The job comes with a past.
    pub(crate) fn has_failed(&mut self, job: JobNo, times: i32) {
        self.seen.resize_with(job + 1, Seen::default);
        self.seen[job].failed = times;
    }

    /// Its pause is over.
    pub(crate) fn time_has_come(&mut self, job: JobNo) {
        self.seen[job].not_before = 0;
    }

    fn effect(&mut self, db: &Database, job: JobNo, effect: Effect) -> Result<(), Broken> {
        let (now, row, seen) = (db.now, &db.jobs[job], &mut self.seen[job]);
        match effect {
            Effect::Ticketed(ticket) => {
                seen.ticket = Some(ticket);
                Ok(())
            }
            Effect::Granted { fence, ticket } => {
                let latest = seen.ticket.take() == Some(ticket);
                ensure(latest, "given out for a ticket that was replaced")?;
                ensure(seen.owner.is_none(), "two owners at once")?;
                ensure(!seen.ended, "an ended job was given out")?;
                ensure(now >= seen.not_before, "given out before its time")?;
                seen.owner = Some(fence);
                seen.grants += 1;
                let reasons = 2 + seen.failed + seen.crashed + seen.free;
                ensure(seen.grants <= reasons, "given out without a reason")
            }
            Effect::Wrote { by } => ensure(seen.owner == Some(by), "a stale attempt has written"),
            Effect::Lost(why) => {
                ensure(seen.owner.take().is_some(), "lost by nobody")?;
                match why {
                    Why::Done => seen.done += 1,
                    Why::Free => seen.free += 1,
                    Why::Crashed => seen.crashed += 1,
                    Why::Stalled => seen.failed += 1,
                    Why::Failed => {
                        seen.failed += 1;
                        seen.not_before = now + SHORTEST_PAUSE;
                    }
                    Why::Cancelled => {}
                }
                ensure(
                    seen.failed <= MAX_FAILURES,
                    "more failed tries than allowed",
                )?;
                ensure(
                    seen.crashed <= MAX_CRASHES,
                    "took more workers along than allowed",
                )
            }
            Effect::Refunded => {
                seen.crashed -= 1;
                seen.free += 1;
                Ok(())
            }
            Effect::Told { kind, seq, run } => self.told(row, job, (kind, seq, run)),
        }
    }

    fn told(
        &mut self,
        row: &Job,
        job: JobNo,
        (kind, seq, run): (Kind, u64, u32),
    ) -> Result<(), Broken> {
        let seen = &mut self.seen[job];
        ensure(seen.last_seq < Some(seq), "two events of one number")?;
        seen.last_seq = Some(seq);
        if run > seen.run {
            ensure(seen.ended && kind == Kind::Queued, "a run began anyhow")?;
            *seen = Seen {
                run,
                ticket: seen.ticket,
                last_seq: seen.last_seq,
                ..Seen::default()
            };
        }
        if kind == Kind::Queued
            && row.run == 0
            && row.state == JobState::Scheduled
            && let Some(due) = row.due_at
        {
            seen.not_before = due;
        }
        if matches!(kind, Kind::Completed | Kind::Failed | Kind::Cancelled) {
            ensure(!seen.ended, "a second end")?;
            seen.ended = true;
            self.lives += 1;
        }
        Ok(())
    }

    fn row(&self, db: &Database, job: JobNo) -> Result<(), Broken> {
        let (row, seen) = (&db.jobs[job], &self.seen[job]);
        ensure(row.is_sound(), "a row that the table would refuse")?;
        ensure(row.attempt_id == seen.owner, "the row names another owner")?;
        ensure(
            row.state.is_terminal() == seen.ended,
            "the end and its event do not agree",
        )?;
        let spent = row.spent;
        ensure(
            spent.failures == seen.failed && spent.crashes == seen.crashed,
            "the budgets are not what happened",
        )
    }

    /// An entry was handed out while `waiting` could have been, itself included.
    pub(crate) fn handed_out(db: &Database, stage: Stage, chosen: &Entry) -> Result<(), Broken> {
        let oldest = |priority| {
            db.entries
                .waiting(stage, db.now)
                .filter(|entry| entry.priority == priority)
                .map(|entry| entry.run_at)
                .min()
        };
        for other in db.entries.waiting(stage, db.now) {
            let same = other.priority == chosen.priority && other.owner == chosen.owner;
            let earlier = (other.run_at, other.ticket) < (chosen.run_at, chosen.ticket);
            ensure(!(same && earlier), "a job was overtaken by its equal")?;
            if other.priority > chosen.priority {
                let served = db.entries.served_at(stage, chosen.priority).unwrap_or(0);
                let since = served.max(oldest(chosen.priority).unwrap_or(db.now));
                let above = (other.priority - chosen.priority) as Millis;
                ensure(
                    db.now.saturating_sub(since) >= above * LEVEL,
                    "a job of higher priority was passed over",
                )?;
            }
        }
        Ok(())
    }
}

fn ensure(holds: bool, otherwise: &str) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}
