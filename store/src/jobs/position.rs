//! How many jobs are in front of one, counted by the rule of the queue (`migrations/0004_order.sql`): higher priorities, then in
//! turns between the owners. What ageing may bring forward meanwhile is not foreseen.

use sqlx::PgPool;
use uuid::Uuid;

use crate::{error::StoreError, ids::JobId, job::Stage, store::Store};

/// Who waits in front of a waiting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// All of them.
    pub(crate) all: i64,
    /// Those of the same owner.
    pub(crate) own: i64,
}

impl Store {
    /// The job's place among those that wait for the same stage: 1 = next. `None`: it does not wait in the queue.
    pub async fn queue_position(&self, id: JobId) -> Result<Option<i64>, StoreError> {
        let Some(place) = place(&self.pool, id).await? else {
            return Ok(None);
        };
        let ahead = ahead(&self.pool, &place).await?;
        Ok(Some(ahead.all + 1))
    }
}

/// What decides when a waiting job is served.
pub(crate) struct Place {
    pub(crate) stage: Stage,
    priority: i32,
    owner: Uuid,
    queued_at: chrono::DateTime<chrono::Utc>,
    ticket: Uuid,
}

impl Place {
    /// The place that the job will have in the queue of a later stage: behind all of its second that wait there now, because it
    /// will get its ticket after them.
    pub(crate) const fn in_later(&self, stage: Stage) -> Self {
        Self {
            stage,
            ticket: Uuid::max(),
            ..*self
        }
    }
}

/// `None`: the job does not wait in the queue.
pub(crate) async fn place(pool: &PgPool, id: JobId) -> Result<Option<Place>, StoreError> {
    let row = sqlx::query!(
        r#"select stage, priority, owner, queued_at as "queued_at!", ticket as "ticket!"
           from quire.jobs
           where id = $1 and state = 'queued'"#,
        id.0,
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let stage = row
        .stage
        .parse()
        .map_err(|error| StoreError::damaged("stage", &error))?;
    Ok(Some(Place {
        stage,
        priority: row.priority,
        owner: row.owner,
        queued_at: row.queued_at,
        ticket: row.ticket,
    }))
}

/// Counts who is served before. Of another owner's jobs, one is served for each of this owner's, and one more if his turn comes
/// first; they are counted no further than that.
pub(crate) async fn ahead(pool: &PgPool, place: &Place) -> Result<Ahead, StoreError> {
    let ahead = sqlx::query_as!(
        Ahead,
        r#"with recursive own as (
               select count(*) as jobs
               from quire.jobs j
               where j.state = 'queued' and j.stage = $1 and j.priority = $2 and j.owner = $3
                 and (j.queued_at, j.ticket) < ($4, $5)
           ), turn as (
               select (select t.owner from quire.turns t where t.queue = $6 and t.priority = $2) as last
           ), owners as (
               -- From owner to owner through the index.
               (select j.owner from quire.jobs j
                where j.state = 'queued' and j.stage = $1 and j.priority = $2
                order by j.owner limit 1)
               union all
               select (select j.owner from quire.jobs j
                       where j.state = 'queued' and j.stage = $1 and j.priority = $2 and j.owner > o.owner
                       order by j.owner limit 1)
               from owners o
               where o.owner is not null
           ), others as (
               select coalesce(sum(served.jobs), 0)::bigint as jobs
               from owners o
               cross join own
               cross join turn
               cross join lateral (
                   select count(*) as jobs
                   from (
                       select from quire.jobs j
                       where j.state = 'queued' and j.stage = $1 and j.priority = $2 and j.owner = o.owner
                       limit own.jobs + case
                           when (coalesce(o.owner <= turn.last, false), o.owner) < (coalesce($3 <= turn.last, false), $3)
                           then 1 else 0 end
                   ) as first_ones
               ) as served
               where o.owner <> $3
           ), higher as (
               select count(*) as jobs
               from quire.jobs j
               where j.state = 'queued' and j.stage = $1 and j.priority > $2
           )
           select higher.jobs + own.jobs + others.jobs as "all!", own.jobs as "own!"
           from own, others, higher"#,
        place.stage.as_str(),
        place.priority,
        place.owner,
        place.queued_at,
        place.ticket,
        place.stage.queue(),
    )
    .fetch_one(pool)
    .await?;
    Ok(ahead)
}
