//! When an idle queue worker looks for tickets: at a notification, and twice more shortly after.
//!
//! apalis' own strategy takes a notification out of its stream even while a fetch that began earlier is still under way. That
//! fetch may come back empty, and then nothing looks again until the interval poll (`research/queue.md`, finding 13): of jobs
//! that followed each other closely, one in fifty waited 0.5 to 1 s. The looks after each notification begin later than any
//! such fetch. They cost one empty fetch each, about 0.3 ms.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use apalis::prelude::{PollSnapshot, PollStrategy};
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

/// The looks after a notification. A fetch takes under 2 ms on an idle database; the second look is for a loaded one.
const LOOKS_AFTER: [Duration; 2] = [Duration::from_millis(8), Duration::from_millis(60)];

/// Wakes a worker for each notification of `S`.
pub(crate) struct Wakeups<S> {
    notifications: S,
    /// Ends at the next look.
    timer: Pin<Box<Sleep>>,
    /// Time of the last notification and how many looks have followed it; `None` when all have.
    pending: Option<(Instant, usize)>,
}

impl<S: Stream + Unpin> Wakeups<S> {
    /// Follows `notifications`.
    pub(crate) fn new(notifications: S) -> Self {
        Self {
            notifications,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            pending: None,
        }
    }

    /// Sets the timer for the next look, if one is due.
    fn arm(&mut self) {
        self.pending = self.pending.filter(|(_, looks)| *looks < LOOKS_AFTER.len());
        if let Some((since, looks)) = self.pending {
            self.timer.as_mut().reset(since + LOOKS_AFTER[looks]);
        }
    }

    /// Takes every notification; the last poll leaves the waker registered.
    fn notified(&mut self, cx: &mut Context<'_>) -> bool {
        let mut notified = false;
        while let Poll::Ready(Some(_)) = self.notifications.poll_next_unpin(cx) {
            notified = true;
        }
        notified
    }

    /// Whether the time of a look has come; otherwise the waker is registered.
    fn look_is_due(&mut self, cx: &mut Context<'_>) -> bool {
        let mut due = false;
        while let Some((since, looks)) = self.pending {
            if self.timer.as_mut().poll(cx).is_pending() {
                break;
            }
            due = true;
            self.pending = Some((since, looks + 1));
            self.arm();
        }
        due
    }
}

impl<S: Stream + Unpin> PollStrategy for Wakeups<S> {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let notified = self.notified(cx);
        if notified {
            self.pending = Some((Instant::now(), 0));
            self.arm();
        }
        if self.look_is_due(cx) || notified {
            Poll::Ready(Some(()))
        } else {
            Poll::Pending
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream;

    use super::*;

    /// Milliseconds from the start at which the strategy wakes, until it stays silent for a minute.
    async fn wakes(notifications: impl Stream<Item = ()> + Unpin) -> Vec<u128> {
        let (start, mut wakeups) = (Instant::now(), Wakeups::new(notifications));
        let mut times = Vec::new();
        let snapshot = PollSnapshot::new();
        while let Ok(Some(())) = tokio::time::timeout(
            Duration::from_mins(1),
            poll_fn(|cx| wakeups.poll_drive(cx, &snapshot)),
        )
        .await
        {
            times.push(start.elapsed().as_millis());
        }
        times
    }

    fn at(millis: Vec<u64>) -> impl Stream<Item = ()> + Unpin {
        let start = Instant::now();
        let ticks = stream::iter(millis)
            .then(move |at| tokio::time::sleep_until(start + Duration::from_millis(at)));
        Box::pin(ticks.chain(stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn each_notification_is_followed_by_two_looks() {
        assert_eq!(wakes(at(vec![100])).await, [100, 108, 160]);
    }

    #[tokio::test(start_paused = true)]
    async fn looks_count_from_the_last_notification() {
        assert_eq!(
            wakes(at(vec![100, 105, 130])).await,
            [100, 105, 113, 130, 138, 190]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_wakes_nobody() {
        assert_eq!(wakes(at(vec![])).await, [] as [u128; 0]);
    }
}
