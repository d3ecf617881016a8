//! Another priority for a job that waits. It keeps its age among the jobs of that priority.

use sqlx::PgConnection;
use uuid::Uuid;

use super::MoveOutcome;
use crate::{
    error::StoreError,
    ids::{JobId, Owner},
    jobs,
    store::Store,
};

impl Store {
    /// Gives a waiting job another priority, for both of its stages.
    pub async fn prioritize(
        &self,
        owner: Owner,
        id: JobId,
        priority: i32,
    ) -> Result<MoveOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let Some(ticket) = set_priority(&mut tx, owner, id, priority).await? else {
            let job = jobs::owned(&mut tx, owner, id).await?;
            return Ok(job.map_or(MoveOutcome::NotFound, MoveOutcome::InvalidState));
        };
        if let Some(ticket) = ticket {
            set_entry_priority(&mut tx, ticket, priority).await?;
        }
        let job = jobs::touched(&mut tx, id).await?;
        tx.commit().await?;
        Ok(MoveOutcome::Moved(job))
    }
}

/// `None`: no such job, or it does not wait. Else its ticket, if it is in the queue already.
async fn set_priority(
    conn: &mut PgConnection,
    owner: Owner,
    id: JobId,
    priority: i32,
) -> Result<Option<Option<Uuid>>, StoreError> {
    let ticket = sqlx::query_scalar!(
        "update quire.jobs
         set priority = $3
         where id = $1 and owner = $2 and state in ('queued', 'scheduled')
         returning ticket",
        id.0,
        owner.0,
        priority,
    )
    .fetch_optional(conn)
    .await?;
    Ok(ticket)
}

/// An entry that a worker has in hand is past its waiting.
async fn set_entry_priority(
    conn: &mut PgConnection,
    ticket: Uuid,
    priority: i32,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update apalis.jobs
         set priority = $3
         where job_type = any ($1) and idempotency_key = $2 and status in ('Pending', 'Failed')",
        &crate::queue::QUEUES.map(str::to_owned),
        ticket.to_string(),
        priority,
    )
    .execute(conn)
    .await?;
    Ok(())
}
