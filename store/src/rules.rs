//! What a failed try, a wait or a lost worker costs a job, and when that is the end: the decisions behind the verbs.
//!
//! Pure functions: the verbs ask them where the numbers are at hand in Rust, the simulation of the queue walks them by the million,
//! and where a statement has to decide by itself (it reads and writes the counters in one go), the replay of random lives
//! compares it with them.

use std::time::Duration;

use crate::{
    job::JobState,
    jobs::{MAX_FAILURES, MAX_SNOOZES},
    workers::{DEADLINE_EXCEEDED, MAX_CRASHES},
};

/// Longest pause between two tries, in seconds. The first is about 2 s, then it doubles.
pub(crate) const LONGEST_BACKOFF_SECS: f64 = 600.0;

/// Code and message of a job that may have taken its workers along.
const POISON: (&str, &str) = (
    "poison",
    "the worker died repeatedly while it worked on this job",
);

/// Why an attempt is taken from the worker that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The process died while it had this job only: from the crash budget.
    Crash,
    /// The process died while it had other jobs, too, and any of them may have been the reason. The first such death makes the job
    /// a suspect, which runs alone where it can; further ones are failed tries, of which there are more, so that a neighbour's fault
    /// does not end a job and yet no job takes workers along for ever.
    CrashInCompany,
    /// The process is frozen or cut off, or holds no lease for the job: a failed try. Not a crash, because a whole machine may
    /// sleep for a while.
    Stall,
    /// The process signs off: costs nothing.
    Shutdown,
    /// The run has used up its time.
    Deadline,
}

/// What one run of a job has spent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Deaths of a worker.
    pub crashes: i32,
    /// Failed tries.
    pub failures: i32,
    /// Waits that were no failure.
    pub snoozes: i32,
}

/// Added to a job's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// To the dead workers.
    pub crashes: i32,
    /// To the failed tries.
    pub failures: i32,
    /// To the starts of the stage.
    pub attempts: i32,
}

/// What becomes of a job whose attempt is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is queued again.
    Again(Cost),
    /// A budget is spent.
    End {
        /// `failed` or `dead`.
        state: JobState,
        /// Stable code and message.
        error: (&'static str, &'static str),
        /// What it has cost.
        cost: Cost,
    },
}

/// The price of losing an attempt.
pub const fn cost(cause: Cause) -> Cost {
    let (crashes, failures, attempts) = match cause {
        Cause::Crash | Cause::CrashInCompany => (1, 0, 0),
        Cause::Stall | Cause::Deadline => (0, 1, 0),
        Cause::Shutdown => (0, 0, -1),
    };
    Cost {
        crashes,
        failures,
        attempts,
    }
}

/// What becomes of a job that has `spent` so much when it loses its attempt by `cause`.
pub const fn lose(spent: Spent, cause: Cause) -> Verdict {
    let mut cost = cost(cause);
    let (state, error) = match cause {
        Cause::Deadline => (JobState::Failed, DEADLINE_EXCEEDED),
        Cause::Crash if spent.crashes + cost.crashes >= MAX_CRASHES => (JobState::Failed, POISON),
        Cause::Stall if spent.failures + cost.failures >= MAX_FAILURES => (
            JobState::Dead,
            (
                "worker_stalled",
                "the worker stopped responding each time it worked on this job",
            ),
        ),
        Cause::CrashInCompany if spent.crashes > 0 => {
            (cost.crashes, cost.failures) = (0, 1);
            if spent.failures + cost.failures < MAX_FAILURES {
                return Verdict::Again(cost);
            }
            (JobState::Failed, POISON)
        }
        Cause::Crash | Cause::CrashInCompany | Cause::Stall | Cause::Shutdown => {
            return Verdict::Again(cost);
        }
    };
    Verdict::End { state, error, cost }
}

/// The pause after one more failed try; `None`: it was the last one. `jitter` is about 1.
pub fn pause_after_failure(spent: Spent, jitter: f64) -> Option<Duration> {
    let failures = spent.failures + 1;
    (failures < MAX_FAILURES).then(|| {
        let seconds = LONGEST_BACKOFF_SECS.min(2_f64.powi(failures));
        Duration::from_secs_f64(seconds * jitter)
    })
}

/// Whether one more wait is free; otherwise it is a failed try.
pub const fn may_snooze(spent: Spent) -> bool {
    spent.snoozes < MAX_SNOOZES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(crashes: i32, failures: i32) -> Spent {
        Spent {
            crashes,
            failures,
            snoozes: 0,
        }
    }

    fn code(verdict: Verdict) -> Option<&'static str> {
        match verdict {
            Verdict::Again(_) => None,
            Verdict::End { error, .. } => Some(error.0),
        }
    }

    #[test]
    fn each_cause_spends_its_own_budget() {
        assert_eq!(code(lose(spent(0, 9), Cause::Crash)), None);
        let last = MAX_CRASHES - 1;
        assert_eq!(code(lose(spent(last - 1, 0), Cause::Crash)), None);
        assert_eq!(code(lose(spent(last, 0), Cause::Crash)), Some("poison"));
        assert_eq!(code(lose(spent(9, 3), Cause::Stall)), None);
        let Verdict::End { state, .. } = lose(spent(0, 4), Cause::Stall) else {
            panic!("the last try has failed");
        };
        assert_eq!(state, JobState::Dead);
        assert_eq!(code(lose(spent(9, 9), Cause::Shutdown)), None);
        assert_eq!(
            code(lose(spent(0, 0), Cause::Deadline)),
            Some("deadline_exceeded")
        );
    }

    #[test]
    fn a_neighbour_costs_tries_and_not_the_crash_budget() {
        let costs = |before| match lose(spent(before, 0), Cause::CrashInCompany) {
            Verdict::Again(cost) => (cost.crashes, cost.failures),
            Verdict::End { .. } => panic!("ended after {before} crashes"),
        };
        assert_eq!(
            (costs(0), costs(1), costs(MAX_CRASHES)),
            ((1, 0), (0, 1), (0, 1))
        );
        let last = spent(1, MAX_FAILURES - 1);
        assert_eq!(code(lose(last, Cause::CrashInCompany)), Some("poison"));
    }

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<_> = (0..6)
            .map(|failures| pause_after_failure(spent(0, failures), 1.0))
            .collect();
        let seconds = |secs| Some(Duration::from_secs(secs));
        assert_eq!(
            pauses,
            [seconds(2), seconds(4), seconds(8), seconds(16), None, None]
        );
    }
}
