//! The upload's one transaction: file row, job row, first event, queue entry. After the commit nothing can be lost; before it
//! nothing exists but an unnamed file.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    read,
    row::job_query,
    types::{Created, Idempotency, NewUpload},
};
use crate::{
    error::StoreError,
    events::Event,
    ids::{FileId, JobId, Owner},
    job::{Job, Stage},
    queue::{self, Entry},
    store::Store,
    text::clean,
};

impl Store {
    /// Takes an upload in. With an idempotency key, any number of identical requests, also at once, give one job.
    pub async fn create_upload(&self, new: NewUpload) -> Result<Created, StoreError> {
        let (id, file) = (JobId::generate(), FileId::generate());
        let mut tx = self.begin().await?;
        insert_file(&mut tx, file, &new).await?;
        let Some(placed) = insert_job(&mut tx, id, file, &new).await? else {
            tx.rollback().await?;
            return self.replay(new.owner, new.idempotency.as_ref()).await;
        };
        if let (Some(ticket), Some(queued_at)) = (placed.ticket, placed.queued_at) {
            let entry = Entry {
                job: id,
                ticket,
                stage: Stage::Extract,
                priority: new.priority,
                queued_at,
            };
            queue::push(&mut tx, &[entry]).await?;
        }
        let records = self.record(&mut tx, &[id], &Event::Queued).await?;
        let job = read::touched(&mut tx, id).await?;
        self.commit(tx, records).await?;
        Ok(Created::New(job))
    }

    /// The key was taken: by the same request, or by another.
    async fn replay(
        &self,
        owner: Owner,
        idempotency: Option<&Idempotency>,
    ) -> Result<Created, StoreError> {
        let Some(wanted) = idempotency else {
            return Err(StoreError::damaged("job id", &"drawn twice"));
        };
        let mut conn = self.inner.pool.acquire().await?;
        match by_key(&mut conn, owner, wanted).await? {
            Some(job) => Ok(Created::Replayed(job)),
            None => Ok(Created::Mismatch),
        }
    }
}

/// Where the new job waits: in the queue, or for its time.
struct Placed {
    ticket: Option<Uuid>,
    queued_at: Option<i64>,
}

async fn insert_file(
    conn: &mut PgConnection,
    id: FileId,
    new: &NewUpload,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into quire.files (id, owner, sha256, bytes, name, media)
         values ($1, $2, $3, $4, $5, $6)",
        id.0,
        new.owner.0,
        &new.file.sha256[..],
        new.file.bytes.cast_signed(),
        &*clean(&new.file_name),
        &new.media,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// `None`: the idempotency key is taken. Waits for a request with the same key that is under way.
async fn insert_job(
    conn: &mut PgConnection,
    id: JobId,
    file: FileId,
    new: &NewUpload,
) -> Result<Option<Placed>, StoreError> {
    let key = new
        .idempotency
        .as_ref()
        .map(|idempotency| clean(&idempotency.key).into_owned());
    let hash = new
        .idempotency
        .as_ref()
        .map(|idempotency| idempotency.request_hash.to_vec());
    let row = sqlx::query!(
        "insert into quire.jobs (id, owner, file_id, prompt, priority, scheduled_at, created_at,
                                 idempotency_key, request_hash, state, due_at, ticket, queued_at)
         select $1, $2, $3, $4, $5, $6, $7, $8, $9,
                case when waits then 'scheduled' else 'queued' end,
                case when waits then $6 end,
                case when not waits then $10::uuid end,
                case when not waits then date_trunc('second', now()) end
         from (select coalesce($6 > now(), false) as waits) w
         on conflict (owner, idempotency_key) where idempotency_key is not null do nothing
         returning ticket, extract(epoch from queued_at)::bigint as queued_at",
        id.0,
        new.owner.0,
        file.0,
        &*clean(&new.prompt),
        new.priority,
        new.scheduled_at as Option<DateTime<Utc>>,
        id.created_at(),
        key,
        hash,
        queue::new_ticket(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Placed {
        ticket: row.ticket,
        queued_at: row.queued_at,
    }))
}

/// The job of an earlier request with this key, if that request was the same.
async fn by_key(
    conn: &mut PgConnection,
    owner: Owner,
    wanted: &Idempotency,
) -> Result<Option<Job>, StoreError> {
    let row = job_query!(
        "where j.owner = $1 and j.idempotency_key = $2 and j.request_hash = $3",
        owner.0,
        &*clean(&wanted.key),
        &wanted.request_hash[..],
    )
    .fetch_optional(conn)
    .await?;
    row.map(Job::try_from).transpose()
}
