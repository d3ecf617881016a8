//! Jobs whose time has come enter the queue. By the database's clock and never early; how late depends on how often this is
//! called (every half second by each registered worker).

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::StoreError,
    events::Event,
    ids::JobId,
    queue::{self, Entry},
    store::Store,
};

/// Jobs promoted in one transaction: some tens of milliseconds.
const BATCH: i64 = 500;

impl Store {
    /// Queues every job that is due, and says how many those were. Many processes may do this at once.
    pub async fn promote_due(&self) -> Result<u64, StoreError> {
        let mut promoted = 0;
        loop {
            let batch = self.promote_some().await?;
            promoted += batch;
            if batch < BATCH.unsigned_abs() {
                return Ok(promoted);
            }
        }
    }

    async fn promote_some(&self) -> Result<u64, StoreError> {
        if !any_due(&self.pool).await? {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let due = lock_due(&mut tx).await?;
        let tickets: Vec<Uuid> = due.iter().map(|_| queue::new_ticket()).collect();
        let entries = mark_queued(&mut tx, &due, &tickets).await?;
        queue::push(&mut tx, &entries).await?;
        let jobs: Vec<JobId> = entries.iter().map(|entry| entry.job).collect();
        let records = self.record(&mut tx, &jobs, &Event::Queued).await?;
        self.commit(tx, records).await?;
        Ok(entries.len() as u64)
    }
}

/// Asked twice a second by every worker: one look into a small index, no transaction.
async fn any_due(pool: &sqlx::PgPool) -> Result<bool, StoreError> {
    let any = sqlx::query_scalar!(
        r#"select exists (select from quire.jobs where state = 'scheduled' and due_at <= now()) as "any!""#
    )
    .fetch_one(pool)
    .await?;
    Ok(any)
}

async fn lock_due(conn: &mut PgConnection) -> Result<Vec<Uuid>, StoreError> {
    let due = sqlx::query_scalar!(
        "select id
         from quire.jobs
         where state = 'scheduled' and due_at <= now()
         order by due_at
         limit $1
         for update skip locked",
        BATCH,
    )
    .fetch_all(conn)
    .await?;
    Ok(due)
}

/// The caller holds the locks of the jobs.
async fn mark_queued(
    conn: &mut PgConnection,
    due: &[Uuid],
    tickets: &[Uuid],
) -> Result<Vec<Entry>, StoreError> {
    let rows = sqlx::query_as!(
        Promoted,
        r#"update quire.jobs j
           set state = 'queued', due_at = null, ticket = t.ticket, queued_at = date_trunc('second', now()),
               epoch = j.epoch + 1
           from unnest($1::uuid[], $2::uuid[]) as t (id, ticket)
           where j.id = t.id and j.state = 'scheduled'
           returning j.id, t.ticket as "ticket!", j.stage, j.priority,
                     extract(epoch from j.queued_at)::bigint as "queued_at!""#,
        due,
        tickets,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Entry::try_from).collect()
}

struct Promoted {
    id: Uuid,
    ticket: Uuid,
    stage: String,
    priority: i32,
    queued_at: i64,
}

impl TryFrom<Promoted> for Entry {
    type Error = StoreError;

    fn try_from(row: Promoted) -> Result<Self, StoreError> {
        let stage = row
            .stage
            .parse()
            .map_err(|error| StoreError::damaged("stage", &error))?;
        Ok(Self {
            job: JobId(row.id),
            ticket: row.ticket,
            stage,
            priority: row.priority,
            queued_at: row.queued_at,
        })
    }
}
