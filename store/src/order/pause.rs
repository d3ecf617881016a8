//! A queue that hands nothing out for a while. Jobs that run finish, new jobs are taken in and wait.

use crate::{error::StoreError, job::Stage, store::Store};

impl Store {
    /// Stops handing out jobs of the stage, in every process. A worker that had fetched a job already begins it. Pausing a paused
    /// queue changes nothing.
    pub async fn pause_queue(&self, stage: Stage) -> Result<(), StoreError> {
        sqlx::query!(
            "update quire.queues set paused_at = coalesce(paused_at, now()) where name = $1",
            stage.queue(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Hands out jobs of the stage again, at once: the workers of every process are woken.
    pub async fn resume_queue(&self, stage: Stage) -> Result<(), StoreError> {
        sqlx::query!(
            "with resumed as (
                 update quire.queues set paused_at = null where name = $1 and paused_at is not null returning name
             )
             select quire.wake_queue(name)::text from resumed",
            stage.queue(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(())
    }

    /// The stages whose queues are paused, in the order that a job passes them.
    pub async fn paused_queues(&self) -> Result<Vec<Stage>, StoreError> {
        let names =
            sqlx::query_scalar!("select name from quire.queues where paused_at is not null")
                .fetch_all(&self.pool)
                .await?;
        let paused = |stage: &Stage| names.iter().any(|name| name == stage.queue());
        Ok([Stage::Extract, Stage::Answer]
            .into_iter()
            .filter(paused)
            .collect())
    }
}
