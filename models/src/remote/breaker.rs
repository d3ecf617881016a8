//! A circuit breaker: after several failures in a row a server is left alone for a while, then tried with one request.
//!
//! The usual three states (Nygard, *Release It!*): closed lets everything through, open nothing, half-open one probe whose
//! outcome decides. Time comes in as a parameter.

use std::time::{Duration, Instant};

/// Failed requests in a row that open the circuit; each was tried several times already.
const THRESHOLD: u32 = 3;
/// How long the circuit stays open at first; twice as long after each failed probe.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// A server that is back is noticed after this at the latest.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// What the breaker does with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets it through.
    Closed,
    /// Refuses it.
    Open,
    /// Lets one through to see whether the server is back.
    HalfOpen,
}

/// Counts failures and decides who may ask.
pub(super) struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
    pause: Duration,
    is_probing: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 0,
            open_until: None,
            pause: FIRST_PAUSE,
            is_probing: false,
        }
    }
}

impl Breaker {
    /// Asks to send a request. Whoever is let in must report how it went. The error says how long the circuit stays open.
    pub(super) fn enter(&mut self, now: Instant) -> Result<(), Duration> {
        match self.state(now) {
            BreakerState::Closed => Ok(()),
            BreakerState::HalfOpen if !self.is_probing => {
                self.is_probing = true;
                Ok(())
            }
            // The outcome of the probe is known within the time of one request.
            BreakerState::HalfOpen => Err(Duration::ZERO),
            BreakerState::Open => Err(self
                .open_until
                .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))),
        }
    }

    /// What a request would meet.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if until > now => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// A request that was let in has been answered.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A request that was let in was given up by its owner.
    pub(super) fn abandoned(&mut self) {
        self.is_probing = false;
    }

    /// A request that was let in has failed.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures += 1;
        if self.is_probing {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        if self.is_probing || self.failures >= THRESHOLD {
            self.open_until = Some(now + self.pause);
        }
        self.is_probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            breaker.enter(now).unwrap();
            breaker.failed(now);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(now);
            breaker.failed(now);
            breaker.succeeded();
        }
        assert_eq!(breaker.state(now), BreakerState::Closed);
        assert_eq!(opened(now).enter(now), Err(FIRST_PAUSE));
    }

    #[test]
    fn one_probe_decides() {
        let now = Instant::now();
        let later = now + FIRST_PAUSE;
        let mut breaker = opened(now);
        assert_eq!(breaker.state(later), BreakerState::HalfOpen);
        breaker.enter(later).unwrap();
        assert!(breaker.enter(later).is_err(), "only one probe at a time");
        breaker.failed(later);
        assert_eq!(breaker.enter(later), Err(2 * FIRST_PAUSE));
        let much_later = later + 2 * FIRST_PAUSE;
        breaker.enter(much_later).unwrap();
        breaker.succeeded();
        assert_eq!(breaker.state(much_later), BreakerState::Closed);
        breaker.enter(much_later).unwrap();
        breaker.enter(much_later).unwrap();
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_room_for_another() {
        let now = Instant::now();
        let later = now + FIRST_PAUSE;
        let mut breaker = opened(now);
        breaker.enter(later).unwrap();
        breaker.abandoned();
        breaker.enter(later).unwrap();
    }

    #[test]
    fn the_pause_is_bounded() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        for _ in 0..20 {
            now += LONGEST_PAUSE;
            breaker.enter(now).unwrap();
            breaker.failed(now);
        }
        assert_eq!(breaker.enter(now), Err(LONGEST_PAUSE));
    }
}
