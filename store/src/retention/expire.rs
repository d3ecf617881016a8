//! Ended jobs whose time is over are deleted, a few at a time.

use sqlx::PgConnection;
use uuid::Uuid;

use super::delete::{delete_files, delete_jobs};
use crate::{error::StoreError, store::Store};

/// Jobs deleted in one transaction: with a hundred events each, some tens of milliseconds.
const BATCH: i64 = 200;
/// Jobs deleted in one call, so that a large backlog does not keep the database from its work.
const AT_MOST: u64 = 10_000;

impl Store {
    /// Deletes jobs that ended more than `days` days ago, with their events, documents and the rows of their files, and says how
    /// many. The bytes go with the next sweeps.
    pub async fn expire_jobs(&self, days: u32) -> Result<u64, StoreError> {
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        let mut expired = 0;
        while expired < AT_MOST {
            let batch = self.expire_some(days).await?;
            expired += batch;
            if batch < BATCH.unsigned_abs() {
                break;
            }
        }
        Ok(expired)
    }

    async fn expire_some(&self, days: i32) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let jobs = lock_expired(&mut tx, days).await?;
        let mut files = delete_jobs(&mut tx, &jobs).await?;
        files.extend(unused(&mut tx, days).await?);
        delete_files(&mut tx, &files).await?;
        tx.commit().await?;
        Ok(jobs.len() as u64)
    }
}

async fn lock_expired(conn: &mut PgConnection, days: i32) -> Result<Vec<Uuid>, StoreError> {
    let jobs = sqlx::query_scalar!(
        "select id
         from quire.jobs
         where finished_at < now() - make_interval(days => $1)
         order by finished_at
         limit $2
         for update skip locked",
        days,
        BATCH,
    )
    .fetch_all(conn)
    .await?;
    Ok(jobs)
}

/// Files whose jobs were deleted without them, as long ago.
async fn unused(conn: &mut PgConnection, days: i32) -> Result<Vec<Uuid>, StoreError> {
    let files = sqlx::query_scalar!(
        "select id
         from quire.files
         where unused_since < now() - make_interval(days => $1)
         order by unused_since
         limit $2
         for update skip locked",
        days,
        BATCH,
    )
    .fetch_all(conn)
    .await?;
    Ok(files)
}
