//! What the cells of one column come to: their kinds, ends, sums and lengths.
//!
//! Cells arrive one by one or, where a column has few different values, each value once with the number of its cells.

use super::date::Date;
use super::distinct::{Counted, SHOWN, characters};
use super::hash::prefix;
use super::moments::Moments;
use super::number::Number;
use super::quantiles::Sketch;
use super::value::{self, Value};
use crate::document::{ColumnKind, DateOrder, Lengths, clean_text};

/// Share of the filled cells that give a column its kind. The rest are footnotes and typing errors; a total without them is still
/// what the reader wants, with a warning that says how many they are.
const TYPED_SHARE: f64 = 0.95;

/// Counts, ends and sums.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) nulls: u64,
    integers: u64,
    numbers: u64,
    booleans: u64,
    dates: u64,
    texts: u64,
    pub(super) moments: Moments,
    number_range: Range<(f64, i64)>,
    day_first: Range<u64>,
    month_first: Range<u64>,
    text_range: TextRange,
    lengths: Extent,
}

impl Figures {
    /// Takes in a trimmed cell and says what it is.
    #[inline]
    pub(super) fn observe(&mut self, cell: &[u8], decimal_comma: bool) -> Value {
        let value = value::classify(cell, decimal_comma);
        if let Value::Number(number) = value {
            self.moments.observe(number);
        }
        self.count(value, cell, 1);
        if value != Value::Null {
            self.lengths.observe(characters(cell), 1);
        }
        value
    }

    /// Takes in all cells that have one value.
    pub(super) fn observe_all(&mut self, cells: Counted<'_>, decimal_comma: bool) -> Value {
        let value = value::classify(cells.text, decimal_comma);
        if let Value::Number(number) = value {
            self.moments.observe_times(number, cells.times);
        }
        self.count(value, cells.text, cells.times);
        if value != Value::Null {
            self.lengths.observe(cells.characters, cells.times);
        }
        value
    }

    #[inline]
    fn count(&mut self, value: Value, cell: &[u8], times: u64) {
        match value {
            Value::Null => {
                self.nulls += times;
                return;
            }
            Value::Number(number) => {
                self.numbers += times;
                self.integers += times * u64::from(number.integer.is_some());
                let key = (number.value, number.integer.unwrap_or(0));
                self.number_range.observe(key, cell, times);
            }
            Value::Boolean => self.booleans += times,
            Value::Date(date) => self.date(date, cell, times),
            Value::Text => self.texts += times,
        }
        self.text_range.observe(cell);
    }

    fn date(&mut self, date: Date, cell: &[u8], times: u64) {
        self.dates += times;
        if let Some(key) = date.day_first {
            self.day_first.observe(key, cell, times);
        }
        if let Some(key) = date.month_first {
            self.month_first.observe(key, cell, times);
        }
    }

    /// The narrowest kind that fits nearly all filled cells.
    pub(super) fn kind(&self) -> ColumnKind {
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

    /// Which of day and month comes first in the dates; the day when both fit.
    pub(super) fn date_order(&self) -> DateOrder {
        if self.day_first.count == self.dates {
            DateOrder::DayFirst
        } else {
            DateOrder::MonthFirst
        }
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

    /// The smallest and the largest cell, by the order of the column's kind.
    pub(super) fn ends(&self) -> (Option<String>, Option<String>) {
        match self.kind() {
            ColumnKind::Empty => (None, None),
            ColumnKind::Integer | ColumnKind::Float => self.number_range.texts(),
            ColumnKind::Date => match self.date_order() {
                DateOrder::DayFirst => self.day_first.texts(),
                DateOrder::MonthFirst => self.month_first.texts(),
            },
            ColumnKind::Boolean | ColumnKind::Text => self.text_range.texts(),
        }
    }

    /// How long the filled cells are; `None` when there are none.
    pub(super) fn lengths(&self) -> Option<Lengths> {
        let filled = self.filled();
        (filled > 0).then(|| Lengths {
            min: self.lengths.min,
            max: self.lengths.max,
            mean: self.lengths.total as f64 / filled as f64,
        })
    }
}

/// The order of a column's numbers, kept from the cell on at which they are too many to be counted one by one.
#[derive(Debug, Default)]
pub(super) struct Order {
    sketch: Sketch,
}

impl Order {
    /// Takes in what a cell is, which occurs `times`.
    #[inline]
    pub(super) fn observe(&mut self, value: Value, times: u64) {
        match (value, times) {
            (Value::Number(number), 1) => self.sketch.insert(number.value),
            (Value::Number(number), times) => self.sketch.insert_times(number.value, times),
            _ => {}
        }
    }

    /// The numbers with what each stands for.
    pub(super) fn weighted(&self) -> Vec<(f64, u64)> {
        self.sketch.weighted()
    }
}

/// The number that some cells hold, and how many they are.
pub(super) fn weighted_number(cells: Counted<'_>, decimal_comma: bool) -> Option<(f64, u64)> {
    match value::classify(cells.text, decimal_comma) {
        Value::Number(Number { value, .. }) => Some((value, cells.times)),
        _ => None,
    }
}

/// Text of a cell, as far as it is kept.
pub(crate) fn to_text(bytes: &[u8]) -> String {
    clean_text(&String::from_utf8_lossy(bytes)).into_owned()
}

fn shown(cell: &[u8]) -> &[u8] {
    &cell[..cell.len().min(SHOWN)]
}

/// Shortest, longest and sum of lengths in characters.
#[derive(Debug, Default)]
struct Extent {
    min: u64,
    max: u64,
    total: u64,
}

impl Extent {
    #[inline]
    fn observe(&mut self, characters: u32, times: u64) {
        let length = u64::from(characters);
        if self.total == 0 || length < self.min {
            self.min = length;
        }
        self.max = self.max.max(length);
        self.total += length * times;
    }
}

/// Smallest and largest key and the cells that have them.
#[derive(Debug, Default)]
struct Range<K> {
    count: u64,
    min: Option<(K, Vec<u8>)>,
    max: Option<(K, Vec<u8>)>,
}

impl<K: PartialOrd + Copy> Range<K> {
    #[inline]
    fn observe(&mut self, key: K, cell: &[u8], times: u64) {
        self.count += times;
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
    #[inline]
    fn observe(&mut self, cell: &[u8]) {
        let prefix = prefix(cell);
        if let Some((min, max)) = self.ends
            && prefix > min
            && prefix < max
        {
            return;
        }
        self.compare(cell, prefix);
    }

    fn compare(&mut self, cell: &[u8], prefix: u64) {
        let cell = shown(cell);
        let Some((min, max)) = self.ends else {
            self.ends = Some((prefix, prefix));
            self.min = cell.to_vec();
            self.max.clone_from(&self.min);
            return;
        };
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
