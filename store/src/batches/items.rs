//! The items of a batch in the order of the input, page by page.
//!
//! A page is a position, not an offset, so that reading ten thousand items costs the same for each of them. Items change
//! while they are read; each page shows its own moment.

use serde_json::Value;
use uuid::Uuid;

use super::types::{BatchItem, BatchItemCursor, ItemPlace, Refusal};
use crate::{
    error::StoreError,
    ids::{BatchId, JobId},
    store::Store,
};

impl Store {
    /// Up to `limit` items behind `after`, with answers if wanted.
    pub async fn batch_items(
        &self,
        id: BatchId,
        after: Option<&BatchItemCursor>,
        limit: u32,
        answers: bool,
    ) -> Result<Vec<BatchItem>, StoreError> {
        let rows = sqlx::query_as!(
            ItemRow,
            r#"select i.key, i.position, i.reference, i.file_name, i.job_id,
                      j.state as "state?",
                      case when $5 then j.answer end as answer,
                      case when $5 then j.result -> 'citations' end as citations,
                      case when j.state in ('failed', 'dead') then j.error_code else i.error_code end as error_code,
                      case when j.state in ('failed', 'dead') then j.error_message else i.error_message end as error_message
               from quire.batch_items i
               left join quire.jobs j on j.id = i.job_id
               where i.batch_id = $1 and (i.position, i.key) > ($2, $3)
               order by i.position, i.key
               limit $4"#,
            id.0,
            after.map_or(-1, |after| after.position),
            after.map_or("", |after| &after.key),
            i64::from(limit),
            answers,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(BatchItem::try_from).collect()
    }

    /// The first position behind all items of a batch.
    pub async fn batch_end(&self, id: BatchId) -> Result<i64, StoreError> {
        let end = sqlx::query_scalar!(
            r#"select coalesce(max(position) + 1, 0) as "end!" from quire.batch_items where batch_id = $1"#,
            id.0,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(end)
    }
}

struct ItemRow {
    key: String,
    position: i64,
    reference: Option<String>,
    file_name: String,
    job_id: Option<Uuid>,
    state: Option<String>,
    answer: Option<String>,
    citations: Option<Value>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl TryFrom<ItemRow> for BatchItem {
    type Error = StoreError;

    fn try_from(row: ItemRow) -> Result<Self, StoreError> {
        let state = row.state.map(|state| state.parse()).transpose();
        Ok(Self {
            place: ItemPlace {
                key: row.key,
                position: row.position,
                reference: row.reference,
                file_name: row.file_name,
            },
            job: row.job_id.map(JobId),
            state: state.map_err(|error| StoreError::damaged("state", &error))?,
            answer: row.answer,
            citations: row.citations,
            error: row.error_code.map(|code| Refusal {
                code,
                message: row.error_message.unwrap_or_default(),
            }),
        })
    }
}
