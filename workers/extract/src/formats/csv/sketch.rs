//! An estimate of the number of different values: a `HyperLogLog` sketch with the estimator of Ertl ("New cardinality estimation
//! algorithms for `HyperLogLog` sketches", 2017), which needs no correction for small or middling counts.

/// Bits of a hash that choose a register. 4,096 registers give a standard error of 1.6 % in 4 KiB.
const INDEX_BITS: u32 = 12;

const REGISTERS: usize = 1 << INDEX_BITS;

/// Bits of a hash that are left to count zeros in.
const RANK_BITS: usize = 64 - INDEX_BITS as usize;

/// Estimates how many different hashes it was given.
#[derive(Debug)]
pub(super) struct Sketch {
    registers: Box<[u8]>,
}

impl Sketch {
    /// Bytes that a sketch takes.
    pub(super) const BYTES: usize = REGISTERS;

    /// A sketch that was given nothing.
    pub(super) fn new() -> Self {
        Self {
            registers: vec![0; REGISTERS].into_boxed_slice(),
        }
    }

    /// Notes a hash whose bits are all equally random.
    pub(super) fn add(&mut self, hash: u64) {
        let index = (hash >> RANK_BITS) as usize;
        // The marker ends the run of zeros where the bits do.
        let rank = ((hash << INDEX_BITS) | (1 << (INDEX_BITS - 1))).leading_zeros() as u8 + 1;
        let register = &mut self.registers[index];
        *register = (*register).max(rank);
    }

    /// How many different hashes there were, about.
    pub(super) fn estimate(&self) -> u64 {
        let mut counts = [0_u32; RANK_BITS + 2];
        for &register in &self.registers {
            counts[usize::from(register)] += 1;
        }
        let share = |rank: usize| f64::from(counts[rank]) / REGISTERS as f64;
        let mut sum = REGISTERS as f64 * tau(1.0 - share(RANK_BITS + 1));
        for rank in (1..=RANK_BITS).rev() {
            sum = 0.5 * (sum + f64::from(counts[rank]));
        }
        sum += REGISTERS as f64 * sigma(share(0));
        let registers = REGISTERS as f64;
        (registers * registers / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
    }
}

/// Contribution of registers that never saw a hash.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * y;
        y += y;
        if sum <= before {
            return sum;
        }
    }
}

/// Contribution of registers that are full.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        y *= 0.5;
        sum -= (1.0 - x).powi(2) * y;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A well-mixed hash of a number (the finaliser of splitmix64).
    fn mixed(number: u64) -> u64 {
        let mut x = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    #[test]
    fn the_estimate_is_close_at_every_size() {
        let mut sketch = Sketch::new();
        assert_eq!(sketch.estimate(), 0);
        let mut next = 0;
        for size in [10, 1_000, 10_001, 15_000, 40_000, 1_000_000] {
            for number in next..size {
                sketch.add(mixed(number));
            }
            next = size;
            let error = (sketch.estimate() as f64 / size as f64 - 1.0).abs();
            assert!(error < 0.05, "{size}: {}", sketch.estimate());
        }
    }

    #[test]
    fn repeated_values_change_nothing() {
        let mut sketch = Sketch::new();
        for number in 0..100_000 {
            sketch.add(mixed(number % 50));
        }
        assert!((48..=52).contains(&sketch.estimate()));
    }
}
