//! The queue entries: one apalis task per waiting job, written in the transaction that makes the job wait.
//!
//! A task carries a ticket. The ticket stored in the job is the only one that can be claimed, so an entry that apalis repeats,
//! rescues or keeps too long is harmless: nobody gets anything for it. An entry that is lost is replaced by housekeeping.
//! Nothing is pushed before it is due: apalis keeps time in whole seconds and scans future entries at every empty poll.

use apalis_core::task::{builder::TaskBuilder, task_id::TaskId};
use apalis_postgres::{PgTask, queries::push_tasks};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use ulid::Ulid;
use uuid::Uuid;

use crate::{clock, error::StoreError, ids::JobId, job::Stage};

/// The queue of the extraction stage.
pub const QUEUE_EXTRACT: &str = "quire.extract";
/// The queue of the answering stage.
pub const QUEUE_ANSWER: &str = "quire.answer";

/// Hand-outs of one queue entry before apalis gives it up. Only a database that fails at every claim uses them up, and then
/// housekeeping writes a new entry.
const MAX_HAND_OUTS: usize = 25;

/// What lies in the queue: ids only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The job.
    pub job: JobId,
    /// Only the latest ticket of a job is worth anything.
    pub ticket: Uuid,
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

/// Writes the entries in the caller's transaction.
pub(crate) async fn push(conn: &mut PgConnection, entries: &[Entry]) -> Result<(), StoreError> {
    for stage in [Stage::Extract, Stage::Answer] {
        let tasks: Result<Vec<_>, _> = entries
            .iter()
            .filter(|entry| entry.stage == stage)
            .map(task)
            .collect();
        let tasks = tasks?;
        if !tasks.is_empty() {
            push_tasks(&mut *conn, stage.queue(), tasks).await?;
        }
    }
    Ok(())
}

/// Removes the entry of a job that no longer waits, unless a worker already has it in hand.
pub(crate) async fn withdraw(
    conn: &mut PgConnection,
    stage: Stage,
    ticket: Uuid,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from apalis.jobs
         where job_type = $1 and idempotency_key = $2 and status = 'Pending'",
        stage.queue(),
        ticket.to_string(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn task(entry: &Entry) -> Result<PgTask, StoreError> {
    let payload = Ticket {
        job: entry.job,
        ticket: entry.ticket,
    };
    let bytes =
        serde_json::to_vec(&payload).map_err(|error| StoreError::damaged("ticket", &error))?;
    // The same 128 bits as a ULID, because apalis reads its ids back as such; and as the unique key, to find the entry by.
    let id = Ulid::from(entry.ticket.as_u128()).to_string();
    Ok(TaskBuilder::new(bytes)
        .task_id(TaskId::from_string(id))
        .idempotency_key(entry.ticket.to_string())
        .priority(as_apalis(entry.priority))
        .run_at_timestamp(entry.queued_at.cast_unsigned())
        .max_attempts(MAX_HAND_OUTS)
        .build())
}

/// apalis declares priorities unsigned and stores them by truncation to `i32`: the bits of a negative one survive.
const fn as_apalis(priority: i32) -> usize {
    (priority as isize).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_priority_survives_the_trip_through_apalis(priority: i32) {
            prop_assert_eq!(as_apalis(priority) as u32, priority.cast_unsigned());
        }

        #[test]
        fn task_ids_sort_like_tickets(a: u128, b: u128) {
            prop_assert_eq!(Ulid::from(a).to_string().cmp(&Ulid::from(b).to_string()), a.cmp(&b));
        }
    }
}
