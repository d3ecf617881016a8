//! The profile of one column, cell by cell.

use super::date::Date;
use super::distinct::{Distinct, Hasher, SHOWN};
use super::number::Number;
use super::value::{self, Value};
use crate::document::{Column, ColumnKind, clean_text};

/// Most frequent values that are shown.
const TOP: usize = 10;

/// Share of the filled cells that give a column its kind. The rest are footnotes and typing errors; a total without them is still
/// what the reader wants, with a warning that says how many they are.
const TYPED_SHARE: f64 = 0.95;

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
    nulls: u64,
    integers: u64,
    numbers: u64,
    booleans: u64,
    dates: u64,
    texts: u64,
    moments: Moments,
    number_range: Range<(f64, i64)>,
    day_first: Range<u64>,
    month_first: Range<u64>,
    text_range: TextRange,
    distinct: Distinct,
}

impl Profile {
    /// Takes in one cell.
    pub(super) fn observe(&mut self, cell: &[u8], shared: &mut Shared) {
        let cell = cell.trim_ascii();
        match value::classify(cell, shared.decimal_comma) {
            Value::Null => {
                self.nulls += 1;
                return;
            }
            Value::Number(number) => self.number(number, cell),
            Value::Boolean => self.booleans += 1,
            Value::Date(date) => self.date(date, cell),
            Value::Text => self.texts += 1,
        }
        self.text_range.observe(cell);
        self.distinct
            .add(shared.hasher.hash(cell), cell, &mut shared.budget);
    }

    /// Takes in a cell that a short row does not have.
    pub(super) fn observe_missing(&mut self) {
        self.nulls += 1;
    }

    fn number(&mut self, number: Number, cell: &[u8]) {
        self.numbers += 1;
        self.integers += u64::from(number.integer.is_some());
        self.moments.observe(number);
        self.number_range
            .observe((number.value, number.integer.unwrap_or(0)), cell);
    }

    fn date(&mut self, date: Date, cell: &[u8]) {
        self.dates += 1;
        if let Some(key) = date.day_first {
            self.day_first.observe(key, cell);
        }
        if let Some(key) = date.month_first {
            self.month_first.observe(key, cell);
        }
    }

    fn kind(&self) -> ColumnKind {
        let filled = self.filled();
        let nearly_all = |count: u64| count as f64 >= filled as f64 * TYPED_SHARE;
        let one_order = self.day_first.count.max(self.month_first.count) == self.dates;
        match filled {
            0 => ColumnKind::Empty,
            _ if nearly_all(self.numbers) && self.integers == self.numbers => ColumnKind::Integer,
            _ if nearly_all(self.numbers) => ColumnKind::Float,
            _ if nearly_all(self.booleans) => ColumnKind::Boolean,
            _ if nearly_all(self.dates) && one_order => ColumnKind::Date,
            _ => ColumnKind::Text,
        }
    }

    fn filled(&self) -> u64 {
        self.numbers + self.booleans + self.dates + self.texts
    }

    /// Cells that are neither null nor of the column's kind; they have no part in its figures.
    pub(super) fn strays(&self) -> u64 {
        match self.kind() {
            ColumnKind::Empty | ColumnKind::Text => 0,
            ColumnKind::Integer | ColumnKind::Float => self.filled() - self.numbers,
            ColumnKind::Boolean => self.filled() - self.booleans,
            ColumnKind::Date => self.filled() - self.dates,
        }
    }

    /// What was observed, under `name`.
    pub(super) fn finish(self, name: String) -> Column {
        let kind = self.kind();
        let (distinct, distinct_exact) = self.distinct.count();
        let top = self
            .distinct
            .top(TOP)
            .into_iter()
            .map(|(value, count)| (to_text(value), count))
            .collect();
        let (min, max) = match kind {
            ColumnKind::Empty => (None, None),
            ColumnKind::Integer | ColumnKind::Float => self.number_range.texts(),
            ColumnKind::Date if self.day_first.count == self.dates => self.day_first.texts(),
            ColumnKind::Date => self.month_first.texts(),
            ColumnKind::Boolean | ColumnKind::Text => self.text_range.texts(),
        };
        let numeric = matches!(kind, ColumnKind::Integer | ColumnKind::Float);
        let moments = numeric.then_some(self.moments);
        Column {
            name,
            kind,
            nulls: self.nulls,
            distinct,
            distinct_exact,
            min,
            max,
            mean: moments.as_ref().and_then(Moments::mean),
            sum: moments.as_ref().and_then(Moments::sum),
            stddev: moments.as_ref().and_then(Moments::stddev),
            top,
        }
    }
}

/// Text of a cell, as far as it is kept.
pub(super) fn to_text(bytes: &[u8]) -> String {
    clean_text(&String::from_utf8_lossy(bytes)).into_owned()
}

