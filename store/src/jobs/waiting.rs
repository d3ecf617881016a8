//! How many jobs wait, counted no further than a limit: what intake needs to know before it takes another one.

use crate::{error::StoreError, store::Store};

impl Store {
    /// The number of jobs of every owner that wait in the queue or for their time, at most `limit`.
    pub async fn count_waiting(&self, limit: i64) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!"
               from (
                   (select from quire.jobs where state = 'queued' limit $1)
                   union all
                   (select from quire.jobs where state = 'scheduled' limit $1)
                   limit $1
               ) as waiting"#,
            limit,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(count)
    }
}
