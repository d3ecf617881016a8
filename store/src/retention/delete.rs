//! The client deletes a job: its row, its events, and on request its file.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    blob::{FileStore, age},
    error::StoreError,
    ids::{JobId, Owner},
    job::JobState,
    store::Store,
};

/// A commit whose reply was lost takes effect within this time: sessions end after 10 s. A file that was used since is left to
/// the sweep.
const IN_DOUBT_FOR: Duration = Duration::from_mins(1);

/// What became of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// The job is gone.
    Deleted {
        /// Bytes that this owner no longer needs; somebody else may. For [`Store::remove_unnamed`].
        freed: Option<[u8; 32]>,
    },
    /// The job is in this state, being worked on or about to be; it is unchanged.
    InUse(JobState),
    /// The owner has no such job.
    NotFound,
}

impl Store {
    /// Deletes a job that is not being worked on. One that still waits is cancelled first, so that whoever watches it hears of
    /// its end; a worker that takes it up in this very moment loses it. With `purge` its file goes too, unless another job
    /// needs it.
    pub async fn delete_job(
        &self,
        owner: Owner,
        id: JobId,
        purge: bool,
    ) -> Result<DeleteOutcome, StoreError> {
        let Some(job) = self.job(owner, id).await? else {
            return Ok(DeleteOutcome::NotFound);
        };
        match job.state {
            JobState::Running | JobState::Streaming => return Ok(DeleteOutcome::InUse(job.state)),
            JobState::Queued | JobState::Scheduled => {
                self.cancel_job(owner, id).await?;
            }
            JobState::Completed | JobState::Failed | JobState::Cancelled | JobState::Dead => {}
        }
        let mut tx = self.begin().await?;
        if !lock_ended(&mut tx, owner, id).await? {
            tx.rollback().await?;
            // Deleted or retried by another request in between.
            let job = self.job(owner, id).await?;
            return Ok(job.map_or(DeleteOutcome::NotFound, |job| {
                DeleteOutcome::InUse(job.state)
            }));
        }
        let files = delete_jobs(&mut tx, &[id.0]).await?;
        let freed = if purge {
            delete_files(&mut tx, &files).await?
        } else {
            mark_unused(&mut tx, &files).await?;
            Vec::new()
        };
        tx.commit().await?;
        let freed = freed.first().copied();
        Ok(DeleteOutcome::Deleted { freed })
    }

    /// Removes a file that no row names. `false` when a row or an upload needs it, or did a moment ago: then the sweep sees to
    /// it.
    pub async fn remove_unnamed(
        &self,
        files: &FileStore,
        sha256: &[u8; 32],
    ) -> Result<bool, StoreError> {
        let Some(removal) = files.removal(sha256).await? else {
            return Ok(false);
        };
        let used_at = removal
            .used_at()
            .map_err(|error| StoreError::Files(error.into()))?;
        if age(used_at) < IN_DOUBT_FOR || self.is_named(sha256).await? {
            return Ok(false);
        }
        FileStore::remove(removal).await?;
        Ok(true)
    }

    /// Whether a row names a file with this hash. Asked with the file's [`crate::blob::Removal`] in hand, the answer stays.
    pub(super) async fn is_named(&self, sha256: &[u8; 32]) -> Result<bool, StoreError> {
        let named = sqlx::query_scalar!(
            r#"select exists (select from quire.files where sha256 = $1) as "named!""#,
            &sha256[..],
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(named)
    }
}

/// Locks the job's row if the job has ended.
async fn lock_ended(conn: &mut PgConnection, owner: Owner, id: JobId) -> Result<bool, StoreError> {
    let locked = sqlx::query_scalar!(
        "select id
         from quire.jobs
         where id = $1 and owner = $2 and finished_at is not null
         for update",
        id.0,
        owner.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(locked.is_some())
}

/// Deletes jobs that have ended, with their events, and says which files they had. The caller holds the jobs' locks.
pub(super) async fn delete_jobs(
    conn: &mut PgConnection,
    jobs: &[Uuid],
) -> Result<Vec<Uuid>, StoreError> {
    sqlx::query!(
        "delete from quire.job_events e
         using quire.jobs j
         where j.id = any ($1) and e.job_id = j.id and e.job_day = j.job_day",
        jobs,
    )
    .execute(&mut *conn)
    .await?;
    let files = sqlx::query_scalar!(
        "delete from quire.jobs
         where id = any ($1) and finished_at is not null
         returning file_id",
        jobs,
    )
    .fetch_all(conn)
    .await?;
    Ok(files)
}

/// Deletes the rows of files that no job has, and what was extracted from them; returns the hashes that their owner no longer
/// names.
pub(super) async fn delete_files(
    conn: &mut PgConnection,
    files: &[Uuid],
) -> Result<Vec<[u8; 32]>, StoreError> {
    let gone = sqlx::query!(
        "delete from quire.files f
         where f.id = any ($1) and not exists (select from quire.jobs j where j.file_id = f.id)
         returning f.owner, f.sha256",
        files,
    )
    .fetch_all(&mut *conn)
    .await?;
    let (owners, hashes): (Vec<Uuid>, Vec<Vec<u8>>) =
        gone.into_iter().map(|row| (row.owner, row.sha256)).unzip();
    sqlx::query!(
        "delete from quire.documents d
         using unnest($1::uuid[], $2::bytea[]) as gone (owner, sha256)
         where d.owner = gone.owner and d.sha256 = gone.sha256
           and not exists (select from quire.files f where f.sha256 = d.sha256 and f.owner = d.owner)",
        &owners,
        &hashes,
    )
    .execute(conn)
    .await?;
    Ok(hashes
        .iter()
        .filter_map(|hash| hash.as_slice().try_into().ok())
        .collect())
}

/// Files that were kept without their job go when their time is over, like jobs.
async fn mark_unused(conn: &mut PgConnection, files: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query!(
        "update quire.files f
         set unused_since = now()
         where f.id = any ($1) and not exists (select from quire.jobs j where j.file_id = f.id)",
        files,
    )
    .execute(conn)
    .await?;
    Ok(())
}
