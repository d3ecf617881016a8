//! Adding uploads to a batch: their items' rows and their jobs in one transaction, or the item's row and why there is no job.

use sqlx::PgConnection;
use uuid::Uuid;

use super::types::{Added, ItemPlace, Refusal};
use crate::{
    error::StoreError,
    ids::{BatchId, JobId},
    jobs::{Created, NewUpload},
    store::Store,
    text::clean,
};

/// What an upload is refused with whose key another one has.
const MISMATCH: &str = "idempotency_mismatch";

impl Store {
    /// Takes uploads in as items of a batch, all or none, and says what became of each. An upload's idempotency key makes it
    /// one job however often it is sent. The two lists are of the same length.
    pub async fn add_to_batch(
        &self,
        batch: BatchId,
        places: &[ItemPlace],
        new: &[NewUpload],
    ) -> Result<Vec<Added>, StoreError> {
        let mut tx = self.begin().await?;
        if !is_open(&mut tx, batch).await? {
            return Ok(new.iter().map(|_| Added::Closed).collect());
        }
        let (created, records) = self.create_in(&mut tx, new).await?;
        let rows: Vec<Row<'_>> = places
            .iter()
            .zip(&created)
            .map(|(place, created)| Row::of(place, created))
            .collect();
        insert(&mut tx, batch, &rows).await?;
        self.commit(tx, records).await?;
        Ok(created.into_iter().map(Added::from).collect())
    }

    /// Notes why an item has no job, unless it has one. `false`: the batch was cancelled.
    pub async fn refuse_in_batch(
        &self,
        batch: BatchId,
        place: &ItemPlace,
        refusal: &Refusal,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if !is_open(&mut tx, batch).await? {
            return Ok(false);
        }
        let row = Row {
            place,
            job: None,
            refusal: Some((&refusal.code, &refusal.message)),
        };
        insert(&mut tx, batch, &[row]).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// An item's row to be written.
struct Row<'a> {
    place: &'a ItemPlace,
    job: Option<JobId>,
    refusal: Option<(&'a str, &'a str)>,
}

impl<'a> Row<'a> {
    fn of(place: &'a ItemPlace, created: &Created) -> Self {
        let (job, refusal) = match created {
            Created::New(job) | Created::Replayed(job) => (Some(job.id), None),
            Created::Mismatch => {
                let why = "the key was used before for a different upload";
                (None, Some((MISMATCH, why)))
            }
        };
        Self {
            place,
            job,
            refusal,
        }
    }
}

impl From<Created> for Added {
    fn from(created: Created) -> Self {
        match created {
            Created::New(job) => Self::New(job),
            Created::Replayed(job) => Self::Replayed(job),
            Created::Mismatch => Self::Mismatch,
        }
    }
}

/// Whether the batch still takes items. Until the transaction ends it cannot be cancelled.
async fn is_open(conn: &mut PgConnection, batch: BatchId) -> Result<bool, StoreError> {
    let open = sqlx::query_scalar!(
        r#"select cancelled_at is null as "open!" from quire.batches where id = $1 for share"#,
        batch.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(open.unwrap_or(false))
}

/// What was refused before is replaced; what has a job stays as it is.
async fn insert(
    conn: &mut PgConnection,
    batch: BatchId,
    rows: &[Row<'_>],
) -> Result<(), StoreError> {
    let text = |value: &str| clean(value).into_owned();
    let keys: Vec<String> = rows.iter().map(|row| text(&row.place.key)).collect();
    let positions: Vec<i64> = rows.iter().map(|row| row.place.position).collect();
    let references: Vec<Option<String>> = rows
        .iter()
        .map(|row| row.place.reference.as_deref().map(text))
        .collect();
    let names: Vec<String> = rows.iter().map(|row| text(&row.place.file_name)).collect();
    let jobs: Vec<Option<Uuid>> = rows.iter().map(|row| row.job.map(|job| job.0)).collect();
    let codes: Vec<Option<String>> = rows
        .iter()
        .map(|row| row.refusal.map(|(code, _)| text(code)))
        .collect();
    let messages: Vec<Option<String>> = rows
        .iter()
        .map(|row| row.refusal.map(|(_, message)| text(message)))
        .collect();
    sqlx::query!(
        "insert into quire.batch_items as i (batch_id, key, position, reference, file_name, job_id, error_code, error_message)
         -- One order for all, so that two requests with the same keys cannot wait for each other. The first of a key counts.
         select distinct on (n.key) $1, n.key, n.position, n.reference, n.file_name, n.job_id, n.code, n.message
         from unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[])
              with ordinality as n (key, position, reference, file_name, job_id, code, message, at)
         order by n.key, n.at
         on conflict (batch_id, key) do update
         set position = excluded.position, reference = excluded.reference, file_name = excluded.file_name,
             job_id = excluded.job_id, error_code = excluded.error_code, error_message = excluded.error_message
         where i.job_id is null",
        batch.0,
        &keys,
        &positions,
        &references as &[Option<String>],
        &names,
        &jobs as &[Option<Uuid>],
        &codes as &[Option<String>],
        &messages as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
