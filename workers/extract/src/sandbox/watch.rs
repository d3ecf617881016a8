//! The clocks that a job runs against.
//!
//! Only time spent waiting for the child counts: while the parent recognises a page, the child is blocked on its socket and cannot
//! make progress.

use std::time::{Duration, Instant};

use crate::error::ParseError;
use crate::request::CancelFlag;

/// Longest wait without a look at the cancel flag: a quarter of the 100 ms within which a cancel has to act.
const TICK: Duration = Duration::from_millis(25);

/// How long a job may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// Waiting time in all, at first.
    pub(super) wall: Duration,
    /// Waiting time in all, however often it is extended.
    pub(super) longest_wall: Duration,
    /// Waiting time between two messages.
    pub(super) silence: Duration,
}

/// Cancel flag and deadlines of one job.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    cancel: &'a CancelFlag,
    /// Waiting time that is left in all.
    wall: Duration,
    /// Waiting time by which `wall` may still be extended.
    spare: Duration,
    /// Waiting time that is left before the next sign of life.
    silence: Duration,
    /// What `silence` starts from again.
    longest_silence: Duration,
}

impl<'a> Watch<'a> {
    /// Starts the clocks.
    pub(super) fn new(cancel: &'a CancelFlag, deadlines: Deadlines) -> Self {
        Self {
            cancel,
            wall: deadlines.wall.min(deadlines.longest_wall),
            spare: deadlines.longest_wall.saturating_sub(deadlines.wall),
            silence: deadlines.silence,
            longest_silence: deadlines.silence,
        }
    }

    /// The child delivered something, which earns it more time.
    pub(super) fn extend(&mut self, time: Duration) {
        let granted = time.min(self.spare);
        self.spare -= granted;
        self.wall += granted;
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

    const SECOND: Duration = Duration::from_secs(1);

    fn watch(cancel: &CancelFlag, wall: Duration, longest_wall: Duration) -> Watch<'_> {
        Watch::new(
            cancel,
            Deadlines {
                wall,
                longest_wall,
                silence: SECOND,
            },
        )
    }

    /// A wait that took two seconds.
    fn two_seconds(watch: &mut Watch<'_>) {
        let start = Instant::now()
            .checked_sub(2 * SECOND)
            .expect("the machine is up for two seconds");
        watch.waited(start);
    }

    #[test]
    fn a_cancel_wins_over_everything() {
        let cancel = CancelFlag::default();
        let watch = watch(&cancel, Duration::ZERO, Duration::ZERO);
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
        cancel.cancel();
        assert!(matches!(watch.next_wait(), Err(ParseError::Cancelled)));
    }

    #[test]
    fn silence_is_forgiven_by_a_message_and_the_wall_is_not() {
        let cancel = CancelFlag::default();
        let mut watch = watch(&cancel, 3 * SECOND, 3 * SECOND);
        two_seconds(&mut watch);
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
        watch.heard();
        assert_eq!(watch.next_wait().unwrap(), TICK);
        two_seconds(&mut watch);
        watch.heard();
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
    }

    #[test]
    fn results_earn_time_up_to_the_longest_wall() {
        let cancel = CancelFlag::default();
        let mut watch = watch(&cancel, SECOND, 3 * SECOND);
        (0..100).for_each(|_| watch.extend(SECOND));
        two_seconds(&mut watch);
        watch.heard();
        assert!(watch.next_wait().is_ok());
        two_seconds(&mut watch);
        watch.heard();
        assert!(matches!(watch.next_wait(), Err(ParseError::Timeout)));
    }
}
