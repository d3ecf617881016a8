//! The upload's one transaction: file row, job row, first event, queue entry. After the commit nothing can be lost; before it
//! nothing exists but an unnamed file. One upload and a thousand are the same statements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    options, read,
    row::job_query,
    types::{Created, Idempotency, NewUpload},
};
use crate::{
    error::StoreError,
    events::{Event, EventRecord},
    failpoint::failpoint,
    ids::{FileId, JobId, Owner},
    job::{Job, Stage},
    queue::{self, Entry},
    store::Store,
    text::clean,
};

impl Store {
    /// Takes an upload in. With an idempotency key, any number of identical requests, also at once, give one job.
    pub async fn create_upload(&self, new: NewUpload) -> Result<Created, StoreError> {
        let mut created = self.create_uploads(vec![new]).await?;
        created
            .pop()
            .ok_or_else(|| StoreError::damaged("upload", &"without an outcome"))
    }

    /// Takes uploads in, all or none, and says what became of each, in their order. Keys count inside the batch too: the second
    /// upload with a key is a repetition of the first. Meant for up to some thousand at once: a thousand take about 0.1 s.
    pub async fn create_uploads(&self, new: Vec<NewUpload>) -> Result<Vec<Created>, StoreError> {
        let mut tx = self.begin().await?;
        let (created, records) = self.create_in(&mut tx, &new).await?;
        self.commit(tx, records).await?;
        Ok(created)
    }

    /// The same in the caller's transaction, who commits it with the records. The uploads must live until then: they hold their
    /// files.
    pub(crate) async fn create_in(
        &self,
        conn: &mut PgConnection,
        new: &[NewUpload],
    ) -> Result<(Vec<Created>, Vec<EventRecord>), StoreError> {
        let columns = Columns::of(new);
        failpoint!("insert jobs and files");
        let placed = insert(conn, &columns).await?;
        options::keep(conn, &columns.ids, new).await?;
        queue::push(conn, &entries(new, &columns, &placed)).await?;
        let ids: Vec<JobId> = placed.keys().copied().collect();
        let records = if ids.is_empty() {
            Vec::new()
        } else {
            self.record(conn, &ids, &Event::Queued).await?
        };
        let mut jobs = read::all_touched(conn, &ids).await?;
        let mut created = Vec::with_capacity(new.len());
        for (id, new) in columns.ids.iter().zip(new) {
            created.push(match jobs.remove(&JobId(*id)) {
                Some(job) => Created::New(job),
                None => earlier(conn, new.owner, new.idempotency.as_ref()).await?,
            });
        }
        Ok((created, records))
    }
}

/// The uploads column by column, with the ids that they get.
#[derive(Default)]
struct Columns {
    ids: Vec<Uuid>,
    created_at: Vec<DateTime<Utc>>,
    files: Vec<Uuid>,
    tickets: Vec<Uuid>,
    owners: Vec<Uuid>,
    hashes: Vec<Vec<u8>>,
    bytes: Vec<i64>,
    names: Vec<String>,
    media: Vec<String>,
    prompts: Vec<String>,
    priorities: Vec<i32>,
    scheduled_at: Vec<Option<DateTime<Utc>>>,
    passwords: Vec<Option<String>>,
    keys: Vec<Option<String>>,
    request_hashes: Vec<Option<Vec<u8>>>,
}

impl Columns {
    fn of(new: &[NewUpload]) -> Self {
        let mut columns = Self::default();
        for upload in new {
            columns.add(upload);
        }
        columns
    }

    fn add(&mut self, new: &NewUpload) {
        let id = JobId::generate();
        let idempotency = new.idempotency.as_ref();
        self.ids.push(id.0);
        self.created_at.push(id.created_at());
        self.files.push(FileId::generate().0);
        self.tickets.push(queue::new_ticket());
        self.owners.push(new.owner.0);
        self.hashes.push(new.file.sha256.to_vec());
        self.bytes.push(new.file.bytes.cast_signed());
        self.names.push(clean(&new.file_name).into_owned());
        self.media.push(new.media.clone());
        self.prompts.push(clean(&new.prompt).into_owned());
        self.priorities.push(new.priority);
        self.scheduled_at.push(new.scheduled_at);
        let password = new.password.as_ref();
        self.passwords
            .push(password.map(|password| password.expose().to_owned()));
        self.keys.push(idempotency.map(key_of));
        self.request_hashes
            .push(idempotency.map(|idempotency| idempotency.request_hash.to_vec()));
    }
}

