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
pub(crate) use feed::Feed;
pub(crate) use lane::Lane;
pub(crate) use log::record;
pub(crate) use outbox::Outbox;
pub(crate) use wake::notify_ended;

use std::sync::Arc;

use crate::store::Inner;

/// Starts the flusher and the listener.
pub(crate) fn start(inner: &Inner) {
    let flusher =
        flusher::Flusher::new(inner.pool.clone(), Arc::clone(&inner.outbox), inner.process);
    inner.tasks.spawn(flusher.run(inner.stop.clone()));
    listener::start(inner);
}
