//! What happens in a fault run, drawn from its seed: every file, every arrival, every fault and its moment.

use std::time::Duration;

/// The two worker processes among the members of the cluster; the API processes come before them.
pub const WORKERS: [usize; 2] = [2, 3];
/// The two API processes.
pub const APIS: [usize; 2] = [0, 1];

/// A generator of numbers that is the same everywhere and for ever (`SplitMix64`), so that a seed stays worth something.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Begins the sequence of `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to below `high`.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low)
    }

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// SIGKILL; started again after the pause.
    KillWorker(usize, Duration),
    /// SIGKILL; started again after the pause.
    KillApi(usize, Duration),
    /// SIGKILL of all of it.
    KillPostgres,
    /// SIGSTOP for the pause, which is longer than a lease.
    FreezeWorker(usize, Duration),
    /// SIGTERM.
    StopWorker(usize),
    /// SIGTERM.
    StopApi(usize),
}

/// One fault and the uploads around it.
#[derive(Clone, Debug)]
pub struct Step {
    /// From the beginning of the step to the fault.
    pub fault_at: Duration,
    /// The fault.
    pub fault: Fault,
    /// From the beginning of the step to that of the next.
    pub length: Duration,
    /// The uploads, with their moments.
    pub uploads: Vec<(Duration, Work)>,
}

/// An upload.
#[derive(Clone, Debug)]
pub struct Work {
    /// Its number in the run.
    pub index: u64,
    /// `Idempotency-Key`.
    pub key: String,
    /// What its file is made from.
    pub seed: u64,
}

/// A fault run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where all of it comes from.
    pub seed: u64,
    /// One after another.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Draws `faults` steps with `jobs` uploads in all.
    pub fn new(seed: u64, jobs: u64, faults: u64) -> Self {
        let mut dice = Dice::new(seed);
        let steps = (0..faults)
            .map(|step| {
                let indexes = (step * jobs / faults)..((step + 1) * jobs / faults);
                draw(&mut dice, seed, step, indexes)
            })
            .collect();
        Self { seed, steps }
    }
}

fn draw(dice: &mut Dice, seed: u64, step: u64, indexes: std::ops::Range<u64>) -> Step {
    let uploads = indexes
        .map(|index| {
            let work = Work {
                index,
                key: format!("chaos-{seed}-{index}"),
                seed: dice.roll(),
            };
            (dice.millis(0, 700), work)
        })
        .collect();
    Step {
        fault_at: dice.millis(50, 800),
        fault: fault(dice, step),
        length: dice.millis(900, 1_800),
        uploads,
    }
}

fn fault(dice: &mut Dice, step: u64) -> Fault {
    let (worker, api) = (
        WORKERS[dice.between(0, 2) as usize],
        APIS[dice.between(0, 2) as usize],
    );
    let pause = dice.millis(0, 600);
    let frozen = dice.millis(6_500, 8_000);
    // Every kind comes early, so that a short run has each.
    let lot = if step < 6 {
        [0, 50, 70, 80, 88, 94][step as usize]
    } else {
        dice.between(0, 100)
    };
    match lot {
        0..50 => Fault::KillWorker(worker, pause),
        50..70 => Fault::KillApi(api, pause),
        70..80 => Fault::KillPostgres,
        80..88 => Fault::FreezeWorker(worker, frozen),
        88..94 => Fault::StopWorker(worker),
        _ => Fault::StopApi(api),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let plan = |seed| format!("{:?}", Plan::new(seed, 150, 10));
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
        let uploads: usize = Plan::new(7, 150, 10)
            .steps
            .iter()
            .map(|step| step.uploads.len())
            .sum();
        assert_eq!(uploads, 150);
    }
}
