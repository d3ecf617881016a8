//! From the first stage to the second.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::documents;
use crate::{
    error::StoreError,
    events::Event,
    failpoint::failpoint,
    job::Stage,
    lease::Lease,
    queue::{self, Entry},
    store::Store,
};

impl Store {
    /// Stores the document and queues the job for its answer. `false`: somebody else owns the job, nothing was written.
    pub async fn finish_extract(
        &self,
        lease: &Lease,
        document: &Value,
        version: i32,
    ) -> Result<bool, StoreError> {
        self.settle(lease).await?;
        let ticket = queue::new_ticket();
        let mut tx = self.begin().await?;
        failpoint!("move job to its next stage");
        let Some(placed) = queue_answer(&mut tx, lease, ticket).await? else {
            return Ok(Self::refused(lease));
        };
        failpoint!("store document");
        documents::keep(&mut tx, lease, (document, version), placed.locked).await?;
        let (job, priority) = (lease.job.id, lease.job.priority);
        let entry = Entry {
            job,
            ticket,
            stage: Stage::Answer,
            priority,
            queued_at: placed.queued_at,
        };
        queue::push(&mut tx, &[entry]).await?;
        let progress = u8::try_from(placed.progress).unwrap_or_default();
        let event = Event::Progress {
            progress,
            stage: Stage::Answer,
            done: 0,
            total: None,
        };
        self.commit_end(tx, lease, Some(&event)).await
    }
}

struct Placed {
    queued_at: i64,
    progress: i16,
    /// The job came with a password, which this forgets.
    locked: bool,
}

/// The job keeps its place: what was uploaded first is answered first.
async fn queue_answer(
    conn: &mut PgConnection,
    lease: &Lease,
    ticket: Uuid,
) -> Result<Option<Placed>, StoreError> {
    let placed = sqlx::query_as!(
        Placed,
        r#"with mine as (
               select id, has_password
               from quire.jobs
               where id = $1 and attempt_id = $2 and state in ('running', 'streaming') and stage = 'extract'
               for update
           )
           update quire.jobs j
           set state = 'queued', stage = 'answer', ticket = $3, attempt = 0, interrupted = false, extract_took = now() - claimed_at,
               ran = ran + (now() - claimed_at), attempt_id = null, worker = null, claimed_at = null, epoch = epoch + 1
           from mine m
           where j.id = m.id
           returning extract(epoch from j.queued_at)::bigint as "queued_at!", j.progress, m.has_password as locked"#,
        lease.job.id.0,
        lease.attempt_id,
        ticket,
    )
    .fetch_optional(conn)
    .await?;
    Ok(placed)
}
