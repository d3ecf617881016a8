//! The life of a job as one pure function.
//!
//! The same rules are stated a second time in SQL (CHECK constraints and the `where state ..` of every update); this is the
//! readable form, and the one that the simulation (`tests/simulate`) walks. It knows nothing of fences, budgets or time; what a try
//! costs is in [`crate::rules`].

use crate::job::JobState;

/// Something that happens to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Its time has come.
    Promote,
    /// A worker takes it.
    Claim,
    /// The first part of the answer is out.
    Stream,
    /// One stage is done, the next one is queued.
    NextStage,
    /// The answer is stored.
    Complete,
    /// An error that another try would not change, or a spent crash budget.
    Fail,
    /// A failed try that may be repeated later.
    RetryLater,
    /// Too many failed tries.
    GiveUp,
    /// The worker hands it back (shutdown) or has died.
    Requeue,
    /// The client ends it.
    Cancel,
    /// The client wants it run again.
    Retry,
}

impl Transition {
    /// Every transition.
    pub const ALL: &[Self] = &[
        Self::Promote,
        Self::Claim,
        Self::Stream,
        Self::NextStage,
        Self::Complete,
        Self::Fail,
        Self::RetryLater,
        Self::GiveUp,
        Self::Requeue,
        Self::Cancel,
        Self::Retry,
    ];
}

/// A transition that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {from} job cannot {transition:?}")]
pub struct IllegalTransition {
    /// The state the job is in.
    pub from: JobState,
    /// What was tried.
    pub transition: Transition,
}

/// The state after `transition`, or why there is none.
pub const fn next(from: JobState, transition: Transition) -> Result<JobState, IllegalTransition> {
    use JobState::{Cancelled, Completed, Dead, Failed, Queued, Running, Scheduled, Streaming};
    Ok(match (from, transition) {
        (Scheduled, Transition::Promote)
        | (Running | Streaming, Transition::NextStage | Transition::Requeue)
        | (Failed | Cancelled | Dead, Transition::Retry) => Queued,
        (Queued, Transition::Claim) => Running,
        (Running | Streaming, Transition::Stream) => Streaming,
        (Running | Streaming, Transition::Complete) => Completed,
        (Running | Streaming, Transition::Fail) => Failed,
        (Running | Streaming, Transition::RetryLater) => Scheduled,
        (Running | Streaming, Transition::GiveUp) => Dead,
        (Queued | Scheduled | Running | Streaming, Transition::Cancel) => Cancelled,
        _ => return Err(IllegalTransition { from, transition }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::select};

    use super::*;

    fn walk(start: JobState, steps: &[Transition]) -> Vec<(JobState, Transition, JobState)> {
        let mut state = start;
        let mut taken = Vec::new();
        for step in steps {
            if let Ok(after) = next(state, *step) {
                taken.push((state, *step, after));
                state = after;
            }
        }
        taken
    }

    proptest! {
        #[test]
        fn a_job_ends_at_most_once_per_run(
            scheduled in any::<bool>(),
            steps in proptest::collection::vec(select(Transition::ALL), 0..200),
        ) {
            let start = if scheduled { JobState::Scheduled } else { JobState::Queued };
            let mut ended = false;
            for (from, step, to) in walk(start, &steps) {
                if step == Transition::Retry {
                    prop_assert!(ended && from != JobState::Completed);
                    ended = false;
                }
                prop_assert!(!(ended && to.is_terminal()), "a second end: {from} {step:?} {to}");
                ended |= to.is_terminal();
                prop_assert_eq!(from.is_terminal(), step == Transition::Retry);
            }
        }

        #[test]
        fn only_a_claim_gives_ownership(from in select(JobState::ALL), step in select(Transition::ALL)) {
            let Ok(to) = next(from, step) else { return Ok(()) };
            if to.is_owned() && !from.is_owned() {
                prop_assert_eq!(step, Transition::Claim);
            }
        }

        #[test]
        fn every_live_job_can_be_cancelled_and_no_ended_one(from in select(JobState::ALL)) {
            prop_assert_eq!(next(from, Transition::Cancel).is_ok(), !from.is_terminal());
        }
    }

    #[test]
    fn a_completed_job_is_final() {
        for step in Transition::ALL {
            assert!(next(JobState::Completed, *step).is_err());
        }
        let refused = next(JobState::Completed, Transition::Retry).unwrap_err();
        assert_eq!(refused.to_string(), "a completed job cannot Retry");
    }
}
