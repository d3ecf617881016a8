//! What this process knows of itself, without asking the database.

use std::sync::atomic::Ordering;

use crate::store::Store;

/// Numbers of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessNumbers {
    /// Events of running attempts that its flusher has written.
    pub events_flushed: u64,
    /// Its connections: first those of requests, then those of jobs, if it has workers.
    pub pools: Vec<PoolUse>,
    /// Whether the database answered a moment ago.
    pub database_up: bool,
}

/// A pool of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Most connections it may have.
    pub max: u32,
    /// Connections that somebody uses.
    pub used: u32,
    /// Open connections that nobody uses.
    pub idle: u32,
}

impl Store {
    /// The numbers of this process.
    pub fn process_numbers(&self) -> ProcessNumbers {
        let pools = self.inner.pools.lock();
        let pools = pools.iter().map(|pool| {
            let (size, idle) = (pool.size(), pool.num_idle() as u32);
            PoolUse {
                max: pool.options().get_max_connections(),
                used: size.saturating_sub(idle),
                idle,
            }
        });
        ProcessNumbers {
            events_flushed: self.inner.outbox.flushed.load(Ordering::Relaxed),
            pools: pools.collect(),
            database_up: *self.reachable().borrow(),
        }
    }
}
