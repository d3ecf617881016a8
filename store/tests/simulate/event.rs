//! What can happen in a world, and when.

use std::cmp::Ordering;

use quire_store::Stage;

use crate::{
    process::Handler,
    row::{Fence, Millis, Worker},
};

/// What an attempt tells the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Stream,
    Finish,
    Fail,
    Retry,
    Snooze,
    Release,
}

/// What a process hears of its claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Granted(Fence),
    /// The ticket is worth nothing.
    Refused,
    /// The reply was lost.
    Unknown,
}

/// What happens next. Processes are named by place and name: what is meant for a former one finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Input(usize),
    Boot(usize),
    Tick(usize, Worker, u64),
    /// A worker looks for tickets; `true`: and will again in a second.
    Look(usize, Worker, Stage, bool),
    /// A handler asks whether it may run; it has asked since then.
    Admit(usize, Handler, bool, Millis),
    /// A claim reaches the database.
    Claim(usize, Handler),
    /// Its answer reaches the process.
    Claimed(usize, Handler, Claim),
    /// The handler goes on; the number counts its steps.
    Work(usize, Handler, u32),
    /// A write reaches the database.
    Arrive(usize, Handler, Write, bool),
    /// Its answer reaches the process; `None`: there is none.
    Answer(usize, Handler, Write, Option<bool>),
    /// Running attempts are handed back.
    HandBack(usize, Worker),
    SignOff(usize, Worker),
    SessionEnds(Worker),
    Unpause,
}

/// An event at its time; the number keeps those of one time in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timed(pub(crate) Millis, pub(crate) u64, pub(crate) Event);

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
