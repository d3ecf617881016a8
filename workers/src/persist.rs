//! Writes the outcome of work for as long as the database is away: what was worked out is not worked out again.

use std::time::Duration;

use quire_store::{Lease, Store, StoreError};

use crate::running::Entered;

/// Pause between two tries while the database answers but does not take the write, as when its disk is full.
const PAUSE: Duration = Duration::from_millis(500);

/// Repeats `write` until the database takes or refuses it. Gives up with its last error when the job has another owner or this
/// process stops. A try whose commit went through although the reply was lost makes the next one a refused fence.
pub(crate) async fn persist<T, F>(
    store: &Store,
    lease: &Lease,
    entered: &Entered,
    write: impl Fn() -> F,
) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut reachable = store.reachable();
    loop {
        let error = match write().await {
            Err(error) if error.is_unavailable() => error,
            other => return other,
        };
        tracing::warn!(job.id = %lease.job.id, %error, "the outcome of an attempt waits for the database");
        entered.pulse().beat();
        let again = async {
            tokio::time::sleep(PAUSE).await;
            // Cannot fail while the store lives, and the write would say so.
            let _ = reachable.wait_for(|reachable| *reachable).await;
        };
        tokio::select! {
            () = again => entered.pulse().beat(),
            () = lease.lost.cancelled() => return Err(error),
            () = entered.given_up() => return Err(error),
        }
    }
}
