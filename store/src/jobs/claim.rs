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
    job::Job,
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
        let mut tx = self.begin().await?;
        failpoint!("claim job");
        let Some(taken) = take(&mut tx, ticket, attempt_id, worker).await? else {
            return Ok(None);
        };
        let records = if taken.interrupted {
            self.record(
                &mut tx,
                &[ticket.job],
                &Event::Restarted {
                    attempt: taken.attempt,
                },
            )
            .await?
        } else {
            Vec::new()
        };
        let job = read::touched(&mut tx, ticket.job).await?;
        // Before the attempt says anything, subscribers here must have heard its predecessors.
        let begun = (ticket.job, events::sequence(taken.epoch, 0));
        let earlier = self.unheard(&mut tx, &[begun]).await?;
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
    /// The attempt before was broken off: what it said is void.
    interrupted: bool,
    /// Negative when the run had used up its time before.
    seconds_left: f64,
}

async fn take(
    conn: &mut PgConnection,
    ticket: &Ticket,
    attempt_id: Uuid,
    worker: &str,
) -> Result<Option<Taken>, StoreError> {
    let taken = sqlx::query_as!(
        Taken,
        r#"with waiting as (
               select id, interrupted
               from quire.jobs
               where id = $1 and ticket = $2 and state = 'queued'
               for update
           )
           update quire.jobs j
           set state = 'running', ticket = null, attempt_id = $3, worker = $4, claimed_at = now(),
               deadline_at = now() - j.ran + (select job_deadline from quire.workers where name = $4),
               epoch = j.epoch + 1, attempt = j.attempt + 1, interrupted = false,
               started_at = coalesce(j.started_at, now())
           from waiting w
           where j.id = w.id
           returning j.epoch, j.attempt, w.interrupted,
                     -- Without a registered worker the statement fails; the default is never used.
                     coalesce(extract(epoch from j.deadline_at - now()), 0)::float8 as "seconds_left!""#,
        ticket.job.0,
        ticket.ticket,
        attempt_id,
        worker,
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
