//! A job as the rest of quire sees it: what was asked, how far it is, what came out.
//!
//! What only the queue needs (fence, ticket, budgets) stays in the row and in [`crate::Lease`].

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{FileId, JobId, Owner};

/// One upload with one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The id that the client knows.
    pub id: JobId,
    /// Whose job it is.
    pub owner: Owner,
    /// The uploaded file.
    pub file_id: FileId,
    /// The name the file was uploaded under. Data, never a path.
    pub file_name: String,
    /// The media type found by looking at the bytes (`pdf`, `csv`, ...).
    pub media: String,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Size of the file.
    pub bytes: i64,
    /// The question.
    pub prompt: String,
    /// Larger goes first.
    pub priority: i32,
    /// Where the job is in its life.
    pub state: JobState,
    /// What runs now or next.
    pub stage: Stage,
    /// 0..=100.
    pub progress: i16,
    /// How often the present stage has been started.
    pub attempt: i32,
    /// When the client wants the job to start; `None` = at once.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// When the upload was accepted.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached a terminal state.
    pub finished_at: Option<DateTime<Utc>>,
    /// The answer, once completed.
    pub answer: Option<String>,
    /// The structured answer (citations, engine, notes), once completed.
    pub result: Option<serde_json::Value>,
    /// Stable code of the last failure.
    pub error_code: Option<String>,
    /// The last failure in words.
    pub error_message: Option<String>,
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waiting for a worker.
    Queued,
    /// Waiting for a time.
    Scheduled,
    /// A worker has it.
    Running,
    /// A worker has it and part of the answer is out.
    Streaming,
    /// Done, the answer is stored.
    Completed,
    /// Ended by an error that another try would not change.
    Failed,
    /// Ended by the client.
    Cancelled,
    /// Ended after too many failed tries.
    Dead,
}

impl JobState {
    /// Every state.
    pub const ALL: &[Self] = &[
        Self::Queued,
        Self::Scheduled,
        Self::Running,
        Self::Streaming,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Streaming => "streaming",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// Nothing happens to the job any more, unless it is retried by hand.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Dead
        )
    }

    /// A worker owns the job.
    pub const fn is_owned(self) -> bool {
        matches!(self, Self::Running | Self::Streaming)
    }
}

/// The two steps of a job, each with its own queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Reading the file.
    Extract,
    /// Answering the prompt.
    Answer,
}

impl Stage {
    /// The word stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Extract => "extract",
            Self::Answer => "answer",
        }
    }
}

/// A word that names no state or stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such {what}: {word:?}")]
pub struct UnknownWord {
    what: &'static str,
    word: String,
}

impl FromStr for JobState {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .iter()
            .copied()
            .find(|state| state.as_str() == word);
        found.ok_or_else(|| UnknownWord {
            what: "job state",
            word: word.to_owned(),
        })
    }
}

impl FromStr for Stage {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = [Self::Extract, Self::Answer]
            .into_iter()
            .find(|stage| stage.as_str() == word);
        found.ok_or_else(|| UnknownWord {
            what: "stage",
            word: word.to_owned(),
        })
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for state in JobState::ALL {
            assert_eq!(state.as_str().parse::<JobState>().unwrap(), *state);
        }
        assert_eq!("answer".parse::<Stage>().unwrap(), Stage::Answer);
        assert_eq!(
            "gone".parse::<JobState>().unwrap_err().to_string(),
            "no such job state: \"gone\""
        );
    }
}
