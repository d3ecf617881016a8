//! The good end.

use serde_json::Value;
use sqlx::PgConnection;

use crate::{
    error::StoreError,
    events::Event,
    failpoint::failpoint,
    lease::Lease,
    store::Store,
    text::{clean, clean_json},
};

impl Store {
    /// Stores the answer and ends the job, once everything the attempt has said is in the table. `false`: somebody else owns the
    /// job, nothing was written.
    pub async fn complete(
        &self,
        lease: &Lease,
        answer: &str,
        result: Value,
    ) -> Result<bool, StoreError> {
        self.settle(lease).await?;
        let answer = clean(answer);
        let mut tx = self.begin().await?;
        failpoint!("complete job");
        if !mark_completed(&mut tx, lease, &answer, &clean_json(&result)).await? {
            return Ok(Self::refused(lease));
        }
        let event = Event::Completed {
            answer: answer.into_owned(),
        };
        self.commit_end(tx, lease, Some(&event)).await
    }
}

async fn mark_completed(
    conn: &mut PgConnection,
    lease: &Lease,
    answer: &str,
    result: &Value,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update quire.jobs
         set state = 'completed', progress = 100, answer = $3, result = $4, error_code = null, error_message = null,
             answer_took = now() - claimed_at, finished_at = now(),
             attempt_id = null, worker = null, claimed_at = null, epoch = epoch + 1
         where id = $1 and attempt_id = $2 and state in ('running', 'streaming')",
        lease.job.id.0,
        lease.attempt_id,
        answer,
        result,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
