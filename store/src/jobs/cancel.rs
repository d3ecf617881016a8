//! The client ends jobs: at once, whatever state they are in. A running attempt is not asked; it is fenced out and told.

use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::{read, types::CancelOutcome};
use crate::{
    error::StoreError,
    events::{Event, EventRecord, notify_ended},
    ids::{JobId, Owner},
    job::Stage,
    queue,
    store::Store,
};

impl Store {
    /// Ends a job that has not ended. Its terminal event is written here, in the same transaction.
    pub async fn cancel_job(&self, owner: Owner, id: JobId) -> Result<CancelOutcome, StoreError> {
        let mut tx = self.begin().await?;
        let cancelled = self.cancel_in(&mut tx, owner, &[id.0]).await?;
        if cancelled.before.is_empty() {
            let job = read::owned(&mut tx, owner, id).await?;
            return Ok(job.map_or(CancelOutcome::NotFound, CancelOutcome::InvalidState));
        }
        let job = read::touched(&mut tx, id).await?;
        self.commit_cancelled(tx, cancelled).await?;
        Ok(CancelOutcome::Cancelled(job))
    }

    /// Ends those of the jobs that have not ended, all in one transaction, and says how many. Some hundreds at once hold up nobody:
    /// 500 take about 0.1 s.
    pub(crate) async fn cancel_jobs(&self, owner: Owner, ids: &[Uuid]) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let cancelled = self.cancel_in(&mut tx, owner, ids).await?;
        let count = cancelled.before.len() as u64;
        self.commit_cancelled(tx, cancelled).await?;
        Ok(count)
    }

    async fn cancel_in(
        &self,
        conn: &mut PgConnection,
        owner: Owner,
        ids: &[Uuid],
    ) -> Result<Cancelled, StoreError> {
        let before = mark_cancelled(conn, owner, ids).await?;
        let (mut tickets, mut jobs) = (Vec::new(), Vec::with_capacity(before.len()));
        for job in &before {
            jobs.push(JobId(job.id));
            if let Some(ticket) = job.ticket {
                tickets.push((job.stage()?, ticket));
            }
            if let Some(attempt_id) = job.attempt_id {
                notify_ended(conn, self.inner.process, JobId(job.id), attempt_id).await?;
            }
        }
        queue::withdraw(conn, &tickets).await?;
        let records = self.record(conn, &jobs, &Event::Cancelled).await?;
        Ok(Cancelled { before, records })
    }

    async fn commit_cancelled(
        &self,
        tx: Transaction<'static, Postgres>,
        cancelled: Cancelled,
    ) -> Result<(), StoreError> {
        self.commit(tx, cancelled.records).await?;
        for job in cancelled.before {
            if let Some(attempt_id) = job.attempt_id {
                self.inner.attempts.fence(JobId(job.id), attempt_id);
            }
        }
        Ok(())
    }
}

/// Jobs that are cancelled once the transaction is committed.
struct Cancelled {
    before: Vec<Before>,
    records: Vec<EventRecord>,
}

/// What a job was doing.
struct Before {
    id: Uuid,
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
    ids: &[Uuid],
) -> Result<Vec<Before>, StoreError> {
    let before = sqlx::query_as!(
        Before,
        "with live as (
             select id, stage, ticket, attempt_id
             from quire.jobs
             where id = any ($1) and owner = $2 and state in ('queued', 'scheduled', 'running', 'streaming')
             -- One order for all who lock several jobs.
             order by id
             for update
         )
         update quire.jobs j
         set state = 'cancelled', finished_at = now(), ticket = null, due_at = null,
             attempt_id = null, worker = null, claimed_at = null, epoch = j.epoch + 1
         from live l
         where j.id = l.id
         returning l.id, l.stage, l.ticket, l.attempt_id",
        ids,
        owner.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(before)
}
