//! Ending a batch: nothing can be added any more, and every job of it that has not ended is cancelled like any other.
//!
//! The batch is closed first, under the lock that adding takes, so that no job can slip in behind the ones that are found.
//! Breaking off in the middle leaves a closed batch with some live jobs; cancelling again goes on.

use uuid::Uuid;

use crate::{
    error::StoreError,
    ids::{BatchId, Owner},
    store::Store,
};

/// Jobs that are cancelled at once.
const PAGE: i64 = 500;

impl Store {
    /// Closes the batch and cancels what has not ended. `None`: this owner has no such batch; else the number of jobs
    /// that this call ended.
    pub async fn cancel_batch(&self, owner: Owner, id: BatchId) -> Result<Option<u64>, StoreError> {
        if !self.close_batch(owner, id).await? {
            return Ok(None);
        }
        let (mut ended, mut after) = (0, Uuid::nil());
        loop {
            let jobs = self.live_jobs(id, after).await?;
            let Some(last) = jobs.last().copied() else {
                return Ok(Some(ended));
            };
            ended += self.cancel_jobs(owner, &jobs).await?;
            after = last;
        }
    }

    async fn close_batch(&self, owner: Owner, id: BatchId) -> Result<bool, StoreError> {
        let closed = sqlx::query!(
            "update quire.batches
             set cancelled_at = coalesce(cancelled_at, now())
             where owner = $1 and id = $2",
            owner.0,
            id.0,
        )
        .execute(&self.pool)
        .await?;
        Ok(closed.rows_affected() == 1)
    }

    /// Jobs of the batch that have not ended, in the order of their ids, behind `after`.
    async fn live_jobs(&self, id: BatchId, after: Uuid) -> Result<Vec<Uuid>, StoreError> {
        let jobs = sqlx::query_scalar!(
            "select j.id
             from quire.batch_items i
             join quire.jobs j on j.id = i.job_id
             where i.batch_id = $1 and j.id > $2 and j.finished_at is null
             order by j.id
             limit $3",
            id.0,
            after,
            PAGE,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(jobs)
    }
}