fn key_of(idempotency: &Idempotency) -> String {
    clean(&idempotency.key).into_owned()
}

/// Where a new job waits: in the queue, or for its time.
struct Placed {
    id: Uuid,
    queued_at: Option<i64>,
}

/// The jobs that were made, with their place in the queue. Missing are those whose idempotency key is taken; a request with the
/// same key that is under way is waited for.
async fn insert(
    conn: &mut PgConnection,
    columns: &Columns,
) -> Result<HashMap<JobId, Option<i64>>, StoreError> {
    let placed = sqlx::query_as!(
        Placed,
        r#"with new as materialized (
               select n.*, coalesce(n.scheduled_at > now(), false) as waits
               from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bytea[], $7::bigint[],
                           $8::text[], $9::text[], $10::text[], $11::integer[], $12::timestamptz[], $13::text[], $14::bytea[], $15::text[])
                    as n (id, created_at, file_id, ticket, owner, sha256, bytes, name, media, prompt, priority, scheduled_at,
                          key, request_hash, password)
           ), placed as (
               insert into quire.jobs (id, owner, file_id, prompt, priority, scheduled_at, created_at,
                                       idempotency_key, request_hash, has_password, state, due_at, ticket, queued_at)
               select id, owner, file_id, prompt, priority, scheduled_at, created_at, key, request_hash,
                      password is not null,
                      case when waits then 'scheduled' else 'queued' end,
                      case when waits then scheduled_at end,
                      case when not waits then ticket end,
                      case when not waits then date_trunc('second', now()) end
               from new
               -- One order for all, so that two batches with the same keys cannot wait for each other.
               order by owner, key, ticket
               on conflict (owner, idempotency_key) where idempotency_key is not null do nothing
               returning id, queued_at
           ), kept as (
               insert into quire.files (id, owner, sha256, bytes, name, media)
               select n.file_id, n.owner, n.sha256, n.bytes, n.name, n.media
               from new n
               join placed p on p.id = n.id
           ), locked as (
               insert into quire.passwords (job_id, password)
               select n.id, n.password
               from new n
               join placed p on p.id = n.id
               where n.password is not null
           )
           select id as "id!", extract(epoch from queued_at)::bigint as queued_at
           from placed"#,
        &columns.ids,
        &columns.created_at,
        &columns.files,
        &columns.tickets,
        &columns.owners,
        &columns.hashes,
        &columns.bytes,
        &columns.names,
        &columns.media,
        &columns.prompts,
        &columns.priorities,
        &columns.scheduled_at as &[Option<DateTime<Utc>>],
        &columns.keys as &[Option<String>],
        &columns.request_hashes as &[Option<Vec<u8>>],
        &columns.passwords as &[Option<String>],
    )
    .fetch_all(conn)
    .await?;
    Ok(placed
        .into_iter()
        .map(|row| (JobId(row.id), row.queued_at))
        .collect())
}

/// The queue entries of the jobs that do not wait for a time.
fn entries(
    new: &[NewUpload],
    columns: &Columns,
    placed: &HashMap<JobId, Option<i64>>,
) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(placed.len());
    for ((id, ticket), upload) in columns.ids.iter().zip(&columns.tickets).zip(new) {
        let job = JobId(*id);
        if let Some(queued_at) = placed.get(&job).copied().flatten() {
            entries.push(Entry {
                job,
                ticket: *ticket,
                stage: Stage::Extract,
                priority: upload.priority,
                queued_at,
            });
        }
    }
    entries
}

/// The key was taken: by the same request, or by another.
async fn earlier(
    conn: &mut PgConnection,
    owner: Owner,
    idempotency: Option<&Idempotency>,
) -> Result<Created, StoreError> {
    let Some(wanted) = idempotency else {
        return Err(StoreError::damaged("job id", &"drawn twice"));
    };
    Ok(match by_key(conn, owner, wanted).await? {
        Some(job) => Created::Replayed(job),
        None => Created::Mismatch,
    })
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
        key_of(wanted),
        &wanted.request_hash[..],
    )
    .fetch_optional(conn)
    .await?;
    row.map(Job::try_from).transpose()
}
