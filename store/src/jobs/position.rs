//! How many jobs are in front of one.

use crate::{error::StoreError, ids::JobId, store::Store};

impl Store {
    /// The job's place among those that wait for the same stage: 1 = next. `None`: it does not wait in the queue. The order is
    /// that of the queue itself: priority, then time, then ticket.
    pub async fn queue_position(&self, id: JobId) -> Result<Option<i64>, StoreError> {
        let position = sqlx::query_scalar!(
            r#"select (
                   select count(*) + 1
                   from quire.jobs a
                   where a.state = 'queued'
                     and a.stage = j.stage
                     and a.priority >= j.priority
                     and (a.priority > j.priority or (a.queued_at, a.ticket) < (j.queued_at, j.ticket))
               ) as "position!"
               from quire.jobs j
               where j.id = $1 and j.state = 'queued'"#,
            id.0,
        )
        .fetch_optional(&self.inner.pool)
        .await?;
        Ok(position)
    }
}
