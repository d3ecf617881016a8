//! Reading batches.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::types::{Batch, BatchPage};
use crate::{
    error::StoreError,
    ids::{BatchId, Owner},
    store::Store,
};

/// Longest page.
const MAX_PAGE: u32 = 200;

/// Every column of a [`Batch`].
pub(super) struct BatchRow {
    pub(super) id: Uuid,
    pub(super) name: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) cancelled_at: Option<DateTime<Utc>>,
}

impl From<BatchRow> for Batch {
    fn from(row: BatchRow) -> Self {
        Self {
            id: BatchId(row.id),
            name: row.name,
            created_at: row.created_at,
            cancelled_at: row.cancelled_at,
        }
    }
}

impl Store {
    /// A batch of this owner.
    pub async fn batch(&self, owner: Owner, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let row = sqlx::query_as!(
            BatchRow,
            "select id, name, created_at, cancelled_at
             from quire.batches
             where owner = $1 and id = $2",
            owner.0,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(Batch::from))
    }

    /// One page of the owner's batches (1 to 200), newest first.
    pub async fn list_batches(
        &self,
        owner: Owner,
        after: Option<BatchId>,
        limit: u32,
    ) -> Result<BatchPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut batches = self
            .batches_after(owner, after, i64::from(limit) + 1)
            .await?;
        let more = batches.len() > limit as usize;
        batches.truncate(limit as usize);
        let next = batches.last().filter(|_| more).map(|(batch, _)| batch.id);
        Ok(BatchPage { batches, next })
    }

    async fn batches_after(
        &self,
        owner: Owner,
        after: Option<BatchId>,
        limit: i64,
    ) -> Result<Vec<(Batch, i64)>, StoreError> {
        let rows = sqlx::query!(
            r#"select b.id, b.name, b.created_at, b.cancelled_at,
                      (select count(*) from quire.batch_items i where i.batch_id = b.id) as "items!"
               from quire.batches b
               where b.owner = $1 and ($2::uuid is null or b.id < $2)
               order by b.id desc
               limit $3"#,
            owner.0,
            after.map(|after| after.0),
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let batch = |id, name, created_at, cancelled_at| Batch {
            id: BatchId(id),
            name,
            created_at,
            cancelled_at,
        };
        Ok(rows
            .into_iter()
            .map(|row| {
                let items = row.items;
                (
                    batch(row.id, row.name, row.created_at, row.cancelled_at),
                    items,
                )
            })
            .collect())
    }
}

/// The batch with this idempotency key, and the hash of the request that opened it.
pub(super) async fn by_key(
    conn: &mut PgConnection,
    owner: Owner,
    key: &str,
) -> Result<Option<(Batch, Vec<u8>)>, StoreError> {
    let row = sqlx::query!(
        r#"select id, name, created_at, cancelled_at, request_hash as "request_hash!"
           from quire.batches
           where owner = $1 and idempotency_key = $2"#,
        owner.0,
        key,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let batch = Batch {
            id: BatchId(row.id),
            name: row.name,
            created_at: row.created_at,
            cancelled_at: row.cancelled_at,
        };
        (batch, row.request_hash)
    }))
}
