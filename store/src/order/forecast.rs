//! When a waiting job will probably start and end: arithmetic only, so that it can be tested and measured (`benches/queue`).
//!
//! The model: every slot of a stage takes jobs of the stage's recent mean time, one after the other. It knows nothing of jobs
//! that have yet to come, of ageing, or of what is in a file; its error is measured and stated in ARCHITECTURE.md.

/// Recent run times of a stage, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    /// What a queue drains by.
    pub(super) mean: f64,
    /// What one job is expected to take.
    pub(super) p50: f64,
    pub(super) p90: f64,
    /// How many jobs these are from.
    pub(super) samples: i64,
}

/// What a stage is busy with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Load {
    /// Jobs that all live workers run at once.
    pub(super) slots: usize,
    /// How long each running job has run, in seconds.
    pub(super) running: Vec<f64>,
    pub(super) is_paused: bool,
    /// Most jobs of one owner at once; 0: any number.
    pub(super) owner_slots: usize,
    /// `None`: no job has ended yet.
    pub(super) times: Option<Times>,
}

/// Jobs in front of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InFront {
    pub(super) all: usize,
    pub(super) own: usize,
}

/// A job that has outlived the mean has at least this part of it before it: long jobs are the ones still running.
const LEAST_LEFT: f64 = 0.25;

impl Times {
    /// What a job that has run for so long still has before it.
    pub(super) fn left(&self, elapsed: f64) -> f64 {
        (self.mean - elapsed).max(self.mean * LEAST_LEFT)
    }
}

impl Load {
    /// Seconds until the job behind `front` starts; `None` when nothing moves or nothing is known.
    pub(super) fn wait(&self, front: InFront) -> Option<f64> {
        let times = self.times?;
        if self.is_paused || self.slots == 0 {
            return None;
        }
        let mut free_in: Vec<f64> = self.running.iter().map(|run| times.left(*run)).collect();
        free_in.resize(free_in.len().max(self.slots), 0.0);
        free_in.sort_by(f64::total_cmp);
        // More run than there are slots while a worker goes: those that end last are not replaced.
        let wait = free_in[front.all % self.slots] + (front.all / self.slots) as f64 * times.mean;
        if self.owner_slots == 0 {
            return Some(wait);
        }
        let own_turn = (front.own / self.owner_slots) as f64 * times.mean;
        Some(wait.max(own_turn))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(slots: usize, running: &[f64]) -> Load {
        Load {
            slots,
            running: running.to_vec(),
            is_paused: false,
            owner_slots: 0,
            times: Some(Times {
                mean: 10.0,
                p50: 8.0,
                p90: 20.0,
                samples: 100,
            }),
        }
    }

    const fn front(all: usize) -> InFront {
        InFront { all, own: all }
    }

    fn wait(load: &Load, all: usize) -> f64 {
        load.wait(front(all)).unwrap()
    }

    #[test]
    fn a_free_slot_is_taken_at_once_and_a_busy_one_when_it_ends() {
        assert!(wait(&load(2, &[3.0]), 0).abs() < 1e-9);
        assert!((wait(&load(2, &[3.0]), 1) - 7.0).abs() < 1e-9);
        assert!((wait(&load(2, &[3.0, 9.0]), 0) - 2.5).abs() < 1e-9);
        assert!((wait(&load(2, &[3.0]), 2) - 10.0).abs() < 1e-9);
        assert!((wait(&load(1, &[]), 5) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_move_is_not_estimated() {
        assert_eq!(load(0, &[]).wait(front(0)), None);
        let paused = Load {
            is_paused: true,
            ..load(2, &[])
        };
        assert_eq!(paused.wait(front(0)), None);
        let unknown = Load {
            times: None,
            ..load(2, &[])
        };
        assert_eq!(unknown.wait(front(0)), None);
    }

    #[test]
    fn an_owner_waits_for_his_own_slots() {
        let limited = Load {
            owner_slots: 1,
            ..load(10, &[])
        };
        assert!((limited.wait(InFront { all: 5, own: 3 }).unwrap() - 30.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn who_is_further_back_never_starts_earlier(
            slots in 1_usize..20,
            running in proptest::collection::vec(0.0..60.0, 0..30),
            all in 0_usize..1_000,
        ) {
            let load = load(slots, &running);
            prop_assert!(wait(&load, all + 1) >= wait(&load, all));
        }
    }
}
