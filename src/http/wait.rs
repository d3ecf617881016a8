//! Long poll: waits for the end of a job on the event stream, without asking the database again and again.
//!
//! The stream only says when to look; what is returned is always read from the table, so an event that was missed (the
//! subscriber lagged, the database connection was lost) costs time and never truth.

use std::{sync::Arc, time::Duration};

use quire_store::{EventRecord, Job, JobId, Owner};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, timeout_at},
};

use crate::{app::AppState, error::ApiError};

/// The job once it has ended, or as it is when `limit` is over or the server shuts down; `None` when there is no such job.
pub async fn until_ended(
    state: &AppState,
    owner: Owner,
    id: JobId,
    limit: Duration,
) -> Result<Option<Job>, ApiError> {
    let deadline = Instant::now() + limit;
    // Subscribed before the first look, so that no end can fall between the two.
    let mut events = state.store.events().subscribe();
    loop {
        let job = state.answered(state.store.job(owner, id)).await?;
        let over = state.shutdown.is_cancelled() || Instant::now() >= deadline;
        if over || job.as_ref().is_none_or(|job| job.state.is_terminal()) {
            return Ok(job);
        }
        tokio::select! {
            _ = timeout_at(deadline, reason_to_look(&mut events, id)) => {}
            () = state.shutdown.cancelled() => {}
        }
    }
}

/// Returns when the job has ended, or when an event may have been missed.
async fn reason_to_look(events: &mut Receiver<Arc<EventRecord>>, id: JobId) {
    loop {
        match events.recv().await {
            Ok(record) if record.job_id == id && record.event.is_terminal() => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => return,
            // The stream is closed for good; the deadline ends the wait.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
