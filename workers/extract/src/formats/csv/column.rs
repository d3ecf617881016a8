//! The profile of one column, cell by cell.
//!
//! As long as a column has few different values, a cell costs one look into the table that counts them; what the values are is
//! worked out once for each of them. Only when they are too many is every further cell judged by itself (`figures`).

use super::distinct::{Distinct, Full};
use super::figures::{Figures, Order, weighted_number};
use super::hash::Hasher;
use super::quantiles::quantiles;
use super::value::{Value, classify};
use crate::document::{Column, ColumnKind, Quantiles};

pub(crate) use super::figures::to_text;

/// Most frequent values that are shown.
const TOP: usize = 10;

/// The quantiles that are told, in the order of the fields of [`Quantiles`].
const SHARES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// What all columns of a file share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Whether `1,5` is a number: only where the comma is not the delimiter.
    pub(super) decimal_comma: bool,
    pub(super) hasher: Hasher,
    /// Bytes that the columns may still take for different values.
    pub(super) budget: usize,
}

/// A column under observation.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// Cells that are empty or missing.
    blanks: u64,
    distinct: Distinct,
    /// What is kept of the cells once their values are too many to be worked out at the end.
    stream: Option<Box<(Figures, Order)>>,
}

impl Profile {
    /// Takes in one cell.
    #[inline]
    pub(super) fn observe(&mut self, cell: &[u8], shared: &mut Shared) {
        let cell = cell.trim_ascii();
        if cell.is_empty() {
            self.blanks += 1;
            return;
        }
        if let Some(stream) = &mut self.stream {
            let value = stream.0.observe(cell, shared.decimal_comma);
            stream.1.observe(value, 1);
            if value != Value::Null {
                self.distinct.estimate(shared.hasher.hash(cell));
            }
            return;
        }
        let hash = shared.hasher.hash(cell);
        if let Err(Full) = self.distinct.count_cell(hash, cell, &mut shared.budget) {
            self.stream_from_here(cell, hash, shared.decimal_comma);
        }
    }

    /// Takes in a cell that a short row does not have.
    pub(super) fn observe_missing(&mut self) {
        self.blanks += 1;
    }

    fn stream_from_here(&mut self, cell: &[u8], hash: u64, decimal_comma: bool) {
        let (mut figures, mut order) = (Figures::default(), Order::default());
        let is_value = |text: &[u8]| classify(text, decimal_comma) != Value::Null;
        for cells in self.distinct.values() {
            order.observe(figures.observe_all(cells, decimal_comma), cells.times);
        }
        order.observe(figures.observe(cell, decimal_comma), 1);
        self.distinct.estimate_from_here(is_value);
        if is_value(cell) {
            self.distinct.estimate(hash);
        }
        self.stream = Some(Box::new((figures, order)));
    }

    /// What was observed, under `name`, and how many cells have no part in its figures.
    pub(super) fn finish(mut self, name: String, decimal_comma: bool) -> (Column, u64) {
        let (mut figures, numbers) = match self.stream.take() {
            Some(stream) => {
                let (figures, order) = *stream;
                (figures, order.weighted())
            }
            None => self.work_out(decimal_comma),
        };
        let is_exact = self.distinct.is_exact();
        let kind = figures.kind();
        let numeric = matches!(kind, ColumnKind::Integer | ColumnKind::Float);
        let (min, max) = figures.ends();
        let top = self.distinct.top(TOP).into_iter();
        let column = Column {
            name,
            kind,
            nulls: self.blanks + figures.nulls,
            distinct: self.distinct.count(),
            distinct_exact: is_exact,
            min,
            max,
            mean: figures.moments.mean().filter(|_| numeric),
            sum: figures.moments.sum().filter(|_| numeric),
            stddev: figures.moments.stddev().filter(|_| numeric),
            top: top.map(|(value, count)| (to_text(value), count)).collect(),
            quantiles: quantiles(numbers, SHARES)
                .filter(|found| numeric && found.iter().all(|value| value.is_finite()))
                .map(|[p05, p25, p50, p75, p95]| Quantiles {
                    p05,
                    p25,
                    p50,
                    p75,
                    p95,
                    exact: is_exact,
                }),
            lengths: figures.lengths(),
            date_order: (kind == ColumnKind::Date).then(|| figures.date_order()),
        };
        (column, figures.strays())
    }

