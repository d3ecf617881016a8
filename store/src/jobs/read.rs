//! Reading jobs.

use std::{collections::HashMap, time::Duration};

use sqlx::PgConnection;
use uuid::Uuid;

use super::row::job_query;
use crate::{
    error::StoreError,
    ids::{JobId, Owner},
    job::Job,
    store::Store,
};

impl Store {
    /// A job of this owner.
    pub async fn job(&self, owner: Owner, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut conn = self.inner.pool.acquire().await?;
        owned(&mut conn, owner, id).await
    }
}

/// A job of this owner.
pub(crate) async fn owned(
    conn: &mut PgConnection,
    owner: Owner,
    id: JobId,
) -> Result<Option<Job>, StoreError> {
    let row = job_query!("where j.owner = $1 and j.id = $2", owner.0, id.0)
        .fetch_optional(conn)
        .await?;
    row.map(Job::try_from).transpose()
}

/// A job that must exist: its row was touched in the same transaction.
pub(crate) async fn touched(conn: &mut PgConnection, id: JobId) -> Result<Job, StoreError> {
    job_query!("where j.id = $1", id.0)
        .fetch_one(conn)
        .await?
        .try_into()
}

/// Jobs that must exist: their rows were touched in the same transaction.
pub(super) async fn all_touched(
    conn: &mut PgConnection,
    ids: &[JobId],
) -> Result<HashMap<JobId, Job>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = job_query!("where j.id = any ($1)", &ids)
        .fetch_all(conn)
        .await?;
    rows.into_iter()
        .map(|row| Job::try_from(row).map(|job| (job.id, job)))
        .collect()
}

/// The owner's jobs that run, or ended no longer than `ended_within` ago, oldest first.
pub(crate) async fn recent(
    conn: &mut PgConnection,
    owner: Owner,
    ended_within: Duration,
) -> Result<Vec<Job>, StoreError> {
    let rows = job_query!(
        "where j.owner = $1
           and (j.worker is not null or j.finished_at > now() - make_interval(secs => $2))
         order by j.created_at, j.id",
        owner.0,
        ended_within.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Job::try_from).collect()
}
