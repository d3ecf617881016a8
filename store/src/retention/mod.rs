//! What is deleted, when, and what never is.
//!
//! Nothing that a client was promised goes by itself: ended jobs are deleted by their owner, or after a time that the operator
//! has set. Files go after the rows that name them, never before. All of it may be called by any number of processes at once.

mod delete;
mod expire;
mod files;

pub use delete::DeleteOutcome;
pub use files::{Sweep, UNNAMED_KEPT};
