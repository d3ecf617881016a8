//! One stage of one attempt and everything that may end it from outside: another owner, the end of this process, its deadline,
//! its silence.
//!
//! A stage is asked to stop and given a moment. One that does not stop is left behind: its slot is free, its fence is void, and its
//! thread ends whenever it does. How many may be left behind at a time is limited; beyond it a slot stays taken, so that
//! a broken engine cannot fill the machine with threads.

use std::{sync::Arc, time::Duration};

use quire_store::{DEADLINE_EXCEEDED, Lease, Stage};
use tokio::{
    task::{JoinError, JoinHandle},
    time::{sleep, timeout},
};

use crate::{answer, context::Context, extract, failure::Failure, running::Entered};

/// Time that a stage gets to stop. A cancel frees the slot within 250 ms, and this is the largest part of it.
const STOPS_WITHIN: Duration = Duration::from_millis(150);
/// The same, where nobody waits for the slot and a result that is almost there may still be taken.
const ENDS_WITHIN: Duration = Duration::from_secs(1);
/// Stages left behind at a time: each holds a thread and what it works on.
const LEFT_BEHIND: usize = 8;

/// How a stage ended.
pub(crate) struct Ended {
    /// Its verdict, or that of whatever ended it.
    pub(crate) outcome: Result<(), Failure>,
    /// It did not stop when it was asked to.
    pub(crate) left_behind: Option<JoinHandle<Result<(), Failure>>>,
}

/// What ends a stage from outside.
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// Somebody else owns the job, or nobody: it was cancelled.
    Lost,
    /// This process ends.
    HandBack,
    /// The run has used up its time.
    Deadline,
    /// No sign of life for too long.
    Silence,
}

/// Runs the stage of `lease` to its end, whoever decides that.
pub(crate) async fn stage(lease: &Lease, context: &Arc<Context>, entered: &Arc<Entered>) -> Ended {
    let mut task = start(lease, context, entered);
    let cause = tokio::select! {
        biased;
        ended = &mut task => return handed_back_or(Ended::by_itself(ended), entered),
        () = lease.lost.cancelled() => Cause::Lost,
        () = entered.handed_back() => Cause::HandBack,
        () = sleep(lease.time_left) => Cause::Deadline,
        () = entered.pulse().silence(context.limits.progress) => Cause::Silence,
    };
    entered.stop().stop();
    match timeout(cause.patience(), &mut task).await {
        Ok(ended) => cause.overrules(Ended::by_itself(ended), lease.stage),
        Err(_) => Ended {
            outcome: Err(cause.failure(lease.stage)),
            left_behind: Some(task),
        },
    }
}

/// The flags of a stage may reach it before the watch hears why.
fn handed_back_or(ended: Ended, entered: &Entered) -> Ended {
    match ended.outcome {
        Err(Failure::Stopped) if entered.is_handed_back() => Ended {
            outcome: Err(Failure::HandedBack),
            ..ended
        },
        _ => ended,
    }
}

/// The stage as a task of its own: its panic ends this job and nothing else, and it can be left behind.
fn start(
    lease: &Lease,
    context: &Arc<Context>,
    entered: &Arc<Entered>,
) -> JoinHandle<Result<(), Failure>> {
    let (lease, context, entered) = (lease.clone(), Arc::clone(context), Arc::clone(entered));
    tokio::spawn(async move {
        match lease.stage {
            Stage::Extract => extract::run(&lease, &context, &entered).await,
            Stage::Answer => answer::run(&lease, &context, &entered).await,
        }
    })
}

/// Lets a stage that does not stop run on beside the slots, or waits for it when too many do.
pub(crate) async fn leave_behind(
    task: JoinHandle<Result<(), Failure>>,
    context: &Context,
    entered: &Entered,
) {
    let others = context.left_behind.len();
    tracing::error!(
        stages.left_behind = others + 1,
        "a stage does not stop and is left behind"
    );
    // It has no say any more: its fence is void.
    let end = context.left_behind.spawn(async move {
        let _ = task.await;
    });
    if others < LEFT_BEHIND {
        return;
    }
    tokio::select! {
        _ = end => {}
        () = entered.handed_back() => {}
    }
}

impl Ended {
    fn by_itself(ended: Result<Result<(), Failure>, JoinError>) -> Self {
        let outcome = ended.unwrap_or_else(|error| {
            // Not the panic's own text: that may hold document content.
            let kind = if error.is_panic() {
                "panic"
            } else {
                "cancelled"
            };
            Err(Failure::internal(format!(
                "the job handler stopped unexpectedly: {kind}"
            )))
        });
        Self {
            outcome,
            left_behind: None,
        }
    }
}

impl Cause {
    fn patience(self) -> Duration {
        match self {
            Self::Lost => STOPS_WITHIN,
            Self::HandBack | Self::Deadline | Self::Silence => ENDS_WITHIN,
        }
    }

    /// A stage that was asked to stop and says so did not decide its end; one that finished after all, or found a real fault, did.
    fn overrules(self, ended: Ended, stage: Stage) -> Ended {
        match ended.outcome {
            Err(Failure::Stopped | Failure::Store(_)) => Ended {
                outcome: Err(self.failure(stage)),
                ..ended
            },
            _ => ended,
        }
    }

    fn failure(self, stage: Stage) -> Failure {
        match self {
            Self::Lost => Failure::Stopped,
            Self::HandBack => Failure::HandedBack,
            Self::Deadline => {
                let (code, message) = DEADLINE_EXCEEDED;
                Failure::Fail {
                    code,
                    message: message.into(),
                }
            }
            Self::Silence => Failure::Retry {
                code: match stage {
                    Stage::Extract => "extract_stalled",
                    Stage::Answer => "answer_stalled",
                },
                message: format!("the {} stage made no progress for too long", stage.as_str()),
            },
        }
    }
}
