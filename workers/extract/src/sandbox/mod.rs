//! The parent side: children in a pool, each trusted with nothing.
//!
//! `pool` hands out children and replaces them, `child_process` is one child with its pipes, `watch` the clocks it runs against,
//! `death` the reading of its end, `job` one job on one child, and `assemble` and `page_check` the
//! check of everything it says.

mod assemble;
mod child_process;
mod death;
mod draw;
mod job;
mod page_check;
mod pool;
mod recognised;
mod spawner;
mod status;
mod watch;

pub use pool::{ParserPool, PoolConfig, find_program};
pub use status::SandboxStatus;
