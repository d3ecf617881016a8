//! The way back for dead letters, chosen by what an operator sees of them.

use sqlx::PgConnection;
use uuid::Uuid;

use super::DeadFilter;
use crate::{error::StoreError, store::Store};

/// Jobs queued in one transaction: some tens of milliseconds.
const BATCH: i64 = 500;

impl Store {
    /// Queues up to `limit` of the failed and dead jobs again that match, whoever they belong to, those that ended first before
    /// others, and says how many those were. Each begins a new run with fresh budgets.
    pub async fn requeue_letters(
        &self,
        filter: &DeadFilter,
        limit: u32,
    ) -> Result<u64, StoreError> {
        let (mut requeued, mut left) = (0, i64::from(limit));
        while left > 0 {
            let wanted = BATCH.min(left);
            let mut tx = self.begin().await?;
            let letters = lock(&mut tx, filter, wanted).await?;
            let batch = self.requeue_locked(tx, &letters).await?;
            requeued += batch;
            if batch < wanted.unsigned_abs() {
                break;
            }
            left -= wanted;
        }
        Ok(requeued)
    }
}

async fn lock(
    conn: &mut PgConnection,
    filter: &DeadFilter,
    wanted: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let ids = sqlx::query_scalar!(
        "select id
         from quire.jobs
         where state in ('failed', 'dead')
           and ($1::text is null or error_code = $1)
           and (cardinality($2::uuid[]) = 0 or id = any ($2))
         order by finished_at, id
         limit $3
         for update skip locked",
        filter.code.as_deref(),
        &filter.ids(),
        wanted,
    )
    .fetch_all(conn)
    .await?;
    Ok(ids)
}
