//! Everything the database says about what has happened, read whole, for tests that judge it from outside.
//!
//! Plain values and no behaviour: whoever checks a history must not trust the code under test for its reading either.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::{error::StoreError, store::Store};

/// Jobs, events and files, as the tables have them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// `quire.jobs`
    pub jobs: Vec<JobLine>,
    /// `quire.job_events`, by job and `seq`.
    pub events: Vec<EventLine>,
    /// `quire.files`
    pub files: Vec<FileLine>,
}

/// A row of `quire.jobs`.
#[derive(Clone, Debug)]
pub struct JobLine {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// Its file's row.
    pub file_id: Uuid,
    /// The word of its state.
    pub state: String,
    /// Runs asked for by hand before this one.
    pub run: i32,
    /// Starts of the present stage.
    pub attempt: i32,
    /// Failed tries.
    pub failures: i32,
    /// Worker deaths.
    pub crashes: i32,
    /// The answer.
    pub answer: Option<String>,
    /// The last error's code.
    pub error_code: Option<String>,
    /// The client's key.
    pub idempotency_key: Option<String>,
}

/// A row of `quire.job_events`.
#[derive(Clone, Debug)]
pub struct EventLine {
    /// The job.
    pub job_id: Uuid,
    /// Its number.
    pub seq: i64,
    /// Whose job it is.
    pub owner: Uuid,
    /// The run it belongs to.
    pub run: i32,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The word of its kind.
    pub kind: String,
    /// What it says.
    pub body: Value,
}

/// A row of `quire.files`.
#[derive(Clone, Debug)]
pub struct FileLine {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// The name of the bytes in the file store.
    pub sha256: Vec<u8>,
    /// Their size.
    pub bytes: i64,
}

impl Store {
    /// Reads the tables, in one snapshot.
    pub async fn tables(&self) -> Result<Tables, StoreError> {
        let mut tx = self
            .inner
            .pool
            .begin_with("begin isolation level repeatable read read only")
            .await?;
        let jobs = sqlx::query_as!(
            JobLine,
            "select id, owner, file_id, state, run, attempt, failures, crashes, answer, error_code, idempotency_key
             from quire.jobs
             order by id"
        )
        .fetch_all(&mut *tx)
        .await?;
        let events = sqlx::query_as!(
            EventLine,
            "select job_id, seq, owner, run, at, kind, body
             from quire.job_events
             order by job_id, seq"
        )
        .fetch_all(&mut *tx)
        .await?;
        let files = sqlx::query_as!(
            FileLine,
            "select id, owner, sha256, bytes from quire.files order by id"
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Tables {
            jobs,
            events,
            files,
        })
    }

    /// Jobs that a worker of this name, or of one that begins so, owns now.
    pub async fn owned_by(&self, worker: &str) -> Result<Vec<Uuid>, StoreError> {
        let jobs = sqlx::query_scalar!(
            "select id from quire.jobs where starts_with(worker, $1)",
            worker,
        )
        .fetch_all(&self.inner.pool)
        .await?;
        Ok(jobs)
    }

    /// How many jobs have not ended.
    pub async fn unfinished(&self) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from quire.jobs where finished_at is null"#
        )
        .fetch_one(&self.inner.pool)
        .await?;
        Ok(count)
    }

    /// When the first sign of life of any job after `after` was written: an event of a running attempt.
    pub async fn first_move_after(
        &self,
        after: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StoreError> {
        let at = sqlx::query_scalar!(
            "select min(at)
             from quire.job_events
             where at > $1 and kind <> 'queued'",
            after,
        )
        .fetch_one(&self.inner.pool)
        .await?;
        Ok(at)
    }
}
