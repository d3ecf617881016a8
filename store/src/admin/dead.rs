//! Dead letters: jobs that ended with an error, whoever they belong to, the newest first.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    error::StoreError,
    ids::{JobId, Owner},
    job::{JobState, Stage},
    jobs::JobCursor,
    store::Store,
};

/// Longest page.
const MAX_PAGE: u32 = 200;
/// Matches are counted up to here: beyond it the number is of no use to a reader, and costs.
const COUNTED: i64 = 10_000;

/// Which dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Those that ended with this error.
    pub code: Option<String>,
    /// Of these jobs; empty: of any.
    pub jobs: Vec<JobId>,
}

/// A job that ended with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The job.
    pub id: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// Name of its file.
    pub file_name: String,
    /// `failed`, or `dead` after too many tries.
    pub state: JobState,
    /// Where it ended.
    pub stage: Stage,
    /// Stable word for the error.
    pub code: String,
    /// The error in words.
    pub message: String,
    /// How often its last stage was started.
    pub attempts: i32,
    /// Failed tries of the run.
    pub failures: i32,
    /// Workers that died at it.
    pub crashes: i32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
}

/// One page of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadPage {
    /// The letters, those that ended last first.
    pub letters: Vec<DeadLetter>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<JobCursor>,
    /// How many match: exact up to 10,000.
    pub total_estimate: i64,
}

impl DeadFilter {
    /// The jobs as the statements take them.
    pub(super) fn ids(&self) -> Vec<Uuid> {
        self.jobs.iter().map(|job| job.0).collect()
    }
}

impl Store {
    /// One page of dead letters (1 to 200).
    pub async fn dead_letters(
        &self,
        filter: &DeadFilter,
        cursor: Option<JobCursor>,
        limit: u32,
    ) -> Result<DeadPage, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut tx = self.one_moment().await?;
        let rows = page(&mut tx, filter, cursor, i64::from(limit) + 1).await?;
        let total_estimate = count(&mut tx, filter).await?;
        tx.commit().await?;
        let letters: Result<Vec<_>, _> = rows.into_iter().map(DeadLetter::try_from).collect();
        let mut letters = letters?;
        let more = letters.len() > limit as usize;
        letters.truncate(limit as usize);
        let last = letters.last().filter(|_| more);
        Ok(DeadPage {
            next: last.map(|letter| JobCursor {
                at: letter.finished_at,
                id: letter.id,
            }),
            letters,
            total_estimate,
        })
    }
}

struct Row {
    id: Uuid,
    owner: Uuid,
    file_name: String,
    state: String,
    stage: String,
    code: String,
    message: Option<String>,
    attempt: i32,
    failures: i32,
    crashes: i32,
    created_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
}

impl TryFrom<Row> for DeadLetter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let damaged = |error| StoreError::damaged("dead letter", &error);
        Ok(Self {
            id: JobId(row.id),
            owner: Owner(row.owner),
            file_name: row.file_name,
            state: row.state.parse().map_err(damaged)?,
            stage: row.stage.parse().map_err(damaged)?,
            code: row.code,
            message: row.message.unwrap_or_default(),
            attempts: row.attempt,
            failures: row.failures,
            crashes: row.crashes,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    }
}

async fn page(
    conn: &mut PgConnection,
    filter: &DeadFilter,
    cursor: Option<JobCursor>,
    limit: i64,
) -> Result<Vec<Row>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select j.id, j.owner, f.name as file_name, j.state, j.stage, j.error_code as "code!", j.error_message as message,
                  j.attempt, j.failures, j.crashes, j.created_at, j.finished_at as "finished_at!"
           from quire.jobs j
           join quire.files f on f.id = j.file_id
           where j.state in ('failed', 'dead')
             and (j.finished_at, j.id) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, $5::uuid))
             and ($3::text is null or j.error_code = $3)
             and (cardinality($6::uuid[]) = 0 or j.id = any ($6))
           order by j.finished_at desc, j.id desc
           limit $4"#,
        cursor.map(|cursor| cursor.at),
        cursor.map(|cursor| cursor.id.0),
        filter.code.as_deref(),
        limit,
        Uuid::max(),
        &filter.ids(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

async fn count(conn: &mut PgConnection, filter: &DeadFilter) -> Result<i64, StoreError> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!"
           from (
               select
               from quire.jobs
               where state in ('failed', 'dead')
                 and ($1::text is null or error_code = $1)
                 and (cardinality($2::uuid[]) = 0 or id = any ($2))
               limit $3
           ) as matching"#,
        filter.code.as_deref(),
        &filter.ids(),
        COUNTED,
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}
