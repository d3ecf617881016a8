//! The flag that stops a running model call.
//!
//! Models compute on blocking threads and know no runtime, so cancellation is a shared atomic that they read between batches.
//! It has the same shape as the flag of `quire-extract`: neither crate depends on the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::ModelError;

/// A flag shared by the caller, who sets it, and the model, which looks at it between two batches. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks the work to stop. Cannot be taken back.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the work was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same question as a `Result`, for use with `?`.
    pub fn check(&self) -> Result<(), ModelError> {
        if self.is_cancelled() {
            return Err(ModelError::Cancelled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_flag() {
        let flag = CancelFlag::default();
        let other = flag.clone();
        assert!(other.check().is_ok());
        flag.cancel();
        assert!(other.is_cancelled());
        assert!(matches!(other.check(), Err(ModelError::Cancelled)));
    }
}
