//! Waiting for another process that gives nothing to wait on.
//!
//! The server tells its state in a file, and a predecessor is nobody's child any more: both can only be looked at again. This is
//! the one place of the store that sleeps.

use std::time::{Duration, Instant};

use super::error::EmbeddedError;

/// Between two looks: a warm start takes 80 ms, so this adds little to it and costs next to nothing.
const STEP: Duration = Duration::from_millis(5);

/// Looks until `look` gives something; `None` when the time is up.
pub(super) fn poll<T>(
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, EmbeddedError>,
) -> Result<Option<T>, EmbeddedError> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = look()? {
            return Ok(Some(value));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a foreign process's file or state has no event to wait for"
)]
fn pause() {
    std::thread::sleep(STEP);
}
