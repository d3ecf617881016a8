//! Rows drawn from the whole file, each equally likely (Li, "Reservoir-sampling algorithms of time complexity O(n(1 + log(N/n)))",
//! 1994, algorithm L): the next row that is drawn is known beforehand, so the others cost a comparison.

use crate::document::{DRAWN_ROWS, Row};

/// Most bytes of a row that is drawn: a hundred rows of a very wide table would outweigh everything else that is kept.
const MAX_ROW: usize = 8 * 1024;

/// Where the random numbers begin: the same file gives the same document.
const SEED: u64 = 0x2545_F491_4F6C_DD1D;

/// Rows drawn so far.
#[derive(Debug)]
pub(super) struct Reservoir {
    rows: Vec<Row>,
    /// The next row that is drawn, from 1.
    next: u64,
    /// Upper end of the random marks of the rows in the reservoir.
    weight: f64,
    random: u64,
}

impl Reservoir {
    /// An empty reservoir.
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            next: 1,
            weight: 1.0,
            random: SEED,
        }
    }

    /// Whether row `number` is drawn. If so, [`Reservoir::put`] must follow.
    #[inline]
    pub(super) fn draws(&self, number: u64) -> bool {
        number == self.next
    }

    /// Puts the row in that was drawn and draws the next.
    pub(super) fn put(&mut self, row: Row) {
        let place = if self.rows.len() < DRAWN_ROWS {
            self.rows.len()
        } else {
            (self.share() * DRAWN_ROWS as f64) as usize
        };
        let fits = row.cells.iter().map(String::len).sum::<usize>() <= MAX_ROW;
        let cells = if fits { row.cells } else { Vec::new() };
        let row = Row { cells, ..row };
        match self.rows.get_mut(place) {
            Some(old) => *old = row,
            None => self.rows.push(row),
        }
        self.next += 1;
        if self.rows.len() == DRAWN_ROWS {
            self.weight *= (self.share().ln() / DRAWN_ROWS as f64).exp();
            // The cast holds the sum within its type, and a file never has that many rows.
            let skipped = (self.share().ln() / (1.0 - self.weight).ln()).floor() as u64;
            self.next = self.next.saturating_add(skipped);
        }
    }

    /// The rows in their order; one that is too long to be kept is left out.
    pub(super) fn into_rows(mut self) -> Vec<Row> {
        self.rows.retain(|row| !row.cells.is_empty());
        self.rows.sort_unstable_by_key(|row| row.number);
        self.rows
    }

    /// A random number above 0 and below 1 (xorshift64*, Vigna 2016).
    fn share(&mut self) -> f64 {
        let mut x = self.random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random = x;
        let bits = x.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        (bits as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(count: u64) -> Vec<u64> {
        let mut reservoir = Reservoir::new();
        for number in 1..=count {
            if reservoir.draws(number) {
                let cells = vec![number.to_string()];
                reservoir.put(Row { number, cells });
            }
        }
        let rows = reservoir.into_rows();
        rows.iter().map(|row| row.number).collect()
    }

    #[test]
    fn few_rows_are_all_drawn() {
        assert_eq!(draw(7), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn many_rows_are_drawn_from_all_over_and_always_the_same() {
        let drawn = draw(100_000);
        assert_eq!(drawn.len(), DRAWN_ROWS);
        assert!(drawn.is_sorted() && drawn == draw(100_000));
        for quarter in 0..4 {
            let from = quarter * 25_000;
            let inside = drawn
                .iter()
                .filter(|row| (from..from + 25_000).contains(*row));
            let share = inside.count() * 4;
            assert!(
                (DRAWN_ROWS / 2..DRAWN_ROWS * 2).contains(&share),
                "{drawn:?}"
            );
        }
    }

    #[test]
    fn a_row_that_is_too_long_is_left_out() {
        let mut reservoir = Reservoir::new();
        let row = |number, length| Row {
            number,
            cells: vec!["x".repeat(length)],
        };
        reservoir.put(row(1, MAX_ROW + 1));
        reservoir.put(row(2, 5));
        assert_eq!(reservoir.into_rows(), [row(2, 5)]);
    }
}
