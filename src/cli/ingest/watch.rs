//! Waits until every job of the batch has ended.

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use super::{IngestError, pace::Patience, screen::Progress};
use crate::cli::client::Client;

/// How often the server is asked how far it is.
const EVERY: Duration = Duration::from_secs(1);

/// Asks until nothing waits and nothing runs. `false`: interrupted.
pub(super) async fn until_done(
    client: &Client,
    batch: Uuid,
    progress: &Arc<Progress>,
    patience: &Patience,
) -> Result<bool, IngestError> {
    loop {
        let Some(state) = patience.insist(|| client.batch(batch)).await? else {
            return Ok(false);
        };
        progress.show(state.counts);
        if state.status == "cancelled" {
            return Err(IngestError::Cancelled(batch));
        }
        if state.counts.pending + state.counts.processing == 0 {
            return Ok(true);
        }
        patience.rest(EVERY).await;
    }
}

/// Shows how far the server is while files are sent; never returns.
pub(super) async fn alongside(client: &Client, batch: Uuid, progress: &Arc<Progress>) {
    loop {
        // The senders say what is wrong when the server is away.
        if let Ok(state) = client.batch(batch).await {
            progress.show(state.counts);
        }
        tokio::time::sleep(EVERY).await;
    }
}
