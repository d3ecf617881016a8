//! The notifications of new queue entries: heard once for each queue, whatever the number of its workers.
//!
//! A hint only: what is missed, while the connection is away or because apalis notifies of nothing but inserts, the interval poll of
//! the workers finds.

use std::time::Duration;

use apalis_postgres::Pubsub;
use futures_util::{Stream, StreamExt as _, future, stream};
use quire_store::Store;
use tokio::sync::watch;

/// Pause before a lost connection is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The notifications of one queue.
pub(crate) struct Notifications {
    queue: &'static str,
    /// How many there were.
    count: watch::Sender<u64>,
}

impl Notifications {
    /// Of this queue; heard while [`Self::listen`] runs.
    pub(crate) fn of(queue: &'static str) -> Self {
        Self {
            queue,
            count: watch::Sender::new(0),
        }
    }

    /// Those from now on. Several that come between two looks are one.
    pub(crate) fn follow(&self) -> impl Stream<Item = ()> + Unpin + use<> {
        let changes = stream::unfold(self.count.subscribe(), async |mut count| {
            count.changed().await.ok().map(|()| ((), count))
        });
        Box::pin(changes)
    }

    /// Listens, on a connection of its own, for as long as it is polled.
    pub(crate) async fn listen(&self, store: &Store) {
        let mut reachable = store.reachable();
        loop {
            Pubsub::new(store.pool().clone(), self.queue.to_owned())
                .take_while(|notification| future::ready(notification.is_ok()))
                .for_each(async |_| self.count.send_modify(|count| *count += 1))
                .await;
            tracing::debug!(queue = self.queue, "notifications are not heard");
            tokio::time::sleep(AGAIN_AFTER).await;
            // Without the store there is nothing to hear and nobody to tell: the workers end.
            let _ = reachable.wait_for(|reachable| *reachable).await;
        }
    }
}
