//! What extraction found in a file, kept by content: the same bytes are not read twice, and result pages come from here.
//!
//! A document that was read with a password serves the jobs that opened it and nobody else: [`Store::extraction`] leaves it out,
//! so that a job which does not know the password fails at the file itself.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    error::StoreError, ids::Owner, jobs::AnswerOptions, lease::Lease, password::Password,
    store::Store, text::clean_json,
};

/// What an extraction begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Extraction {
    /// The document, when these bytes were read before without a password.
    pub document: Option<Value>,
    /// Opens the file.
    pub password: Option<Password>,
}

/// What answering begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Answering {
    /// What was read out of the file.
    pub document: Option<Value>,
    /// How the job is to be answered.
    pub options: AnswerOptions,
}

impl Store {
    /// What the extraction of the lease's file begins with: what is known of its bytes, by this version of the extractor, and the
    /// password that came with the job.
    pub async fn extraction(&self, lease: &Lease, version: i32) -> Result<Extraction, StoreError> {
        let found = sqlx::query!(
            r#"select (select content
                       from quire.documents
                       where sha256 = $1 and version = $2 and not locked
                       order by created_at
                       limit 1) as document,
                      (select p.password
                       from quire.passwords p
                       join quire.jobs j on j.id = p.job_id
                       where j.id = $3 and j.attempt_id = $4) as password"#,
            &lease.job.sha256[..],
            version,
            lease.job.id.0,
            lease.attempt_id,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Extraction {
            document: found.document,
            password: found.password.as_deref().and_then(Password::new),
        })
    }

    /// What answering begins with: the document of the lease's file, by this version of the extractor, whoever uploaded it first, and
    /// how the job is to be answered. What is shown to a user comes from [`Store::document_of`].
    pub async fn answering(&self, lease: &Lease, version: i32) -> Result<Answering, StoreError> {
        let found = sqlx::query!(
            r#"select j.model, j.schema,
                      (select content
                       from quire.documents
                       where sha256 = $2 and version = $3
                       order by created_at
                       limit 1) as document
               from quire.jobs j
               where j.id = $1"#,
            lease.job.id.0,
            &lease.job.sha256[..],
            version,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Answering {
            document: found.document,
            options: AnswerOptions {
                model: found.model,
                schema: found.schema,
            },
        })
    }

    /// The document of a file with these bytes, by this version of the extractor, of this owner.
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

/// Keeps the document of the lease's file. `locked`: it was read by a job that gave a password.
pub(super) async fn keep(
    conn: &mut PgConnection,
    lease: &Lease,
    (document, version): (&Value, i32),
    locked: bool,
) -> Result<(), StoreError> {
    let document = clean_json(document);
    sqlx::query!(
        "insert into quire.documents as d (owner, sha256, version, content, locked)
         values ($1, $2, $3, $4, $5)
         -- Whoever read it without a password has shown that it needs none.
         on conflict (sha256, version, owner) do update set locked = false
         where d.locked and not excluded.locked",
        lease.job.owner.0,
        &lease.job.sha256[..],
        version,
        &*document,
        locked,
    )
    .execute(conn)
    .await?;
    Ok(())
}
