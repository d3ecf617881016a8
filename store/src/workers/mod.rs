//! Who is alive, and what becomes of the jobs of those who are not.
//!
//! A worker process holds a session lock for as long as it lives: Postgres frees it 3 ms after a kill -9, so a lock that can be
//! taken names a dead worker. The heartbeat is only the backstop for a process that is frozen or cut off while its session
//! lives on. Neither has to be right for an answer to be right: that is the fence's doing.

mod guard;
mod housekeeping;
mod reap;
mod sweep;
mod take_back;

pub use guard::WorkerGuard;
pub use take_back::{DEADLINE_EXCEEDED, MAX_CRASHES};
