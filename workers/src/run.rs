//! One attempt: claim the job of a ticket, run its stage, write down how it ended.
//!
//! The attempt is a task of its own so that a panic ends this attempt and nothing else, and so that apalis' poll loop,
//! which also beats its heart, never waits for work.

use std::sync::Arc;

use apalis::prelude::BoxDynError;
use quire_store::{Lease, Stage, StoreError, Ticket};

use crate::{answer, context::Context, extract, failure::Failure, running::Entered};

/// Runs the stage of `ticket`. An error makes apalis offer the ticket again; every other outcome is in the job.
pub(crate) async fn ticket(ticket: Ticket, context: Arc<Context>) -> Result<(), BoxDynError> {
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
    let entered = context.running.enter(lease.job.id);
    let outcome = stage(lease, context, &entered).await;
    let (stage, outcome_name) = (lease.stage.as_str(), outcome_name(&outcome));
    metrics::histogram!("quire_stage_seconds", "stage" => stage, "outcome" => outcome_name)
        .record(started.elapsed().as_secs_f64());
    tracing::info!(job.id = %lease.job.id, job.stage = stage, job.outcome = outcome_name, duration_ms = started.elapsed().as_millis() as u64, "job stage ended");
    settle(lease, context, &entered, outcome).await
}

/// The stage itself, in a task so that its panic becomes a failure of this job.
async fn stage(lease: &Lease, context: &Arc<Context>, entered: &Entered) -> Result<(), Failure> {
    let (owned, context, stop) = (lease.clone(), Arc::clone(context), entered.stop().clone());
    let mut task = tokio::spawn(async move {
        match owned.stage {
            Stage::Extract => extract::run(&owned, &context, &stop).await,
            Stage::Answer => answer::run(&owned, &context, &stop).await,
        }
    });
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = lease.lost.cancelled() => {
            entered.stop().stop();
            task.await
        }
    };
    ended.unwrap_or_else(|panic| {
        Err(Failure::internal(format!(
            "the job handler stopped unexpectedly: {}",
            panic_kind(&panic)
        )))
    })
}

/// Writes the end of an unsuccessful attempt; `false` from the store means that somebody else owns the job now.
async fn settle(
    lease: &Lease,
    context: &Context,
    entered: &Entered,
    outcome: Result<(), Failure>,
) -> Result<(), StoreError> {
    let store = &context.store;
    let owned = match outcome {
        Err(Failure::Stopped) if entered.stop().is_hand_back() => store.release(lease).await?,
        Ok(()) | Err(Failure::Stopped) => true,
        Err(Failure::Retry { code, message }) => store.retry_later(lease, code, &message).await?,
        Err(Failure::Fail { code, message }) => store.fail(lease, code, &message).await?,
        Err(Failure::Store(error)) => {
            tracing::warn!(job.id = %lease.job.id, %error, "job attempt could not be written down");
            store.release(lease).await?
        }
    };
    if !owned {
        tracing::info!(job.id = %lease.job.id, "attempt lost its job to another owner");
    }
    Ok(())
}

fn outcome_name(outcome: &Result<(), Failure>) -> &'static str {
    match outcome {
        Ok(()) => "done",
        Err(Failure::Retry { .. }) => "retry",
        Err(Failure::Fail { .. }) => "failed",
        Err(Failure::Stopped) => "stopped",
        Err(Failure::Store(_)) => "database",
    }
}

/// What kind of end a task had, without the panic's text: that may hold document content.
fn panic_kind(error: &tokio::task::JoinError) -> &'static str {
    if error.is_panic() {
        "panic"
    } else {
        "cancelled"
    }
}
