//! The comparison of both sides of the replay, after each operation.

use quire_store::rules;
use uuid::Uuid;

use crate::{
    database::Database,
    entries::Status,
    real::{Real, name},
    replay::{Operation, Rules, Verb},
    row::JobNo,
};

/// A row as the replay compares it.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    state: String,
    stage: String,
    run: i32,
    epoch: i32,
    attempt: i32,
    failures: i32,
    crashes: i32,
    snoozes: i32,
    interrupted: bool,
    error_code: Option<String>,
    worker: Option<String>,
}

impl Real {
    /// A pause after a failed try has the length that the rules give it.
    pub(crate) async fn check_pause(
        &self,
        rules: &Rules,
        operation: Operation,
        before: &Database,
    ) -> Result<(), String> {
        let Operation::Write(job, _, Verb::RetryLater) = operation else {
            return Ok(());
        };
        let spent = before.jobs[job].spent;
        let waits = rules.db.jobs[job].due_at.is_some() && before.jobs[job].due_at.is_none();
        let (true, Some(shortest), Some(longest)) = (
            waits,
            rules::pause_after_failure(spent, 0.75),
            rules::pause_after_failure(spent, 1.25),
        ) else {
            return Ok(());
        };
        let due: i64 = sqlx::query_scalar(
            "select (extract(epoch from due_at) * 1000)::bigint from quire.jobs where id = $1",
        )
        .bind(self.jobs[job].0.0)
        .fetch_one(self.store.pool())
        .await
        .unwrap();
        let (from, to) = (u128::from(before.now), u128::from(self.now().await));
        let due = u128::from(due.unsigned_abs());
        if due + 1 < from + shortest.as_millis() || due > to + longest.as_millis() + 1 {
            return Err(format!(
                "job {job}: due {due}, not {shortest:?} to {longest:?} after {from}..{to}"
            ));
        }
        Ok(())
    }

    pub(crate) async fn compare(&mut self, rules: &mut Rules) -> Result<(), String> {
        for job in 0..self.jobs.len() {
            self.compare_job(rules, job)
                .await
                .map_err(|what| format!("job {job}: {what}"))?;
        }
        self.compare_entries(rules).await
    }

    async fn compare_job(&mut self, rules: &mut Rules, job: JobNo) -> Result<(), String> {
        let (id, _) = self.jobs[job];
        let row: Row = sqlx::query_as(
            "select state, stage, run, epoch, attempt, failures, crashes, snoozes, interrupted, error_code, worker
             from quire.jobs where id = $1",
        )
        .bind(id.0)
        .fetch_one(self.store.pool())
        .await
        .unwrap();
        let wanted = &rules.db.jobs[job];
        let wanted = Row {
            state: wanted.state.as_str().to_owned(),
            stage: wanted.stage.as_str().to_owned(),
            run: wanted.run.cast_signed(),
            epoch: wanted.epoch.cast_signed(),
            attempt: wanted.attempt,
            failures: wanted.spent.failures,
            crashes: wanted.spent.crashes,
            snoozes: wanted.spent.snoozes,
            interrupted: wanted.interrupted,
            error_code: wanted.error.map(str::to_owned),
            worker: wanted.worker.map(name),
        };
        same("the row", &row, &wanted)?;
        self.compare_tokens(rules, job).await?;
        let kinds: Vec<String> =
            sqlx::query_scalar("select kind from quire.job_events where job_id = $1 order by seq")
                .bind(id.0)
                .fetch_all(self.store.pool())
                .await
                .unwrap();
        let told = rules.told.get(&job).into_iter().flatten();
        let told: Vec<String> = told.map(|kind| kind.as_str().to_owned()).collect();
        same("the events", &kinds, &told)
    }

    /// Ticket and fence are new where they should be, and the same as before where not.
    async fn compare_tokens(&mut self, rules: &mut Rules, job: JobNo) -> Result<(), String> {
        let (ticket, fence, queued_at): (Option<Uuid>, Option<Uuid>, Option<i64>) = sqlx::query_as(
            "select ticket, attempt_id, (extract(epoch from queued_at) * 1000)::bigint from quire.jobs where id = $1",
        )
        .bind(self.jobs[job].0.0)
        .fetch_one(self.store.pool())
        .await
        .unwrap();
        let row = &mut rules.db.jobs[job];
        let lease = row.attempt_id.and_then(|fence| self.leases.get(&fence));
        same("the fence", &fence, &lease.map(|lease| lease.attempt_id))?;
        if let (Some(wanted), Some(ticket)) = (row.ticket, ticket)
            && !self.tickets.contains_key(&wanted)
        {
            if self.tickets.values().any(|known| *known == ticket) {
                return Err(format!("ticket {wanted:?} is not a new one"));
            }
            self.tickets.insert(wanted, ticket);
        }
        same(
            "the ticket",
            &ticket,
            &row.ticket.map(|ticket| self.tickets[&ticket]),
        )?;
        // The place in the queue is by the real clock.
        row.queued_at = queued_at.unwrap_or_default().unsigned_abs();
        let (now, queued_at) = (row.ticket, row.queued_at);
        for entry in &mut rules.db.entries.rows {
            if Some(entry.ticket) == now {
                entry.run_at = queued_at;
            }
        }
        Ok(())
    }

    async fn compare_entries(&self, rules: &Rules) -> Result<(), String> {
        let entries: Vec<(String, String)> =
            sqlx::query_as("select idempotency_key, status from apalis.jobs order by 1")
                .fetch_all(self.store.pool())
                .await
                .unwrap();
        let mut wanted: Vec<(String, String)> = rules
            .db
            .entries
            .rows
            .iter()
            .map(|entry| {
                let status = match entry.status {
                    Status::Pending => "Pending",
                    Status::Held(_) => "Queued",
                    Status::Failed => "Failed",
                    Status::Done => "Done",
                    Status::Killed => "Killed",
                };
                (self.tickets[&entry.ticket].to_string(), status.to_owned())
            })
            .collect();
        wanted.sort();
        same("the entries", &entries, &wanted)
    }
}

/// The difference, if there is one.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    real: &T,
    rules: &T,
) -> Result<(), String> {
    if real == rules {
        Ok(())
    } else {
        Err(format!(
            "{what}: Postgres has {real:?}, the rules {rules:?}"
        ))
    }
}
