//! One job of the modelled database: the columns of `quire.jobs` that decide something, and what its subscribers were told.

use quire_store::{JobState, Stage, rules::Spent};

/// Virtual time of the database's clock, in milliseconds.
pub(crate) type Millis = u64;

/// A ticket, numbered in the order of drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u32);

/// A fence (`attempt_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fence(pub(crate) u32);

/// A registered worker. Names are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Worker(pub(crate) u32);

/// Index of a job.
pub(crate) type JobNo = usize;

/// One job's row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    pub(crate) state: JobState,
    pub(crate) stage: Stage,
    pub(crate) owner: u8,
    pub(crate) priority: i32,
    pub(crate) epoch: u32,
    pub(crate) run: u32,
    pub(crate) ticket: Option<Ticket>,
    pub(crate) attempt_id: Option<Fence>,
    pub(crate) worker: Option<Worker>,
    pub(crate) claimed_at: Millis,
    /// Running time of the ended attempts of this run.
    pub(crate) ran: Millis,
    pub(crate) deadline_at: Millis,
    pub(crate) attempt: i32,
    pub(crate) spent: Spent,
    pub(crate) interrupted: bool,
    /// The attempt that the last crash was counted for.
    pub(crate) crashed: Option<Fence>,
    pub(crate) due_at: Option<Millis>,
    /// In whole seconds, as the queue keeps them.
    pub(crate) queued_at: Millis,
    pub(crate) error: Option<&'static str>,
}

impl Job {
    /// What the CHECK constraints of the table say.
    pub(crate) fn is_sound(&self) -> bool {
        let owned = self.state.is_owned();
        owned == self.attempt_id.is_some()
            && owned == self.worker.is_some()
            && (self.state == JobState::Queued) == self.ticket.is_some()
            && (self.state == JobState::Scheduled) == self.due_at.is_some()
            && (!matches!(self.state, JobState::Failed | JobState::Dead) || self.error.is_some())
            && self.attempt >= 0
    }
}

/// What the subscribers of a job are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Queued,
    Progress,
    Restarted,
    Chunk,
    Completed,
    Failed,
    Cancelled,
}

impl Kind {
    /// The stored word.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Progress => "progress",
            Self::Restarted => "restarted",
            Self::Chunk => "chunk",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a step did to a job, for whoever checks from outside. `by` is who asked, not who the row says may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It waits with this ticket.
    Ticketed(Ticket),
    /// An attempt began.
    Granted { fence: Fence, ticket: Ticket },
    /// A running attempt wrote something that is seen.
    Wrote { by: Fence },
    /// The ownership ended, and this is what it cost.
    Lost(Why),
    /// A dead worker turned out not to be dead.
    Refunded,
    /// A subscriber is told.
    Told { kind: Kind, seq: u64, run: u32 },
}

/// How an ownership ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// In good order, by the attempt itself.
    Done,
    /// By the attempt itself, as one failed try.
    Failed,
    /// For free: handed back, put off.
    Free,
    /// With a dead worker.
    Crashed,
    /// With a frozen worker, or past the deadline.
    Stalled,
    /// By the client.
    Cancelled,
}
