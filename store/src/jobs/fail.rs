//! The bad ends, and the way back from a failed try.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    clock, error::StoreError, events::Event, ids::JobId, job::JobState, lease::Lease,
    rules::LONGEST_BACKOFF_SECS, store::Store, text::clean,
};

/// Failed tries of one run after which a job is dead.
pub const MAX_FAILURES: i32 = 5;

impl Store {
    /// Ends the job with an error that another try would not change. `false`: somebody else owns the job.
    pub async fn fail(&self, lease: &Lease, code: &str, message: &str) -> Result<bool, StoreError> {
        self.settle_before_failure(lease).await?;
        self.end(lease, JobState::Failed, (code, message)).await
    }

    /// Gives the job another try after a pause, or ends it as dead when it has had its tries. `false`: somebody else owns it.
    pub async fn retry_later(
        &self,
        lease: &Lease,
        code: &str,
        message: &str,
    ) -> Result<bool, StoreError> {
        self.settle_before_failure(lease).await?;
        let mut tx = self.begin().await?;
        if schedule_retry(&mut tx, lease, (code, &clean(message))).await? {
            return self.commit_end(tx, lease, None).await;
        }
        tx.rollback().await?;
        self.end(lease, JobState::Dead, (code, message)).await
    }

    async fn end(
        &self,
        lease: &Lease,
        state: JobState,
        (code, message): (&str, &str),
    ) -> Result<bool, StoreError> {
        let message = clean(message);
        let end = BadEnd {
            state,
            code,
            message: &message,
            crashes: 0,
            failures: 1,
        };
        let mut tx = self.begin().await?;
        if !end_badly(&mut tx, lease.job.id, lease.attempt_id, end).await? {
            return Ok(Self::refused(lease));
        }
        self.commit_end(tx, lease, Some(&end.event())).await
    }

    /// Lost events must not stand in the way of an end that does not claim to have an answer.
    pub(super) async fn settle_before_failure(&self, lease: &Lease) -> Result<(), StoreError> {
        match self.settle(lease).await {
            Err(StoreError::EventsLost(_)) => Ok(()),
            other => other,
        }
    }
}

/// How a job ends without an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadEnd<'a> {
    pub(crate) state: JobState,
    pub(crate) code: &'a str,
    pub(crate) message: &'a str,
    /// Added to the spent budgets.
    pub(crate) crashes: i32,
    pub(crate) failures: i32,
}

impl BadEnd<'_> {
    /// What the subscribers are told.
    pub(crate) fn event(&self) -> Event {
        Event::Failed {
            code: self.code.to_owned(),
            message: self.message.to_owned(),
        }
    }
}

/// Ends the job if the attempt owns it.
pub(crate) async fn end_badly(
    conn: &mut PgConnection,
    job: JobId,
    attempt_id: Uuid,
    end: BadEnd<'_>,
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update quire.jobs
         set state = $3, error_code = $4, error_message = $5, crashes = crashes + $6, failures = failures + $7,
             finished_at = now(), attempt_id = null, worker = null, claimed_at = null, epoch = epoch + 1
         where id = $1 and attempt_id = $2 and state in ('running', 'streaming')",
        job.0,
        attempt_id,
        end.state.as_str(),
        end.code,
        end.message,
        end.crashes,
        end.failures,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Sets the time of the next try, if the attempt owns the job and the job has one left.
async fn schedule_retry(
    conn: &mut PgConnection,
    lease: &Lease,
    (code, message): (&str, &str),
) -> Result<bool, StoreError> {
    let done = sqlx::query!(
        "update quire.jobs
         set state = 'scheduled', failures = failures + 1, interrupted = true, error_code = $3, error_message = $4,
             due_at = now() + make_interval(secs => least($6, power(2, failures + 1)) * $7),
             ran = ran + (now() - claimed_at), attempt_id = null, worker = null, claimed_at = null, epoch = epoch + 1
         where id = $1 and attempt_id = $2 and state in ('running', 'streaming') and failures + 1 < $5",
        lease.job.id.0,
        lease.attempt_id,
        code,
        message,
        MAX_FAILURES,
        LONGEST_BACKOFF_SECS,
        clock::jitter(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
