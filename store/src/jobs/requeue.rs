//! An attempt ends without having done anything: handed back, or taken back.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::StoreError,
    ids::JobId,
    job::Stage,
    lease::Lease,
    queue::{self, Entry},
    rules::{self, Cause, Cost},
    store::Store,
};

impl Store {
    /// Hands the job back to the queue, where it keeps its place; it costs none of its tries. For a worker that shuts down.
    /// `false`: somebody else owns the job.
    pub async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let cost = rules::cost(Cause::Shutdown);
        if !requeue(&mut tx, lease.job.id, lease.attempt_id, cost).await? {
            return Ok(Self::refused(lease));
        }
        self.commit_end(tx, lease, None).await
    }
}

/// Puts the job back at its place in the queue, if the attempt owns it.
pub(crate) async fn requeue(
    conn: &mut PgConnection,
    job: JobId,
    attempt_id: Uuid,
    cost: Cost,
) -> Result<bool, StoreError> {
    let ticket = queue::new_ticket();
    let Some(placed) = put_back(conn, (job, attempt_id), ticket, cost).await? else {
        return Ok(false);
    };
    let stage: Stage = placed
        .stage
        .parse()
        .map_err(|error| StoreError::damaged("stage", &error))?;
    let entry = Entry {
        job,
        ticket,
        stage,
        priority: placed.priority,
        queued_at: placed.queued_at,
    };
    queue::push(conn, &[entry]).await?;
    Ok(true)
}

struct Placed {
    stage: String,
    priority: i32,
    queued_at: i64,
}

async fn put_back(
    conn: &mut PgConnection,
    (job, attempt_id): (JobId, Uuid),
    ticket: Uuid,
    cost: Cost,
) -> Result<Option<Placed>, StoreError> {
    let placed = sqlx::query_as!(
        Placed,
        r#"update quire.jobs
           set state = 'queued', ticket = $3, interrupted = true,
               crashes = crashes + $4, failures = failures + $5, attempt = attempt + $6,
               crashed = case when $4 > 0 then worker else crashed end,
               ran = ran + (now() - claimed_at), attempt_id = null, worker = null, claimed_at = null, epoch = epoch + 1
           where id = $1 and attempt_id = $2 and state in ('running', 'streaming')
           returning stage, priority, extract(epoch from queued_at)::bigint as "queued_at!""#,
        job.0,
        attempt_id,
        ticket,
        cost.crashes,
        cost.failures,
        cost.attempts,
    )
    .fetch_optional(conn)
    .await?;
    Ok(placed)
}
