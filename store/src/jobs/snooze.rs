//! A try that could not even begin: the job waits and comes back, as if it had not been taken.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{error::StoreError, lease::Lease, store::Store, text::clean};

/// Snoozes of one run that cost nothing. Beyond it, what was thought to pass has not passed, and each is a failed try.
pub const MAX_SNOOZES: i32 = 60;

impl Store {
    /// Puts the job off for `delay`; it costs neither a try nor an attempt. `code` and `message` say what it waits for. `false`:
    /// somebody else owns the job.
    pub async fn snooze(
        &self,
        lease: &Lease,
        delay: Duration,
        (code, message): (&str, &str),
    ) -> Result<bool, StoreError> {
        self.settle_before_failure(lease).await?;
        let mut tx = self.begin().await?;
        if put_off(&mut tx, lease, delay, (code, &clean(message))).await? {
            return self.commit_end(tx, lease, None).await;
        }
        tx.rollback().await?;
        self.retry_later(lease, code, message).await
    }
}

/// Sets the time at which the job is queued again, if the attempt owns it and the run has snoozes left.
async fn put_off(
    conn: &mut PgConnection,
    lease: &Lease,
    delay: Duration,
    (code, message): (&str, &str),
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update quire.jobs
         set state = 'scheduled', due_at = now() + make_interval(secs => $3), snoozes = snoozes + 1, attempt = attempt - 1,
             -- What the attempt has said so far is void; most have said nothing.
             interrupted = interrupted or state = 'streaming', error_code = $4, error_message = $5,
             ran = ran + (now() - claimed_at), attempt_id = null, worker = null, claimed_at = null, epoch = epoch + 1
         where id = $1 and attempt_id = $2 and state in ('running', 'streaming') and snoozes < $6",
        lease.job.id.0,
        lease.attempt_id,
        delay.as_secs_f64(),
        code,
        message,
        MAX_SNOOZES,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
