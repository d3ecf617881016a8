//! How far a batch is: counted from its jobs when somebody asks.

use super::types::BatchCounts;
use crate::{error::StoreError, ids::BatchId, store::Store};

impl Store {
    /// The items of a batch by what became of them, in one snapshot.
    pub async fn batch_counts(&self, id: BatchId) -> Result<BatchCounts, StoreError> {
        let counts = sqlx::query_as!(
            BatchCounts,
            r#"select
                   count(*) as "total!",
                   count(*) filter (where j.state in ('queued', 'scheduled')) as "pending!",
                   count(*) filter (where j.state in ('running', 'streaming')) as "processing!",
                   count(*) filter (where j.state = 'completed') as "completed!",
                   count(*) filter (where j.state in ('failed', 'dead')) as "failed!",
                   count(*) filter (where j.state = 'cancelled') as "cancelled!",
                   count(*) filter (where i.error_code is not null) as "refused!",
                   count(*) filter (where i.job_id is null and i.error_code is null) as "deleted!",
                   count(*) filter (where j.stage = 'answer') as "extracted!",
                   coalesce(sum(case when j.finished_at is null and j.id is not null then j.progress else 100 end), 0)
                       as "progress!",
                   count(*) filter (where j.finished_at > now() - interval '60 seconds') as "ended_lately!",
                   coalesce(least(60.0, extract(epoch from now() - min(j.started_at))), 0)::float8 as "lately_seconds!",
                   max(j.due_at) filter (where j.state = 'scheduled') as last_due
               from quire.batch_items i
               left join quire.jobs j on j.id = i.job_id
               where i.batch_id = $1"#,
            id.0,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(counts)
    }
}
