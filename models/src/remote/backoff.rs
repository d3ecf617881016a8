//! Pauses between the tries of one request.

use std::time::Duration;

/// First pause; each further one may be twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause, also when a server asks for more: a job that waits longer is better queued again.
const LONGEST: Duration = Duration::from_secs(20);

/// Hands out pauses: exponential, with "full jitter" (any length up to the step), so that many jobs that failed together do
/// not come back together.
pub(super) struct Backoff {
    tries_left: u32,
    step: Duration,
    random: u64,
}

impl Backoff {
    /// Pauses for a request that is tried so often.
    pub(super) fn new(tries: u32) -> Self {
        Self {
            tries_left: tries.saturating_sub(1),
            step: FIRST,
            // The address space is laid out at random for each process, and the counter differs for each request.
            random: seed(),
        }
    }

    /// The next pause, at least as long as the server asks; none when it was the last try.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.tries_left = self.tries_left.checked_sub(1)?;
        let share = self.roll();
        let pause = self.step.mul_f64(share).max(asked.unwrap_or_default());
        self.step = (self.step * 2).min(LONGEST);
        Some(pause.min(LONGEST))
    }

    /// A number from 0 to 1, by `xorshift64*` (Vigna 2016): spread is all that is needed.
    fn roll(&mut self) -> f64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let bits = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}

/// A seed from the hasher of the standard library, which is random for each call.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(()) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_are_bounded_and_end() {
        let mut backoff = Backoff::new(12);
        let pauses: Vec<Duration> = std::iter::from_fn(|| backoff.next(None)).collect();
        assert_eq!(pauses.len(), 11);
        for (at, pause) in pauses.iter().enumerate() {
            assert!(*pause <= (FIRST * 2_u32.pow(at as u32)).min(LONGEST));
        }
        assert!(Backoff::new(1).next(None).is_none());
        assert!(Backoff::new(0).next(None).is_none());
    }

    #[test]
    fn a_server_is_given_the_time_it_asks_for() {
        let asked = Some(Duration::from_secs(7));
        assert!(Backoff::new(2).next(asked).unwrap() >= Duration::from_secs(7));
        let hours = Some(Duration::from_hours(2));
        assert_eq!(Backoff::new(2).next(hours), Some(LONGEST));
    }

    #[test]
    fn requests_do_not_pause_in_step() {
        let pauses: std::collections::HashSet<_> = (0..20)
            .map(|_| Backoff::new(2).next(None).unwrap())
            .collect();
        assert!(pauses.len() > 10);
    }
}
