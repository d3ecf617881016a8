//! A worker takes a job: the one place where ownership is given.

use std::time::Duration;

use sqlx::PgConnection;
use uuid::Uuid;

use super::read;
use crate::{
    attempts::Granted,
    clock,
    error::StoreError,
    events::{self, Event},
    failpoint::failpoint,
    ids::JobId,
    job::{Job, JobState},
    lease::Lease,
    queue::Ticket,
    store::Store,
};

/// The foreign key that ties an owned job to a registered worker.
const WORKER_KEY: &str = "jobs_worker_fkey";

impl Store {
    /// Takes the job that the ticket is for, in the name of a registered worker. `None`: the ticket is no longer worth anything
    /// (claimed, cancelled, replaced), and the queue entry is done.
    pub async fn claim(&self, ticket: &Ticket, worker: &str) -> Result<Option<Lease>, StoreError> {
        let attempt_id = clock::random_id();
        let mut conn = self.pool.acquire().await?;
        // Nearly every job has no broken attempt behind it, and then there is nothing to say: one statement is a transaction.
        failpoint!("claim job");
        let taken = take(&mut conn, ticket, (attempt_id, worker), false).await?;
        failpoint!("after the claim");
        let Some(taken) = taken else {
            drop(conn);
            return self.claim_again(ticket, (attempt_id, worker)).await;
        };
        let job = read::touched(&mut conn, ticket.job).await?;
        if job.state != JobState::Running {
            return Ok(None);
        }
        let earlier = self.unheard(&mut conn, &[taken.begun(ticket)]).await?;
        self.publish(earlier);
        Ok(Some(self.lease(job, attempt_id, &taken, worker)))
    }

    /// The same for a job whose last attempt was broken off: subscribers are told that it begins anew.
    async fn claim_again(
        &self,
        ticket: &Ticket,
        (attempt_id, worker): (Uuid, &str),
    ) -> Result<Option<Lease>, StoreError> {
        let mut tx = self.begin().await?;
        failpoint!("claim interrupted job");
        let Some(taken) = take(&mut tx, ticket, (attempt_id, worker), true).await? else {
            return Ok(None);
        };
        let restarted = Event::Restarted {
            attempt: taken.attempt,
        };
        let records = self.record(&mut tx, &[ticket.job], &restarted).await?;
        let job = read::touched(&mut tx, ticket.job).await?;
        // Before the attempt says anything, subscribers here must have heard its predecessors.
        let earlier = self.unheard(&mut tx, &[taken.begun(ticket)]).await?;
        self.commit_after(tx, earlier, records).await?;
        Ok(Some(self.lease(job, attempt_id, &taken, worker)))
    }

    fn lease(&self, job: Job, attempt_id: Uuid, taken: &Taken, worker: &str) -> Lease {
        let granted = Granted {
            job: job.id,
            owner: job.owner,
            job_created_at: job.created_at,
            attempt_id,
            epoch: taken.epoch,
            progress: u8::try_from(job.progress).unwrap_or_default(),
        };
        let attempt = self.inner.attempts.begin(granted, worker);
        Lease {
            attempt_id,
            epoch: taken.epoch,
            time_left: Duration::try_from_secs_f64(taken.seconds_left).unwrap_or_default(),
            stage: job.stage,
            lost: attempt.lost.clone(),
            job,
            attempt,
        }
    }
}

struct Taken {
    epoch: i32,
    attempt: i32,
    /// Negative when the run had used up its time before.
    seconds_left: f64,
}

impl Taken {
    /// The job and the first number of its new epoch.
    fn begun(&self, ticket: &Ticket) -> (JobId, i64) {
        (ticket.job, events::sequence(self.epoch, 0))
    }
}

/// `interrupted`: whether the attempt before was broken off, which makes void what it said.
async fn take(
    conn: &mut PgConnection,
    ticket: &Ticket,
    (attempt_id, worker): (Uuid, &str),
    interrupted: bool,
) -> Result<Option<Taken>, StoreError> {
    let taken = sqlx::query_as!(
        Taken,
        r#"update quire.jobs j
           set state = 'running', ticket = null, attempt_id = $3, worker = $4, claimed_at = now(),
               deadline_at = now() - j.ran + (select job_deadline from quire.workers where name = $4),
               epoch = j.epoch + 1, attempt = j.attempt + 1, interrupted = false,
               started_at = coalesce(j.started_at, now())
           where j.id = $1 and j.ticket = $2 and j.state = 'queued' and j.interrupted = $5
           returning j.epoch, j.attempt,
                     -- Without a registered worker the statement fails; the default is never used.
                     coalesce(extract(epoch from j.deadline_at - now()), 0)::float8 as "seconds_left!""#,
        ticket.job.0,
        ticket.ticket,
        attempt_id,
        worker,
        interrupted,
    )
    .fetch_optional(conn)
    .await;
    taken.map_err(|error| unregistered(error, worker))
}

fn unregistered(error: sqlx::Error, worker: &str) -> StoreError {
    let constraint = error
        .as_database_error()
        .and_then(|database| database.constraint());
    if constraint == Some(WORKER_KEY) {
        StoreError::UnknownWorker(worker.to_owned())
    } else {
        error.into()
    }
}
