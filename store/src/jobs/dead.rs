//! Dead letters: jobs that have spent their tries, and the way back for many of them at once.

use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{
    error::StoreError,
    events::Event,
    ids::{JobId, Owner},
    job::Stage,
    queue::{self, Entry},
    store::Store,
};

/// Jobs requeued in one transaction: some tens of milliseconds.
const BATCH: i64 = 500;

impl Store {
    /// Queues up to `limit` dead jobs of the owner again, those that died first before others, and says how many those were.
    /// Each begins a new run with fresh budgets, as [`Store::retry_job`] has it.
    pub async fn requeue_dead(&self, owner: Owner, limit: i64) -> Result<u64, StoreError> {
        let (mut requeued, mut left) = (0, limit);
        while left > 0 {
            let wanted = BATCH.min(left);
            let batch = self.requeue_some(owner, wanted).await?;
            requeued += batch;
            if batch < wanted.unsigned_abs() {
                break;
            }
            left -= wanted;
        }
        Ok(requeued)
    }

    async fn requeue_some(&self, owner: Owner, wanted: i64) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let dead = lock_dead(&mut tx, owner, wanted).await?;
        self.requeue_locked(tx, &dead).await
    }

    /// Queues failed and dead jobs again that the transaction has locked, commits, and says how many those were.
    pub(crate) async fn requeue_locked(
        &self,
        mut tx: Transaction<'static, Postgres>,
        dead: &[Uuid],
    ) -> Result<u64, StoreError> {
        let tickets: Vec<Uuid> = dead.iter().map(|_| queue::new_ticket()).collect();
        let rows = mark_queued(&mut tx, dead, &tickets).await?;
        let entries: Vec<Entry> = rows.iter().map(Requeued::entry).collect();
        queue::push(&mut tx, &entries).await?;
        let jobs: Vec<JobId> = entries.iter().map(|entry| entry.job).collect();
        let records = self.record(&mut tx, &jobs, &Event::Queued).await?;
        self.commit(tx, records).await?;
        Ok(entries.len() as u64)
    }
}

struct Requeued {
    id: Uuid,
    ticket: Uuid,
    priority: i32,
    queued_at: i64,
}

impl Requeued {
    fn entry(&self) -> Entry {
        Entry {
            job: JobId(self.id),
            ticket: self.ticket,
            stage: Stage::Extract,
            priority: self.priority,
            queued_at: self.queued_at,
        }
    }
}

async fn lock_dead(
    conn: &mut PgConnection,
    owner: Owner,
    wanted: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let dead = sqlx::query_scalar!(
        "select id
         from quire.jobs
         where owner = $1 and finished_at is not null and state = 'dead'
         order by finished_at
         limit $2
         for update skip locked",
        owner.0,
        wanted,
    )
    .fetch_all(conn)
    .await?;
    Ok(dead)
}

/// The caller holds the locks of the jobs.
async fn mark_queued(
    conn: &mut PgConnection,
    dead: &[Uuid],
    tickets: &[Uuid],
) -> Result<Vec<Requeued>, StoreError> {
    let rows = sqlx::query_as!(
        Requeued,
        r#"update quire.jobs j
           set state = 'queued', stage = 'extract', progress = 0, ticket = t.ticket,
               queued_at = date_trunc('second', now()), run = j.run + 1, attempt = 0, failures = 0, crashes = 0,
               snoozes = 0, ran = '0', crashed = null, interrupted = false, epoch = j.epoch + 1,
               started_at = null, finished_at = null, error_code = null, error_message = null
           from unnest($1::uuid[], $2::uuid[]) as t (id, ticket)
           where j.id = t.id and j.state in ('failed', 'dead')
           returning j.id, t.ticket as "ticket!", j.priority, extract(epoch from j.queued_at)::bigint as "queued_at!""#,
        dead,
        tickets,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}