    /// The figures of a column whose different values are all known.
    fn work_out(&mut self, decimal_comma: bool) -> (Figures, Vec<(f64, u64)>) {
        let mut figures = Figures::default();
        for cells in self.distinct.values() {
            figures.observe_all(cells, decimal_comma);
        }
        let numbers = self
            .distinct
            .values()
            .filter_map(|cells| weighted_number(cells, decimal_comma))
            .collect();
        self.distinct
            .retain(|text| classify(text, decimal_comma) != Value::Null);
        (figures, numbers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(cells: &[&str]) -> Column {
        let mut shared = Shared {
            decimal_comma: false,
            hasher: Hasher::new(),
            budget: usize::MAX,
        };
        let mut profile = Profile::default();
        for cell in cells {
            profile.observe(cell.as_bytes(), &mut shared);
        }
        profile.finish("c".to_owned(), false).0
    }

    fn ends(column: &Column) -> (Option<&str>, Option<&str>) {
        (column.min.as_deref(), column.max.as_deref())
    }

    #[test]
    fn a_numeric_column() {
        let integers = column(&["2", "10", "", " 3 ", "NULL"]);
        assert_eq!(
            (integers.kind, integers.nulls, integers.distinct),
            (ColumnKind::Integer, 2, 3)
        );
        assert_eq!(ends(&integers), (Some("2"), Some("10")));
        assert_eq!((integers.sum, integers.mean), (Some(15.0), Some(5.0)));
        assert!((integers.stddev.unwrap() - 19.0_f64.sqrt()).abs() < 1e-12);
        let floats = column(&["1", "0.5", "$2.50"]);
        assert_eq!((floats.kind, floats.sum), (ColumnKind::Float, Some(4.0)));
        assert_eq!(ends(&floats), (Some("0.5"), Some("$2.50")));
    }

    #[test]
    fn the_narrowest_kind_that_fits_all() {
        assert_eq!(column(&["yes", "no", ""]).kind, ColumnKind::Boolean);
        assert_eq!(column(&["1", "x"]).kind, ColumnKind::Text);
        assert_eq!(column(&["1", "x"]).mean, None);
        assert_eq!(column(&["", "n/a"]).kind, ColumnKind::Empty);
        assert_eq!(column(&["01", "02"]).kind, ColumnKind::Text);
    }

    #[test]
    fn dates_take_the_order_that_fits_all_cells() {
        let european = column(&["05/02/2024", "31/01/2024"]);
        assert_eq!(european.kind, ColumnKind::Date);
        assert_eq!(ends(&european), (Some("31/01/2024"), Some("05/02/2024")));
        let american = column(&["02/05/2024", "01/31/2024", "11/01/2023"]);
        assert_eq!(ends(&american), (Some("11/01/2023"), Some("02/05/2024")));
        assert_eq!(column(&["31/01/2024", "01/31/2024"]).kind, ColumnKind::Text);
    }

    #[test]
    fn a_footnote_does_not_take_the_kind_away() {
        let mut cells: Vec<&str> = std::iter::repeat_n("2", 19).collect();
        cells.push("provisional");
        let column = column(&cells);
        assert_eq!(
            (column.kind, column.sum, column.mean),
            (ColumnKind::Integer, Some(38.0), Some(2.0))
        );
    }

    #[test]
    fn large_whole_numbers_keep_their_order_and_sum() {
        let ids = column(&["9007199254740993", "9007199254740992", "9007199254740994"]);
        assert_eq!(
            ends(&ids),
            (Some("9007199254740992"), Some("9007199254740994"))
        );
        assert_eq!(
            column(&["100000000000000000", "1", "-100000000000000000"]).sum,
            Some(1.0)
        );
        let cents: Vec<&str> = std::iter::repeat_n("0.1", 10_000).collect();
        assert_eq!(column(&cents).sum, Some(1000.0));
    }

    #[test]
    fn nul_and_broken_characters_are_replaced() {
        let mut shared = Shared {
            decimal_comma: false,
            hasher: Hasher::new(),
            budget: usize::MAX,
        };
        let mut profile = Profile::default();
        profile.observe(b"a\0\xff", &mut shared);
        assert_eq!(
            profile.finish(String::new(), false).0.min.unwrap(),
            "a\u{FFFD}\u{FFFD}"
        );
    }

    proptest! {
        #[test]
        fn text_ends_agree_with_sorting(cells in prop::collection::vec("[a-zA-Z]{1,12}x", 1..40)) {
            let column = column(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(column.min.as_ref(), cells.iter().min());
            prop_assert_eq!(column.max.as_ref(), cells.iter().max());
        }
    }
}
