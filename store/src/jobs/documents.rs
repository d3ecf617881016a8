//! What extraction found in a file, kept by content: the same bytes are not read twice, and result pages come from here.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{error::StoreError, ids::Owner, lease::Lease, store::Store, text::clean_json};

impl Store {
    /// The document of a file with these bytes, by this version of the extractor, whoever uploaded it first. For workers, who
    /// hold the bytes anyway; what is shown to a user comes from [`Store::document_of`].
    pub async fn document(
        &self,
        sha256: &[u8; 32],
        version: i32,
    ) -> Result<Option<Value>, StoreError> {
        let content = sqlx::query_scalar!(
            "select content
             from quire.documents
             where sha256 = $1 and version = $2
             order by created_at
             limit 1",
            &sha256[..],
            version,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(content)
    }

    /// The same, of this owner only.
    pub async fn document_of(
        &self,
        owner: Owner,
        sha256: &[u8; 32],
        version: i32,
    ) -> Result<Option<Value>, StoreError> {
        let content = sqlx::query_scalar!(
            "select content
             from quire.documents
             where sha256 = $1 and version = $2 and owner = $3",
            &sha256[..],
            version,
            owner.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(content)
    }
}

/// Keeps the document of the lease's file.
pub(super) async fn keep(
    conn: &mut PgConnection,
    lease: &Lease,
    document: &Value,
    version: i32,
) -> Result<(), StoreError> {
    let document = clean_json(document);
    sqlx::query!(
        "insert into quire.documents (owner, sha256, version, content)
         values ($1, $2, $3, $4)
         on conflict do nothing",
        lease.job.owner.0,
        &lease.job.sha256[..],
        version,
        &*document,
    )
    .execute(conn)
    .await?;
    Ok(())
}
