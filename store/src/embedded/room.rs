//! Free space under the cluster.
//!
//! A server whose disk is full ends, and replaying its log needs space too: started again and again it would only write the same
//! complaints. So after a failed start the supervisor waits here for space.

use std::path::Path;

/// With less than this a start is expected to fail: replaying the log ends with a checkpoint, which begins a segment of 16 MiB.
const LEAST_BYTES: u64 = 24 << 20;

/// The same for messages.
pub(super) const LEAST_MIB: u64 = LEAST_BYTES >> 20;

/// Whether the file system has too little space for a start. `false` when it does not tell: then trying tells.
pub(super) fn is_short(path: &Path) -> bool {
    rustix::fs::statvfs(path)
        .is_ok_and(|system| system.f_bavail.saturating_mul(system.f_frsize) < LEAST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_does_not_answer_is_not_taken_for_full() {
        assert!(!is_short(Path::new("/does/not/exist")));
    }
}
