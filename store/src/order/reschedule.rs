//! Another time for a job that waits, in the queue or for its time.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::MoveOutcome;
use crate::{
    error::StoreError,
    events::Event,
    ids::{JobId, Owner},
    job::Stage,
    jobs,
    queue::{self, Entry},
    store::Store,
};

impl Store {
    /// Lets a waiting job start at `at` and not before; a time that has passed means now. A job that is in the queue already and
    /// may start now keeps its place.
    pub async fn reschedule(
        &self,
        owner: Owner,
        id: JobId,
        at: DateTime<Utc>,
    ) -> Result<MoveOutcome, StoreError> {
        let ticket = queue::new_ticket();
        let mut tx = self.begin().await?;
        let Some(moved) = set_time(&mut tx, (owner, id), at, ticket).await? else {
            let job = jobs::owned(&mut tx, owner, id).await?;
            return Ok(job.map_or(MoveOutcome::NotFound, MoveOutcome::InvalidState));
        };
        let stage = moved.stage()?;
        if let Some(old) = moved.old_ticket.filter(|_| moved.ticket.is_none()) {
            queue::withdraw(&mut tx, &[(stage, old)]).await?;
        }
        if let (None, Some(ticket), Some(queued_at)) =
            (moved.old_ticket, moved.ticket, moved.queued_at)
        {
            let entry = Entry {
                job: id,
                ticket,
                stage,
                priority: moved.priority,
                queued_at,
            };
            queue::push(&mut tx, &[entry]).await?;
        }
        let records = self.record(&mut tx, &[id], &Event::Queued).await?;
        let job = jobs::touched(&mut tx, id).await?;
        self.commit(tx, records).await?;
        Ok(MoveOutcome::Moved(job))
    }
}

struct Moved {
    stage: String,
    priority: i32,
    old_ticket: Option<Uuid>,
    ticket: Option<Uuid>,
    queued_at: Option<i64>,
}

impl Moved {
    fn stage(&self) -> Result<Stage, StoreError> {
        self.stage
            .parse()
            .map_err(|error| StoreError::damaged("stage", &error))
    }
}

async fn set_time(
    conn: &mut PgConnection,
    (owner, id): (Owner, JobId),
    at: DateTime<Utc>,
    ticket: Uuid,
) -> Result<Option<Moved>, StoreError> {
    let moved = sqlx::query_as!(
        Moved,
        r#"with waiting as (
               select id, ticket, $3 > now() as waits
               from quire.jobs
               where id = $1 and owner = $2 and state in ('queued', 'scheduled')
               for update
           )
           update quire.jobs j
           set scheduled_at = $3, epoch = j.epoch + 1,
               state = case when w.waits then 'scheduled' else 'queued' end,
               due_at = case when w.waits then $3 end,
               ticket = case when w.waits then null else coalesce(w.ticket, $4) end,
               queued_at = case when w.waits or w.ticket is not null then j.queued_at else date_trunc('second', now()) end
           from waiting w
           where j.id = w.id
           returning j.stage, j.priority, w.ticket as old_ticket, j.ticket,
                     extract(epoch from j.queued_at)::bigint as queued_at"#,
        id.0,
        owner.0,
        at,
        ticket,
    )
    .fetch_optional(conn)
    .await?;
    Ok(moved)
}
