//! The queue entries: one apalis task per waiting job, written in the transaction that makes the job wait.
//!
//! A task carries a ticket. The ticket stored in the job is the only one that can be claimed, so an entry that apalis repeats,
//! rescues or keeps too long is harmless: nobody gets anything for it. An entry that is lost is replaced by housekeeping.
//! Nothing is pushed before it is due: apalis keeps time in whole seconds and scans future entries at every empty poll.

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use ulid::Ulid;
use uuid::Uuid;

use crate::{clock, error::StoreError, failpoint::failpoint, ids::JobId, job::Stage};

/// The queue of the extraction stage.
pub const QUEUE_EXTRACT: &str = "quire.extract";
/// The queue of the answering stage.
pub const QUEUE_ANSWER: &str = "quire.answer";

/// Both.
pub(crate) const QUEUES: [&str; 2] = [QUEUE_EXTRACT, QUEUE_ANSWER];

/// Hand-outs of one queue entry before apalis gives it up. Only a database that fails at every claim uses them up, and then
/// housekeeping writes a new entry.
const MAX_HAND_OUTS: i32 = 25;

/// What lies in the queue: ids only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The job.
    pub job: JobId,
    /// Only the latest ticket of a job is worth anything.
    pub ticket: Uuid,
}

/// What lies in the queue, as it is read: pushing marks the ticket of a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// What can be claimed.
    #[serde(flatten)]
    pub ticket: Ticket,
    /// The job has lost a worker and is to run alone.
    #[serde(default)]
    pub suspect: bool,
}

/// A queue entry to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) job: JobId,
    pub(crate) ticket: Uuid,
    pub(crate) stage: Stage,
    pub(crate) priority: i32,
    /// The job's place among its equals, in seconds of the database's clock.
    pub(crate) queued_at: i64,
}

impl Stage {
    /// The queue that the stage waits in.
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Extract => QUEUE_EXTRACT,
            Self::Answer => QUEUE_ANSWER,
        }
    }
}

/// A fresh ticket. Later tickets are greater, which keeps jobs of the same second and priority in order.
pub(crate) fn new_ticket() -> Uuid {
    clock::new_id()
}

/// Writes the entries in the caller's transaction. Each job must wait already: its entry bears the job's owner.
pub(crate) async fn push(conn: &mut PgConnection, entries: &[Entry]) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut rows = Rows::default();
    for entry in entries {
        rows.add(entry)?;
    }
    failpoint!("insert queue entry");
    sqlx::query!(
        r#"insert into apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority, idempotency_key, owner)
         select e.id, e.queue,
                -- `Call`: a suspect is marked here, where its row is at hand.
                case when j.crashes = 0 then e.payload
                     else convert_to((convert_from(e.payload, 'UTF8')::jsonb || '{"suspect": true}')::text, 'UTF8') end,
                'Pending', 0, $8, to_timestamp(e.queued_at), e.priority, e.ticket::text, j.owner
         from unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::integer[], $6::uuid[], $7::uuid[])
              as e (id, queue, payload, queued_at, priority, ticket, job)
         join quire.jobs j on j.id = e.job"#,
        &rows.ids,
        &rows.queues as &[&str],
        &rows.payloads,
        &rows.queued_at,
        &rows.priorities,
        &rows.tickets,
        &rows.jobs,
        MAX_HAND_OUTS,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the entries of jobs that no longer wait, unless a worker already has them in hand.
pub(crate) async fn withdraw(
    conn: &mut PgConnection,
    tickets: &[(Stage, Uuid)],
) -> Result<(), StoreError> {
    if tickets.is_empty() {
        return Ok(());
    }
    let queues: Vec<&str> = tickets.iter().map(|(stage, _)| stage.queue()).collect();
    let keys: Vec<String> = tickets.iter().map(|(_, key)| key.to_string()).collect();
    sqlx::query!(
        "delete from apalis.jobs a
         using unnest($1::text[], $2::text[]) as t (queue, key)
         where a.job_type = t.queue and a.idempotency_key = t.key and a.status = 'Pending'",
        &queues as &[&str],
        &keys,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The entries column by column.
#[derive(Default)]
struct Rows {
    ids: Vec<String>,
    queues: Vec<&'static str>,
    payloads: Vec<Vec<u8>>,
    queued_at: Vec<i64>,
    priorities: Vec<i32>,
    tickets: Vec<Uuid>,
    jobs: Vec<Uuid>,
}

impl Rows {
    fn add(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let payload = Ticket {
            job: entry.job,
            ticket: entry.ticket,
        };
        let bytes =
            serde_json::to_vec(&payload).map_err(|error| StoreError::damaged("ticket", &error))?;
        self.ids.push(entry_id(entry.ticket));
        self.queues.push(entry.stage.queue());
        self.payloads.push(bytes);
        self.queued_at.push(entry.queued_at);
        self.priorities.push(entry.priority);
        self.tickets.push(entry.ticket);
        self.jobs.push(entry.job.0);
        Ok(())
    }
}

/// The same 128 bits as a ULID, because apalis reads its ids back as such.
fn entry_id(ticket: Uuid) -> String {
    Ulid::from(ticket.as_u128()).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_sort_like_tickets(a: u128, b: u128) {
            let id = |ticket| entry_id(Uuid::from_u128(ticket));
            prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
        }
    }
}
