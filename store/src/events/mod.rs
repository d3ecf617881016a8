//! From a running attempt to every subscriber, wherever it is.
//!
//! An event of this process reaches local subscribers at once (`feed`), waits in the `outbox`, and is written with everything
//! else of the same 50 ms by the `flusher`, which then wakes the other processes; their `listener` reads the table and feeds
//! their own subscribers. A subscriber that comes late or falls behind reads the table through the `hub`. Each record is the same
//! on all of these ways, so `seq` alone joins them without a gap or a repeat.

mod doubt;
mod event;
mod feed;
mod flusher;
mod hub;
mod lane;
mod listener;
mod log;
mod outbox;
mod wake;
mod writer;

pub use event::{Event, EventRecord};
pub use hub::{EventHub, JobSnapshot};
pub use writer::AttemptWriter;

pub(crate) use doubt::Doubts;
pub(crate) use event::sequence;
pub(crate) use feed::Feed;
pub(crate) use lane::Lane;
pub(crate) use log::{database_now, record};
pub(crate) use outbox::Outbox;
pub(crate) use wake::notify_ended;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::{error::StoreError, ids::JobId, store::Inner};

/// What has been said about the jobs up to the given events and has not gone out of `feed`.
pub(crate) async fn unheard(
    conn: &mut PgConnection,
    feed: &Feed,
    jobs: &[(JobId, i64)],
) -> Result<Vec<EventRecord>, StoreError> {
    let rows = log::unheard(conn, feed, jobs).await?;
    rows.into_iter().map(EventRecord::try_from).collect()
}

/// Starts the flusher and the listener.
pub(crate) fn start(inner: &Inner, began: DateTime<Utc>) {
    let flusher =
        flusher::Flusher::new(inner.pool.clone(), Arc::clone(&inner.outbox), inner.process);
    inner.tasks.spawn(flusher.run(inner.stop.clone()));
    listener::start(inner, began);
}
