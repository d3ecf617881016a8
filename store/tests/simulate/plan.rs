//! What happens to a simulated world from outside, drawn from a seed before it begins; and randomness that does not shift.
//!
//! Inside the world every draw is a hash of the seed and of what it is about, not the next number of a stream: a plan from which
//! something has been struck out replays the rest unchanged, and so can be made smaller.

use quire_store::Stage;

use crate::{database::New, row::Millis};

/// One number for one question.
pub(crate) fn roll(seed: u64, about: [u64; 3]) -> u64 {
    // Mixed before the first part is added, or neighbouring seeds would draw the same numbers one place apart.
    about
        .iter()
        .fold(mix(seed), |hash, part| mix(hash.wrapping_add(*part)))
}

/// The step of `SplitMix64`.
const fn mix(number: u64) -> u64 {
    let mut hash = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    hash ^ (hash >> 31)
}

/// A stream of numbers, for drawing plans.
pub(crate) struct Dice {
    seed: u64,
    drawn: u64,
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// 0..`below`.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.drawn += 1;
        roll(self.seed, [self.drawn, 0, 0]) % below.max(1)
    }

    /// One in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Something that happens from outside. Processes are named by place, entries by any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A job of this name, which its draws are about whatever else is struck out.
    Create(u64, New),
    Cancel(u64),
    Retry(u64),
    /// kill -9.
    Kill(usize),
    /// SIGSTOP for a while.
    Freeze(usize, Millis),
    /// No way to the database for a while.
    Cut(usize, Millis),
    /// SIGTERM, with this time to finish.
    Stop(usize, Millis),
    /// The database server is away for a while and forgets every session.
    Restart(Millis),
    /// apalis hands an entry out once more.
    Repeat(usize),
    /// An entry vanishes.
    Lose(usize),
    /// A queue is paused for a while.
    Pause(Stage, Millis),
}

/// A whole world in a few lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) processes: usize,
    /// Handlers of one process and queue.
    pub(crate) slots: u8,
    /// Slots of one owner over all processes; 0: any number.
    pub(crate) owner_slots: usize,
    /// Of a thousand messages, so many are lost, late or doubled, each.
    pub(crate) loss: u64,
    /// Faults stop then.
    pub(crate) calm_at: Millis,
    pub(crate) inputs: Vec<(Millis, Input)>,
}

/// Time in which things happen.
const BUSY: Millis = 40_000;

impl Plan {
    pub(crate) fn draw(seed: u64, jobs: usize) -> Self {
        let mut dice = Dice::new(seed);
        let processes = 1 + dice.below(3) as usize;
        let mut inputs = Vec::new();
        for job in 0..jobs as u64 {
            let at = dice.below(BUSY * 3 / 4);
            let later = dice.one_in(5).then(|| at + dice.below(12_000));
            inputs.push((
                at,
                Input::Create(
                    job,
                    New {
                        owner: dice.below(3) as u8,
                        priority: dice.below(3) as i32 - 1,
                        scheduled_at: later,
                    },
                ),
            ));
            if dice.one_in(6) {
                inputs.push((at + dice.below(15_000), Input::Cancel(job)));
            }
            if dice.one_in(8) {
                inputs.push((at + dice.below(BUSY), Input::Retry(job)));
            }
        }
        for _ in 0..dice.below(16) {
            inputs.push((dice.below(BUSY), fault(&mut dice, processes)));
        }
        inputs.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            processes,
            slots: 1 + dice.below(3) as u8,
            owner_slots: if dice.one_in(3) { 2 } else { 0 },
            loss: [0, 5, 30][dice.below(3) as usize],
            calm_at: BUSY + 20_000,
            inputs,
        }
    }
}

fn fault(dice: &mut Dice, processes: usize) -> Input {
    let process = dice.below(processes as u64) as usize;
    match dice.below(13) {
        0..=2 => Input::Kill(process),
        3..=4 => Input::Freeze(process, 500 + dice.below(14_000)),
        5..=6 => Input::Cut(process, 500 + dice.below(14_000)),
        7..=8 => Input::Stop(process, dice.below(3_000)),
        9 => Input::Restart(dice.below(6_000)),
        10 => Input::Repeat(dice.below(1_000) as usize),
        11 => Input::Lose(dice.below(1_000) as usize),
        _ => Input::Pause(Stage::Answer, dice.below(10_000)),
    }
}

/// Strikes out whatever the failure does not need.
pub(crate) fn shrink(plan: Plan, fails: impl Fn(&Plan) -> bool) -> Plan {
    strike_out(simplify(strike_out(plan, &fails), &fails), &fails)
}

fn strike_out(plan: Plan, fails: &impl Fn(&Plan) -> bool) -> Plan {
    let mut best = plan;
    let mut chunk = best.inputs.len().div_ceil(2);
    while chunk > 0 {
        let (mut from, before) = (0, best.inputs.len());
        while from < best.inputs.len() {
            let mut smaller = best.clone();
            let to = (from + chunk).min(smaller.inputs.len());
            smaller.inputs.drain(from..to);
            if fails(&smaller) {
                best = smaller;
            } else {
                from = to;
            }
        }
        // One by one until nothing more can be spared.
        chunk = if chunk == 1 && best.inputs.len() < before {
            1
        } else {
            chunk / 2
        };
    }
    best
}

fn simplify(plan: Plan, fails: &impl Fn(&Plan) -> bool) -> Plan {
    let mut best = plan;
    let simpler: [fn(&mut Plan); 3] = [
        |plan| plan.loss = 0,
        |plan| plan.slots = 1,
        |plan| plan.owner_slots = 0,
    ];
    for simplify in simpler {
        let mut smaller = best.clone();
        simplify(&mut smaller);
        if fails(&smaller) {
            best = smaller;
        }
    }
    best
}
