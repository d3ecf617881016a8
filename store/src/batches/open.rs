//! Opening a batch. It is a row of its own, so that a client that was cut off finds what it has sent so far.

use sqlx::PgConnection;

use super::{
    read::{self, BatchRow},
    types::{Batch, NewBatch, Opened},
};
use crate::{
    error::StoreError,
    ids::{BatchId, Owner},
    jobs::Idempotency,
    store::Store,
    text::clean,
};

impl Store {
    /// Opens a batch. With an idempotency key, any number of identical requests, also at once, give one batch.
    pub async fn open_batch(&self, new: NewBatch) -> Result<Opened, StoreError> {
        let mut conn = self.pool.acquire().await?;
        if let Some(batch) = insert(&mut conn, &new).await? {
            return Ok(Opened::New(batch));
        }
        let Some(wanted) = &new.idempotency else {
            return Err(StoreError::damaged("batch id", &"drawn twice"));
        };
        Ok(by_key(&mut conn, new.owner, wanted)
            .await?
            .map_or(Opened::Mismatch, Opened::Replayed))
    }
}

/// `None`: the key is taken. Waits for a request with the same key that is under way.
async fn insert(conn: &mut PgConnection, new: &NewBatch) -> Result<Option<Batch>, StoreError> {
    let idempotency = new.idempotency.as_ref();
    let name = new.name.as_deref().map(clean);
    let key = idempotency.map(|i| clean(&i.key));
    let hash = idempotency.map(|i| &i.request_hash[..]);
    let row = sqlx::query_as!(
        BatchRow,
        "insert into quire.batches (id, owner, name, idempotency_key, request_hash)
         values ($1, $2, $3, $4, $5)
         on conflict (owner, idempotency_key) where idempotency_key is not null do nothing
         returning id, name, created_at, cancelled_at",
        BatchId::generate().0,
        new.owner.0,
        name.as_deref(),
        key.as_deref(),
        hash,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Batch::from))
}

/// The batch of an earlier request with this key, if that request was the same.
async fn by_key(
    conn: &mut PgConnection,
    owner: Owner,
    wanted: &Idempotency,
) -> Result<Option<Batch>, StoreError> {
    let found = read::by_key(conn, owner, &clean(&wanted.key)).await?;
    Ok(found
        .filter(|(_, hash)| *hash == wanted.request_hash)
        .map(|(batch, _)| batch))
}
