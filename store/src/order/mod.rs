//! Who is served next, and the ways to change it: pause, slots of an owner, another priority, another time; and what may be said
//! about it: the place in the queue and when a job's turn will come. The rule itself is in `migrations/0004_order.sql`, where the
//! fetch carries it out.

mod estimate;
mod forecast;
mod pause;
mod prioritize;
mod reschedule;
mod slots;

pub use estimate::{Confidence, Estimate};

use crate::job::Job;

/// What became of moving a waiting job in the queue.
#[derive(Clone, Debug, PartialEq)]
pub enum MoveOutcome {
    /// It waits at its new place.
    Moved(Job),
    /// This owner has no such job.
    NotFound,
    /// It does not wait: it runs or has ended.
    InvalidState(Job),
}
