//! One attempt: claim the job of a ticket, run its stage, write down how it ended.
//!
//! The attempt is a task of its own so that a panic ends this attempt and nothing else, and so that apalis' poll loop,
//! which also beats its heart, never waits for work.

use std::sync::Arc;

use apalis::prelude::BoxDynError;
use quire_store::{Call, Lease, StoreError};

use crate::{
    context::Context,
    failure::{Failure, INTERNAL},
    persist::persist,
    running::Entered,
    watch,
};

/// Runs the stage of `ticket`. An error makes apalis offer the ticket again; every other outcome is in the job.
pub(crate) async fn ticket(call: Call, context: Arc<Context>) -> Result<(), BoxDynError> {
    let ticket = call.ticket;
    // Before the claim: a suspect that waits must not be one of the jobs that this process has.
    let _admitted = context.quarantine.admit(call.suspect).await;
    let Some(lease) = context.store.claim(&ticket, &context.worker).await? else {
        tracing::debug!(job.id = %ticket.job, "stale ticket");
        return Ok(());
    };
    let attempt = Arc::clone(&context);
    let outcome = context
        .attempts
        .spawn(async move { attempt_stage(&lease, &attempt).await })
        .await;
    match outcome {
        Ok(result) => Ok(result?),
        Err(panic) => {
            tracing::error!(job.id = %ticket.job, error = %panic, "attempt task panicked outside its stage");
            Err(panic.into())
        }
    }
}

async fn attempt_stage(lease: &Lease, context: &Arc<Context>) -> Result<(), StoreError> {
    let started = std::time::Instant::now();
    let entered = Arc::new(context.running.enter(lease.job.id));
    let ended = watch::stage(lease, context, &entered).await;
    let (stage, outcome_name) = (lease.stage.as_str(), outcome_name(&ended.outcome));
    metrics::histogram!("quire_stage_seconds", "stage" => stage, "outcome" => outcome_name)
        .record(started.elapsed().as_secs_f64());
    tracing::info!(job.id = %lease.job.id, job.stage = stage, job.outcome = outcome_name, duration_ms = started.elapsed().as_millis() as u64, "job stage ended");
    let settled = settle(lease, context, &entered, &ended.outcome).await;
    if let Some(task) = ended.left_behind {
        watch::leave_behind(task, context, &entered).await;
    }
    settled
}

/// Writes the end of an unsuccessful attempt; `false` from the store means that somebody else owns the job now.
async fn settle(
    lease: &Lease,
    context: &Context,
    entered: &Entered,
    outcome: &Result<(), Failure>,
) -> Result<(), StoreError> {
    let Err(failure) = outcome else { return Ok(()) };
    let write = || write_end(lease, context, failure);
    if !persist(&context.store, lease, entered, write).await? {
        tracing::info!(job.id = %lease.job.id, "attempt lost its job to another owner");
    }
    Ok(())
}

async fn write_end(
    lease: &Lease,
    context: &Context,
    failure: &Failure,
) -> Result<bool, StoreError> {
    let store = &context.store;
    match failure {
        Failure::Stopped => Ok(true),
        Failure::HandedBack => store.release(lease).await,
        Failure::Snooze {
            code,
            message,
            delay,
        } => store.snooze(lease, *delay, (code, message)).await,
        Failure::Retry { code, message } => store.retry_later(lease, code, message).await,
        Failure::Fail { code, message } => store.fail(lease, code, message).await,
        Failure::Store(error) if error.is_unavailable() => store.release(lease).await,
        Failure::Store(error) => {
            tracing::error!(job.id = %lease.job.id, %error, "the database refused an attempt's write");
            let message = "the outcome could not be stored";
            store.retry_later(lease, INTERNAL, message).await
        }
    }
}

fn outcome_name(outcome: &Result<(), Failure>) -> &'static str {
    match outcome {
        Ok(()) => "done",
        Err(Failure::Retry { .. }) => "retry",
        Err(Failure::Snooze { .. }) => "snoozed",
        Err(Failure::Fail { .. }) => "failed",
        Err(Failure::Stopped | Failure::HandedBack) => "stopped",
        Err(Failure::Store(_)) => "database",
    }
}
