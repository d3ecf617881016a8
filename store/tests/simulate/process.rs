//! One simulated worker process: what it believes, which need not be so.

use quire_store::Stage;

use crate::{
    entries::Holder,
    row::{Fence, JobNo, Millis, Ticket, Worker},
};

/// A handler of apalis, from ticket to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) stage: Stage,
    pub(crate) job: JobNo,
    /// What its draws are about: the job's name and epoch.
    pub(crate) about: u64,
    pub(crate) ticket: Ticket,
    pub(crate) holder: Holder,
    /// Known once the claim was granted.
    pub(crate) fence: Option<Fence>,
}

/// A suspect goes on in company after this.
const PATIENCE: Millis = 10_000;

/// A job that has lost a worker runs alone in its process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quarantine {
    running: Vec<Ticket>,
    alone: Option<Ticket>,
    /// Suspects that wait until the others are done, and since when.
    waiting: Vec<(Ticket, Millis)>,
}

impl Quarantine {
    /// Whether the handler that asks since then may run now.
    pub(crate) fn admits(
        &mut self,
        ticket: Ticket,
        suspect: bool,
        since: Millis,
        now: Millis,
    ) -> bool {
        let alone = suspect && now < since + PATIENCE;
        let earlier = |other: &(Ticket, Millis)| other.0 != ticket && other.1 <= since;
        let admitted = self.alone.is_none()
            && if alone {
                self.running.is_empty()
            } else {
                !self.waiting.iter().any(earlier)
            };
        self.waiting.retain(|other| other.0 != ticket);
        if admitted {
            self.running.push(ticket);
            self.alone = alone.then_some(ticket);
        } else if alone {
            self.waiting.push((ticket, since));
        }
        admitted
    }

    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.running.retain(|other| *other != ticket);
        self.waiting.retain(|other| other.0 != ticket);
        self.alone = self.alone.filter(|other| *other != ticket);
    }
}

/// A worker process.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) name: Worker,
    pub(crate) up: bool,
    pub(crate) frozen_until: Millis,
    pub(crate) cut_until: Millis,
    /// Takes no more tickets.
    pub(crate) stopping: bool,
    pub(crate) handlers: Vec<Handler>,
    /// The apalis worker of each stage, and when it last beat.
    pub(crate) apalis: [(Holder, Millis); 2],
    /// Who may run beside whom, as `workers/src/quarantine.rs` has it.
    pub(crate) quarantine: Quarantine,
    /// Workers that look frozen: since when they are silent, and when that was noticed.
    pub(crate) suspects: Vec<(Worker, Millis, Millis)>,
}

impl Process {
    pub(crate) fn boot(name: Worker, now: Millis) -> Self {
        let holder = |incarnation| Holder {
            worker: name,
            incarnation,
        };
        Self {
            name,
            up: true,
            frozen_until: 0,
            cut_until: 0,
            stopping: false,
            handlers: Vec::new(),
            apalis: [(holder(0), now), (holder(1), now)],
            quarantine: Quarantine::default(),
            suspects: Vec::new(),
        }
    }

    /// Handlers of a stage.
    pub(crate) fn busy(&self, stage: Stage) -> usize {
        let of_stage = |handler: &&Handler| handler.stage == stage;
        self.handlers.iter().filter(of_stage).count()
    }

    /// Its worker of this stage has failed and is started again, under another name.
    pub(crate) fn restart_apalis(&mut self, stage: Stage, now: Millis) {
        let (holder, seen) = &mut self.apalis[index(stage)];
        holder.incarnation += 2;
        *seen = now;
    }

    /// Silent since the same moment for long enough.
    pub(crate) fn is_frozen(&mut self, worker: Worker, seen_at: Millis, now: Millis) -> bool {
        /// The silence must last this long after it was first noticed.
        const CONFIRM: Millis = 700;
        let known = self.suspects.iter_mut().find(|known| known.0 == worker);
        match known {
            Some(known) if known.1 == seen_at => now >= known.2 + CONFIRM,
            Some(known) => {
                (known.1, known.2) = (seen_at, now);
                false
            }
            None => {
                self.suspects.push((worker, seen_at, now));
                false
            }
        }
    }
}

/// Where a stage's things are kept.
pub(crate) const fn index(stage: Stage) -> usize {
    match stage {
        Stage::Extract => 0,
        Stage::Answer => 1,
    }
}
