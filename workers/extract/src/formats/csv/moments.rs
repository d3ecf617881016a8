//! Sum, mean and spread of numbers, without loss over millions of them.
//!
//! Whole numbers are summed exactly, the others with the error of each addition kept (Knuth's `TwoSum`). The spread is taken block by
//! block around the block's first value and the blocks are merged by the formula of Chan, Golub and `LeVeque` ("Algorithms for
//! computing the sample variance", 1983): as stable as Welford's running update, without its division for every value.

use super::number::Number;

/// Values of a block.
const BLOCK: u32 = 4096;

/// What is known of some numbers.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    count: u64,
    /// Sum of the whole numbers.
    whole: i128,
    /// Sum of the others, and what its additions lost.
    sum: f64,
    lost: f64,
    /// Mean and sum of squared deviations of the merged blocks.
    mean: f64,
    squares: f64,
    merged: u64,
    block: Block,
}

/// Deviations from the first value of a block.
#[derive(Debug, Default)]
struct Block {
    count: u32,
    shift: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    /// Takes in one number.
    #[inline]
    pub(crate) fn observe(&mut self, number: Number) {
        self.count += 1;
        match number.integer {
            Some(integer) => self.whole += i128::from(integer),
            None => self.add(number.value),
        }
        let block = &mut self.block;
        if block.count == 0 {
            block.shift = number.value;
        }
        let off = number.value - block.shift;
        block.count += 1;
        block.sum += off;
        block.squares += off * off;
        if block.count == BLOCK {
            self.merge_block();
        }
    }

    /// Takes in a number that occurs `times`.
    pub(super) fn observe_times(&mut self, number: Number, times: u64) {
        self.count += times;
        match number.integer {
            Some(integer) => self.whole += i128::from(integer) * i128::from(times),
            None => self.add(number.value * times as f64),
        }
        self.merge(times, number.value, 0.0);
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let back = sum - self.sum;
        self.lost += (self.sum - (sum - back)) + (value - back);
        self.sum = sum;
    }

    fn merge_block(&mut self) {
        let Block {
            count,
            shift,
            sum,
            squares,
        } = std::mem::take(&mut self.block);
        let total = f64::from(count);
        self.merge(
            u64::from(count),
            shift + sum / total,
            squares - sum * sum / total,
        );
    }

    fn merge(&mut self, count: u64, mean: f64, squares: f64) {
        let (before, added) = (self.merged as f64, count as f64);
        self.merged += count;
        let apart = mean - self.mean;
        let share = added / self.merged as f64;
        self.mean += apart * share;
        // Squares that overflowed are no spread at all, and rounding may leave a little less than nothing.
        let squares = if squares.is_nan() {
            f64::INFINITY
        } else {
            squares.max(0.0)
        };
        self.squares += squares + apart * apart * before * share;
    }

    /// How many numbers there were.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The sum, when all numbers were whole and it fits.
    pub(crate) fn whole_sum(&self) -> Option<i64> {
        let only_whole = self.sum == 0.0 && self.lost == 0.0;
        i64::try_from(self.whole).ok().filter(|_| only_whole)
    }

    /// Their sum; `None` when it overflows, as JSON knows no infinity.
    pub(crate) fn sum(&self) -> Option<f64> {
        finite(self.whole as f64 + (self.sum + self.lost))
    }

    /// Their mean.
    pub(crate) fn mean(&self) -> Option<f64> {
        let sum = self.sum().filter(|_| self.count > 0)?;
        Some(sum / self.count as f64)
    }

    /// Their standard deviation as a sample (n - 1).
    pub(crate) fn stddev(&mut self) -> Option<f64> {
        if self.block.count > 0 {
            self.merge_block();
        }
        (self.count > 1)
            .then(|| (self.squares / (self.count - 1) as f64).sqrt())
            .and_then(finite)
    }
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(value: f64) -> Number {
        Number {
            value,
            integer: None,
        }
    }

    fn definition(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (mean, (squares / (values.len() - 1) as f64).sqrt())
    }

    proptest! {
        #[test]
        fn spread_agrees_with_its_definition(values in prop::collection::vec(-1e6_f64..1e6, 2..200), times in 1..5_u64) {
            let (mut one_by_one, mut at_once) = (Moments::default(), Moments::default());
            let mut all = Vec::new();
            for &value in &values {
                at_once.observe_times(float(value), times);
                for _ in 0..times {
                    one_by_one.observe(float(value));
                    all.push(value);
                }
            }
            let (mean, stddev) = definition(&all);
            for moments in [&mut one_by_one, &mut at_once] {
                prop_assert!((moments.mean().unwrap() - mean).abs() < 1e-6);
                prop_assert!((moments.stddev().unwrap() - stddev).abs() < 1e-6 * stddev.max(1.0));
            }
        }
    }

    #[test]
    fn a_small_spread_far_from_zero_survives_many_blocks() {
        let values: Vec<f64> = (0..50_000).map(|n| 1e9 + f64::from(n % 7)).collect();
        let mut moments = Moments::default();
        for &value in &values {
            moments.observe(float(value));
        }
        let (mean, stddev) = definition(&values);
        assert!((moments.mean().unwrap() - mean).abs() < 1e-3);
        assert!((moments.stddev().unwrap() - stddev).abs() < 1e-6);
    }
}
