//! What happens to a job, as its subscribers see it.
//!
//! A record is the same whether it came from this process at once, from another process through the table, or from a replay:
//! `(job_id, seq)` names it for ever. `seq` grows within a job and is not dense: the upper bits are the job's epoch (one per
//! change of ownership), the lower 20 the position within it, so that no two owners can ever draw the same number.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{JobId, Owner},
    job::Stage,
};

/// Low bits of a sequence number: about a million events per ownership, 7 hours at 40 a second.
pub(crate) const POSITION_BITS: u32 = 20;

/// The sequence number of the `position`-th event of an `epoch`.
pub(crate) const fn sequence(epoch: i32, position: u32) -> i64 {
    ((epoch as i64) << POSITION_BITS) | position as i64
}

/// Largest position within an epoch.
pub(crate) const LAST_POSITION: u32 = (1 << POSITION_BITS) - 1;

/// One thing that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// Accepted, promoted or retried: it waits for a worker, and any partial answer is void.
    Queued,
    /// It got further.
    Progress {
        /// 0..=100 over the whole job.
        progress: u8,
        /// The stage that reports.
        stage: Stage,
        /// Steps done in that stage.
        done: u32,
        /// Steps of that stage, where known.
        total: Option<u32>,
    },
    /// A new attempt began after one that was broken off: any partial answer is void.
    Restarted {
        /// Which attempt it is, from 2.
        attempt: i32,
    },
    /// A part of the answer.
    Chunk {
        /// Bytes of the answer before it, in this attempt.
        offset: u64,
        /// The text.
        text: String,
    },
    /// The end: the answer.
    Completed {
        /// All of it.
        answer: String,
    },
    /// The end: an error.
    Failed {
        /// Stable code.
        code: String,
        /// In words, for the user.
        message: String,
    },
    /// The end: the client wanted it so.
    Cancelled,
}

impl Event {
    /// The word for it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Progress { .. } => "progress",
            Self::Restarted { .. } => "restarted",
            Self::Chunk { .. } => "chunk",
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// It is the last event of its run.
    pub const fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled
        )
    }
}

/// An event with its place in the job's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// The job it happened to.
    pub job_id: JobId,
    /// Whose job that is: checked again at every send.
    pub owner: Owner,
    /// Increasing and unique within the job, not dense.
    pub seq: i64,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// When the job was created.
    pub job_created_at: DateTime<Utc>,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_owner_always_has_the_higher_number() {
        assert!(sequence(1, 0) > sequence(0, LAST_POSITION));
        assert!(sequence(i32::MAX, LAST_POSITION) > 0);
        assert_eq!(sequence(3, 5), 3 * 1_048_576 + 5);
    }

    #[test]
    fn the_stored_form_names_its_kind() {
        let event = Event::Progress {
            progress: 45,
            stage: Stage::Extract,
            done: 9,
            total: Some(20),
        };
        let stored = serde_json::to_value(&event).unwrap();
        assert_eq!(stored["kind"], event.kind());
        assert_eq!(serde_json::from_value::<Event>(stored).unwrap(), event);
    }
}
