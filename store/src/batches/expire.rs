//! Batches go when their jobs are gone.

use crate::{error::StoreError, store::Store};

impl Store {
    /// Deletes batches that were opened more than `days` days ago and have no job left, and says how many.
    pub async fn expire_batches(&self, days: u32) -> Result<u64, StoreError> {
        let expired = sqlx::query!(
            "delete from quire.batches b
             where b.created_at < now() - make_interval(days => $1)
               and not exists (select from quire.batch_items i where i.batch_id = b.id and i.job_id is not null)",
            i32::try_from(days).unwrap_or(i32::MAX),
        )
        .execute(&self.pool)
        .await?;
        Ok(expired.rows_affected())
    }
}
