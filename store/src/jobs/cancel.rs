//! The client ends a job: at once, whatever state it is in. The running attempt is not asked; it is fenced out and told.

use sqlx::PgConnection;
use uuid::Uuid;

use super::{read, types::CancelOutcome};
use crate::{
    error::StoreError,
    events::{Event, notify_ended},
    ids::{JobId, Owner},
    job::Stage,
    queue,
    store::Store,
};

impl Store {
    /// Ends a job that has not ended. Its terminal event is written here, in the same transaction.
    pub async fn cancel_job(&self, owner: Owner, id: JobId) -> Result<CancelOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let Some(before) = mark_cancelled(&mut tx, owner, id).await? else {
            let job = read::owned(&mut tx, owner, id).await?;
            return Ok(job.map_or(CancelOutcome::NotFound, CancelOutcome::InvalidState));
        };
        if let Some(ticket) = before.ticket {
            queue::withdraw(&mut tx, before.stage()?, ticket).await?;
        }
        if let Some(attempt_id) = before.attempt_id {
            notify_ended(&mut tx, self.inner.process, id, attempt_id).await?;
        }
        let records = self.record(&mut tx, &[id], &Event::Cancelled).await?;
        let job = read::touched(&mut tx, id).await?;
        self.commit(tx, records).await?;
        if let Some(attempt_id) = before.attempt_id {
            self.inner.attempts.fence(id, attempt_id);
        }
        Ok(CancelOutcome::Cancelled(job))
    }
}

/// What the job was doing.
struct Before {
    stage: String,
    ticket: Option<Uuid>,
    attempt_id: Option<Uuid>,
}

impl Before {
    fn stage(&self) -> Result<Stage, StoreError> {
        self.stage
            .parse()
            .map_err(|error| StoreError::damaged("stage", &error))
    }
}

async fn mark_cancelled(
    conn: &mut PgConnection,
    owner: Owner,
    id: JobId,
) -> Result<Option<Before>, StoreError> {
    let before = sqlx::query_as!(
        Before,
        "with live as (
             select id, stage, ticket, attempt_id
             from quire.jobs
             where id = $1 and owner = $2 and state in ('queued', 'scheduled', 'running', 'streaming')
             for update
         )
         update quire.jobs j
         set state = 'cancelled', finished_at = now(), ticket = null, due_at = null,
             attempt_id = null, worker = null, claimed_at = null, epoch = j.epoch + 1
         from live l
         where j.id = l.id
         returning l.stage, l.ticket, l.attempt_id",
        id.0,
        owner.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(before)
}
