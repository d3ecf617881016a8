//! When each client should come back to a server that restarts.
//!
//! Ten thousand clients that all come back at once meet a server that has just begun. Each is therefore told a time of its
//! own, spread evenly over two seconds. No chance is needed for that: multiples of the golden ratio fall into the largest
//! gap that is left, however many there are.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The last one comes back by then; a restart should be over in five seconds.
const WITHIN: Duration = Duration::from_secs(2);

/// The golden ratio's fraction, in units of 2^-64.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// How long the next client that is sent away should wait.
pub(super) fn retry_after() -> Duration {
    static TURN: AtomicU64 = AtomicU64::new(0);
    share(TURN.fetch_add(STEP, Ordering::Relaxed))
}

fn share(turn: u64) -> Duration {
    WITHIN.mul_f64(turn as f64 / (u64::MAX as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_come_back_they_come_evenly() {
        for clients in [10, 100, 10_000] {
            let turns = std::iter::successors(Some(0_u64), |turn| Some(turn.wrapping_add(STEP)));
            let mut waits: Vec<Duration> = turns.take(clients).map(share).collect();
            waits.sort();
            assert!(waits.iter().all(|wait| *wait <= WITHIN));
            let even = WITHIN / clients as u32;
            let gaps = waits.windows(2).map(|pair| pair[1].saturating_sub(pair[0]));
            assert!(gaps.clone().all(|gap| gap < even * 3), "{clients}");
            assert!(gaps.clone().all(|gap| gap > even / 3), "{clients}");
        }
    }

    #[test]
    fn two_clients_get_two_times() {
        assert_ne!(retry_after(), retry_after());
    }
}
