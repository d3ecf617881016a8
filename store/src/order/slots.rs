//! How many jobs of one owner may run at the same time, and how many a worker runs at once.

use crate::{error::StoreError, store::Store};

impl Store {
    /// Limits the jobs of one owner that each queue runs at the same time, over all processes; 0: any number. The last word
    /// counts: processes on one database should be given the same number.
    pub async fn limit_owner_slots(&self, slots: u32) -> Result<(), StoreError> {
        let slots = i32::try_from(slots).unwrap_or(i32::MAX);
        // More slots may be work for a worker that has looked already.
        sqlx::query!(
            "with changed as (
                 update quire.queues set owner_slots = $1 where owner_slots <> $1 returning name
             )
             select quire.wake_queue(name)::text from changed",
            slots,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes how many jobs of each stage a registered worker runs at once: estimates count on it.
    pub async fn note_slots(
        &self,
        worker: &str,
        extract: usize,
        answer: usize,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "update quire.workers set extract_slots = $2, answer_slots = $3 where name = $1",
            worker,
            i32::try_from(extract).unwrap_or(i32::MAX),
            i32::try_from(answer).unwrap_or(i32::MAX),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