fn shown(cell: &[u8]) -> &[u8] {
    &cell[..cell.len().min(SHOWN)]
}

/// Smallest and largest key and the cells that have them.
#[derive(Debug, Default)]
struct Range<K> {
    count: u64,
    min: Option<(K, Vec<u8>)>,
    max: Option<(K, Vec<u8>)>,
}

impl<K: PartialOrd + Copy> Range<K> {
    fn observe(&mut self, key: K, cell: &[u8]) {
        self.count += 1;
        if self.min.as_ref().is_none_or(|(min, _)| key < *min) {
            self.min = Some((key, shown(cell).to_vec()));
        }
        if self.max.as_ref().is_none_or(|(max, _)| key > *max) {
            self.max = Some((key, shown(cell).to_vec()));
        }
    }

    fn texts(&self) -> (Option<String>, Option<String>) {
        let text = |end: &Option<(K, Vec<u8>)>| end.as_ref().map(|(_, cell)| to_text(cell));
        (text(&self.min), text(&self.max))
    }
}

/// Smallest and largest cell by bytes. Their first eight bytes are compared as one number, which settles nearly every cell.
#[derive(Debug, Default)]
struct TextRange {
    ends: Option<(u64, u64)>,
    min: Vec<u8>,
    max: Vec<u8>,
}

impl TextRange {
    fn observe(&mut self, cell: &[u8]) {
        let prefix = prefix(cell);
        let Some((min, max)) = self.ends else {
            self.ends = Some((prefix, prefix));
            self.min = shown(cell).to_vec();
            self.max.clone_from(&self.min);
            return;
        };
        if prefix > min && prefix < max {
            return;
        }
        let cell = shown(cell);
        if cell < self.min.as_slice() {
            self.min = cell.to_vec();
            self.ends = Some((prefix, max));
        } else if cell > self.max.as_slice() {
            self.max = cell.to_vec();
            self.ends = Some((min, prefix));
        }
    }

    fn texts(&self) -> (Option<String>, Option<String>) {
        (Some(to_text(&self.min)), Some(to_text(&self.max)))
    }
}

fn prefix(cell: &[u8]) -> u64 {
    match cell.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            cell.iter()
                .fold(0, |number, &byte| number << 8 | u64::from(byte))
                << (8 * (8 - cell.len())).min(63)
        }
    }
}

/// Sum, mean and spread of numbers, without loss over millions of them.
#[derive(Debug, Default)]
struct Moments {
    count: u64,
    /// Whole numbers are summed exactly.
    whole: i128,
    /// The others with Neumaier's compensation.
    sum: f64,
    lost: f64,
    /// Welford's running mean and sum of squared deviations.
    mean: f64,
    squares: f64,
}

impl Moments {
    fn observe(&mut self, number: Number) {
        self.count += 1;
        match number.integer {
            Some(integer) => self.whole += i128::from(integer),
            None => self.add(number.value),
        }
        let before = number.value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (number.value - self.mean);
    }

    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn sum(&self) -> Option<f64> {
        finite(self.whole as f64 + (self.sum + self.lost))
    }

    fn mean(&self) -> Option<f64> {
        self.sum().map(|sum| sum / self.count as f64)
    }

    fn stddev(&self) -> Option<f64> {
        (self.count > 1)
            .then(|| (self.squares / (self.count - 1) as f64).sqrt())
            .and_then(finite)
    }
}

/// JSON knows no infinity, so a sum that overflows is left out.
fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(cells: &[&str]) -> Column {
        let mut shared = Shared {
            decimal_comma: false,
            hasher: Hasher::random(),
            budget: usize::MAX,
        };
        let mut profile = Profile::default();
        for cell in cells {
            profile.observe(cell.as_bytes(), &mut shared);
        }
        profile.finish("c".to_owned())
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
            hasher: Hasher::random(),
            budget: usize::MAX,
        };
        let mut profile = Profile::default();
        profile.observe(b"a\0\xff", &mut shared);
        assert_eq!(
            profile.finish(String::new()).min.unwrap(),
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

        #[test]
        fn spread_agrees_with_its_definition(numbers in prop::collection::vec(-1e6_f64..1e6, 2..200)) {
            let cells: Vec<String> = numbers.iter().map(|number| format!("{number:.4}")).collect();
            let values: Vec<f64> = cells.iter().map(|cell| cell.parse().unwrap()).collect();
            let column = column(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64;
            prop_assert!((column.mean.unwrap() - mean).abs() < 1e-6);
            prop_assert!((column.stddev.unwrap() - variance.sqrt()).abs() < 1e-6 * variance.sqrt().max(1.0));
        }
    }
}
