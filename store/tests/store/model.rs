//! The store against the pure life of a job: any sequence of verbs leaves the row where the function says, or is refused where
//! the function refuses, and every run has at most one end.

use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};
use quire_store::{
    CancelOutcome, JobState, Lease, MAX_FAILURES, Owner, RetryOutcome, Stage,
    transition::{Transition, next},
};
use serde_json::json;

use crate::support::Quire;

/// Sequences tried; each is some dozens of transactions.
const CASES: u32 = 24;

/// What the test knows beside the state.
struct Model {
    state: JobState,
    /// The latest lease, which may have been lost.
    lease: Option<Lease>,
    failures: i32,
    ends: usize,
}

/// Verbs as transitions; `GiveUp` and `Promote` follow from the others.
const VERBS: &[Transition] = &[
    Transition::Claim,
    Transition::Claim,
    Transition::Stream,
    Transition::NextStage,
    Transition::Complete,
    Transition::Fail,
    Transition::RetryLater,
    Transition::Requeue,
    Transition::Cancel,
    Transition::Retry,
];

#[test]
fn any_sequence_of_verbs_follows_the_life_of_a_job() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let quire = runtime.block_on(Quire::new());
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let verbs = proptest::collection::vec(select(VERBS), 1..30);
    TestRunner::new(config)
        .run(&verbs, |verbs| runtime.block_on(play(&quire, &verbs)))
        .unwrap();
}

async fn play(quire: &Quire, verbs: &[Transition]) -> Result<(), TestCaseError> {
    let job = quire.job().await.id;
    let mut model = Model {
        state: JobState::Queued,
        lease: None,
        failures: 0,
        ends: 0,
    };
    for verb in verbs {
        let verb = model.effective(*verb);
        let allowed = next(model.state, verb);
        let Some(done) = act(quire, job, verb, &mut model).await else {
            continue;
        };
        prop_assert_eq!(done, allowed.is_ok(), "{:?} of a {} job", verb, model.state);
        if let Ok(state) = allowed {
            model.state = state;
            model.ends += usize::from(state.is_terminal());
        }
        prop_assert_eq!(quire.state(job).await, model.state);
    }
    let events = quire.events(job).await;
    prop_assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
    prop_assert_eq!(quire.ends(job).await, model.ends);
    Ok(())
}

impl Model {
    /// The last failed try is the end.
    fn effective(&self, verb: Transition) -> Transition {
        if verb == Transition::RetryLater && self.failures + 1 >= MAX_FAILURES {
            Transition::GiveUp
        } else {
            verb
        }
    }
}

/// Whether the store did it. `None`: this verb cannot be tried now.
async fn act(
    quire: &Quire,
    job: quire_store::JobId,
    verb: Transition,
    model: &mut Model,
) -> Option<bool> {
    let store = &quire.store;
    match verb {
        Transition::Claim if model.state == JobState::Queued => {
            model.lease = Some(quire.claim(job).await);
            Some(true)
        }
        Transition::Cancel => {
            let outcome = store.cancel_job(Owner::LOCAL, job).await.unwrap();
            Some(matches!(outcome, CancelOutcome::Cancelled(_)))
        }
        Transition::Retry => {
            let outcome = store.retry_job(Owner::LOCAL, job).await.unwrap();
            let done = matches!(outcome, RetryOutcome::Queued(_));
            if done {
                model.failures = 0;
            }
            Some(done)
        }
        _ => {
            let lease = model.lease.clone()?;
            if lease.stage == Stage::Answer && verb == Transition::NextStage {
                return None;
            }
            let done = as_owner(quire, &lease, verb, model).await?;
            Some(done)
        }
    }
}

async fn as_owner(
    quire: &Quire,
    lease: &Lease,
    verb: Transition,
    model: &mut Model,
) -> Option<bool> {
    let store = &quire.store;
    Some(match verb {
        Transition::Stream => {
            if !model.state.is_owned() {
                return None;
            }
            let writer = store.writer(lease);
            writer.chunk("text");
            writer.barrier().await.unwrap();
            true
        }
        Transition::NextStage => store.finish_extract(lease, &json!({}), 1).await.unwrap(),
        Transition::Complete => store.complete(lease, "answer", json!({})).await.unwrap(),
        Transition::Fail => store.fail(lease, "code", "message").await.unwrap(),
        Transition::RetryLater | Transition::GiveUp => {
            let done = store.retry_later(lease, "code", "message").await.unwrap();
            model.failures += i32::from(done);
            done
        }
        Transition::Requeue => store.release(lease).await.unwrap(),
        _ => return None,
    })
}
