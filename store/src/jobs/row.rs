//! A job's row with its file's, as the statements return it.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    error::StoreError,
    ids::{FileId, JobId, Owner},
    job::Job,
};

/// Every column of a [`Job`].
pub(super) struct JobRow {
    pub(super) id: Uuid,
    pub(super) owner: Uuid,
    pub(super) file_id: Uuid,
    pub(super) file_name: String,
    pub(super) media: String,
    pub(super) sha256: Vec<u8>,
    pub(super) bytes: i64,
    pub(super) prompt: String,
    pub(super) priority: i32,
    pub(super) state: String,
    pub(super) stage: String,
    pub(super) progress: i16,
    pub(super) attempt: i32,
    pub(super) scheduled_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) started_at: Option<DateTime<Utc>>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) answer: Option<String>,
    pub(super) result: Option<Value>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
}

/// A checked query for whole jobs: the columns are written once, here, the rest of the statement where it is used.
macro_rules! job_query {
    ($rest:literal $(, $arg:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::jobs::row::JobRow,
            "select j.id, j.owner, j.file_id, f.name as file_name, f.media, f.sha256, f.bytes, j.prompt, j.priority,
                    j.state, j.stage, j.progress, j.attempt, j.scheduled_at, j.created_at, j.started_at, j.finished_at,
                    j.answer, j.result, j.error_code, j.error_message
             from quire.jobs j
             join quire.files f on f.id = j.file_id
             " + $rest
            $(, $arg)*
        )
    };
}
pub(super) use job_query;

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let sha256 = <[u8; 32]>::try_from(row.sha256.as_slice())
            .map_err(|error| StoreError::damaged("sha256", &error))?;
        Ok(Self {
            id: JobId(row.id),
            owner: Owner(row.owner),
            file_id: FileId(row.file_id),
            file_name: row.file_name,
            media: row.media,
            sha256,
            bytes: row.bytes,
            prompt: row.prompt,
            priority: row.priority,
            state: row
                .state
                .parse()
                .map_err(|error| StoreError::damaged("state", &error))?,
            stage: row
                .stage
                .parse()
                .map_err(|error| StoreError::damaged("stage", &error))?,
            progress: row.progress,
            attempt: row.attempt,
            scheduled_at: row.scheduled_at,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
            answer: row.answer,
            result: row.result,
            error_code: row.error_code,
            error_message: row.error_message,
        })
    }
}
