//! The clocks that a job runs against.
//!
//! Only time spent waiting for the child counts: while the parent recognises a page, the child is blocked on its socket and cannot
//! make progress.

use std::time::{Duration, Instant};

use crate::error::ParseError;
use crate::request::CancelFlag;

/// Longest wait without a look at the cancel flag: a quarter of the 100 ms within which a cancel has to act.
const TICK: Duration = Duration::from_millis(25);

/// Cancel flag and deadlines of one job.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    cancel: &'a CancelFlag,
    /// Waiting time that is left in all.
    wall: Duration,
    /// Waiting time that is left before the next sign of life.
    silence: Duration,
    /// What `silence` starts from again.
    longest_silence: Duration,
}

impl<'a> Watch<'a> {
    /// At most `wall` in all and `longest_silence` between two messages.
    pub(super) fn new(cancel: &'a CancelFlag, wall: Duration, longest_silence: Duration) -> Self {
        Self {
            cancel,
            wall,
            silence: longest_silence,
            longest_silence,
        }
    }

    /// How long the next wait may take, or why there may be none.
    pub(super) fn next_wait(&self) -> Result<Duration, ParseError> {
        if self.cancel.is_cancelled() {
            return Err(ParseError::Cancelled);
        }
        let left = self.wall.min(self.silence);
        if left.is_zero() {
            return Err(ParseError::Timeout);
        }
        Ok(left.min(TICK))
    }

    /// Counts a wait that began at `start`.
    pub(super) fn waited(&mut self, start: Instant) {
        let elapsed = start.elapsed();
        self.wall = self.wall.saturating_sub(elapsed);
        self.silence = self.silence.saturating_sub(elapsed);
    }

    /// The child gave a sign of life.
    pub(super) fn heard(&mut self) {
        self.silence = self.longest_silence;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_wins_over_everything() {
        let cancel = CancelFlag::default();
        let watch = Watch::new(&cancel, Duration::ZERO, Duration::ZERO);
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
        cancel.cancel();
        assert!(matches!(watch.next_wait(), Err(ParseError::Cancelled)));
    }

    #[test]
    fn silence_is_forgiven_by_a_message_and_the_wall_is_not() {
        let cancel = CancelFlag::default();
        let second = Duration::from_secs(1);
        let mut watch = Watch::new(&cancel, 3 * second, second);
        let long_ago = Instant::now()
            .checked_sub(2 * second)
            .expect("the machine is up for two seconds");
        watch.waited(long_ago);
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
        watch.heard();
        assert_eq!(watch.next_wait().unwrap(), TICK);
        watch.waited(long_ago);
        watch.heard();
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
    }
}
