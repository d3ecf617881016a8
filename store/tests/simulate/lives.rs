//! Many worlds, each from a seed.

use std::time::Instant;

use crate::{
    database::Flaw,
    plan::{Plan, shrink},
    world::{Seen, live},
};

/// Jobs of one world.
const JOBS: usize = 40;
/// Worlds of an ordinary run: some 20,000 lives.
const WORLDS: u64 = 500;
/// Within so many worlds every broken rule must be noticed.
const ENOUGH: u64 = 300;

/// Lives the world of `seed`; a failure is told as shortly as possible.
fn must_hold(seed: u64) -> Seen {
    let plan = Plan::draw(seed, JOBS);
    let Ok(lived) = live(&plan, Flaw::None, false) else {
        panic!("{}", report(&plan, Flaw::None))
    };
    lived
}

/// The smallest plan that still fails, and what happens in it.
fn report(plan: &Plan, flaw: Flaw) -> String {
    let small = shrink(plan.clone(), |plan| live(plan, flaw, false).is_err());
    let failure = live(&small, flaw, true).unwrap_err();
    format!(
        "seed {} breaks a promise at {} ms: {}\nlive it again with QUIRE_SIMULATE_SEED={}\n\
         {} processes, {} slots, {} of an owner, {} of 1000 messages lost; what happens:\n{}",
        plan.seed,
        failure.at,
        failure.what,
        plan.seed,
        small.processes,
        small.slots,
        small.owner_slots,
        small.loss,
        failure.trace.join("\n"),
    )
}

fn all(seeds: impl Iterator<Item = u64>) -> Seen {
    let mut sum = Seen::default();
    for seed in seeds {
        let world = must_hold(seed);
        sum.lives += world.lives;
        sum.events += world.events;
        sum.refused += world.refused;
    }
    sum
}

#[test]
fn every_life_keeps_every_promise() {
    if let Ok(seed) = std::env::var("QUIRE_SIMULATE_SEED") {
        must_hold(seed.parse().unwrap());
        return;
    }
    let sum = all(0..WORLDS);
    assert!(sum.lives >= 20_000, "only {} lives", sum.lives);
    assert!(
        sum.refused >= 100,
        "hardly any stale write: {}",
        sum.refused
    );
}

#[test]
fn a_broken_rule_is_noticed() {
    const FLAWS: &[Flaw] = &[
        Flaw::NoFence,
        Flaw::AnyTicket,
        Flaw::NoPause,
        Flaw::NoCrashBudget,
        Flaw::SameEpoch,
        Flaw::NoRepair,
        Flaw::NoReaper,
        Flaw::NoReconcile,
        Flaw::EarlyPromotion,
        Flaw::NoPriority,
        Flaw::SilentEnd,
    ];
    for flaw in FLAWS {
        let noticed = (0..ENOUGH).find_map(|seed| {
            let failure = live(&Plan::draw(seed, JOBS), *flaw, false).err()?;
            Some((seed, failure.what))
        });
        let Some((seed, what)) = noticed else {
            panic!("nobody notices {flaw:?}")
        };
        println!("{flaw:?}: noticed in world {seed}: {what}");
    }
}

#[test]
fn a_failing_seed_fails_again_and_in_few_steps() {
    let fails = |plan: &Plan| live(plan, Flaw::NoFence, false).is_err();
    let plan = (0..ENOUGH)
        .map(|seed| Plan::draw(seed, JOBS))
        .find(fails)
        .unwrap();
    let small = shrink(plan.clone(), fails);
    let again = live(&small, Flaw::NoFence, true).unwrap_err();
    assert_eq!(live(&small, Flaw::NoFence, true).unwrap_err(), again);
    assert!(
        small.inputs.len() * 4 <= plan.inputs.len(),
        "{}",
        report(&plan, Flaw::NoFence)
    );
}

#[test]
#[ignore = "a measurement: prints the lives of one core in an hour, with new seeds each time"]
fn lives_per_hour() {
    let first = u64::from(uuid::Uuid::new_v4().as_fields().0) << 16;
    let start = Instant::now();
    let sum = all(first..first + 20 * WORLDS);
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} lives, {} events in {seconds:.2} s from seed {first}: {:.0} lives in an hour on one core",
        sum.lives,
        sum.events,
        sum.lives as f64 / seconds * 3_600.0,
    );
}
