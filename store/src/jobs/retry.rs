//! The client wants an ended job run again: a new run from the start, with fresh budgets and an end of its own.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{read, types::RetryOutcome};
use crate::{
    error::StoreError,
    events::Event,
    ids::{JobId, Owner},
    job::Stage,
    password::Password,
    queue::{self, Entry},
    store::Store,
};

impl Store {
    /// Queues a failed, dead or cancelled job again. It starts with extraction, which is quick where the document is kept.
    pub async fn retry_job(&self, owner: Owner, id: JobId) -> Result<RetryOutcome, StoreError> {
        self.retry_job_with(owner, id, None).await
    }

    /// The same with the password of an encrypted file: the one of the upload is forgotten once a job has ended.
    pub async fn retry_job_with(
        &self,
        owner: Owner,
        id: JobId,
        password: Option<&Password>,
    ) -> Result<RetryOutcome, StoreError> {
        let ticket = queue::new_ticket();
        let mut tx = self.begin().await?;
        let Some(queued_at) = mark_queued(&mut tx, owner, id, ticket).await? else {
            let job = read::owned(&mut tx, owner, id).await?;
            return Ok(job.map_or(RetryOutcome::NotFound, RetryOutcome::InvalidState));
        };
        if let Some(password) = password {
            lock(&mut tx, id, password).await?;
        }
        let job = read::touched(&mut tx, id).await?;
        let entry = Entry {
            job: id,
            ticket,
            stage: Stage::Extract,
            priority: job.priority,
            queued_at,
        };
        queue::push(&mut tx, &[entry]).await?;
        let records = self.record(&mut tx, &[id], &Event::Queued).await?;
        self.commit(tx, records).await?;
        Ok(RetryOutcome::Queued(job))
    }
}

/// `None`: no such job, or it has not ended badly. Else its place in the queue.
async fn mark_queued(
    conn: &mut PgConnection,
    owner: Owner,
    id: JobId,
    ticket: Uuid,
) -> Result<Option<i64>, StoreError> {
    let queued_at = sqlx::query_scalar!(
        r#"update quire.jobs
           set state = 'queued', stage = 'extract', progress = 0, ticket = $3, queued_at = date_trunc('second', now()),
               run = run + 1, attempt = 0, failures = 0, crashes = 0, snoozes = 0, ran = '0', crashed = null,
               interrupted = false, epoch = epoch + 1,
               started_at = null, finished_at = null, error_code = null, error_message = null
           where id = $1 and owner = $2 and state in ('failed', 'dead', 'cancelled')
           returning extract(epoch from queued_at)::bigint as "queued_at!""#,
        id.0,
        owner.0,
        ticket,
    )
    .fetch_optional(conn)
    .await?;
    Ok(queued_at)
}

/// Keeps the password until the extraction has ended; the job's row is locked by the caller's update.
async fn lock(conn: &mut PgConnection, id: JobId, password: &Password) -> Result<(), StoreError> {
    sqlx::query!(
        "with kept as (
             insert into quire.passwords (job_id, password)
             values ($1, $2)
         )
         update quire.jobs
         set has_password = true
         where id = $1",
        id.0,
        password.expose(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
