//! Values computed of many, one cell after another.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher as StdHasher};

use super::filter::{RowView, date_key};
use super::plan::Typed;
use super::{Cell, Function};
use crate::document::ColumnKind;
use crate::error::ParseError;
use crate::formats::csv::column::to_text;
use crate::formats::csv::hash::Hasher;
use crate::formats::csv::moments::Moments;
use crate::formats::csv::number::{self, Number};

/// Bytes that a value costs that has to be kept: an entry of a hash set at its usual fill, or a number in a list that doubles.
const KEPT_BYTES: usize = 20;

/// What is computed, and of which column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    function: Function,
    /// `None`: rows are counted.
    column: Option<Typed>,
}

/// A value in the making.
#[derive(Debug)]
pub(super) enum State {
    Count(u64),
    Distinct(HashSet<u64, BuildHasherDefault<Identity>>),
    Moments(Moments),
    /// The end of an order of numbers.
    Number(Option<Number>),
    /// The end of an order of dates, and the cell that has it.
    Date(Option<(u64, Vec<u8>)>),
    Text(Option<Vec<u8>>),
    Median(Vec<f64>),
}

/// What all states share.
pub(super) struct Room {
    /// Bytes that may still be kept.
    pub(super) left: usize,
    pub(super) hasher: Hasher,
}

impl Room {
    /// Takes `bytes`; an error when there is no room.
    pub(super) fn take(&mut self, bytes: usize, what: &str) -> Result<(), ParseError> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| {
            ParseError::LimitExceeded(format!("the query has too many {what} to keep in memory"))
        })?;
        Ok(())
    }
}

impl Measure {
    /// The number of rows.
    pub(super) fn rows() -> Self {
        Self {
            function: Function::Count,
            column: None,
        }
    }

    /// `function` of `column`.
    pub(super) fn of(function: Function, column: Typed) -> Self {
        Self {
            function,
            column: Some(column),
        }
    }

    /// The column it is computed of.
    pub(super) fn column(self) -> Option<Typed> {
        self.column
    }

    /// The state before the first row.
    pub(super) fn start(self) -> State {
        let kind = self.column.map_or(ColumnKind::Empty, |column| column.kind);
        match (self.function, kind) {
            (Function::Count, _) => State::Count(0),
            (Function::CountDistinct, _) => State::Distinct(HashSet::default()),
            (Function::Sum | Function::Mean | Function::Stddev, _) => {
                State::Moments(Moments::default())
            }
            (Function::Median, _) => State::Median(Vec::new()),
            (Function::Min | Function::Max, ColumnKind::Integer | ColumnKind::Float) => {
                State::Number(None)
            }
            (Function::Min | Function::Max, ColumnKind::Date) => State::Date(None),
            (Function::Min | Function::Max, _) => State::Text(None),
        }
    }

    /// Takes in a row.
    #[inline]
    pub(super) fn observe(
        self,
        state: &mut State,
        row: &RowView<'_>,
        scratch: &mut Vec<u8>,
        room: &mut Room,
    ) -> Result<(), ParseError> {
        let Some(column) = self.column else {
            if let State::Count(count) = state {
                *count += 1;
            }
            return Ok(());
        };
        let Some(cell) = row.cell(column.index, scratch) else {
            return Ok(());
        };
        let number = || number::parse(cell, column.decimal_comma);
        match state {
            State::Count(count) => *count += 1,
            State::Distinct(seen) => {
                let hash = match number().filter(|_| column.is_number()) {
                    // `1` and `1.0` are the same number.
                    Some(number) => room.hasher.hash(&(number.value + 0.0).to_be_bytes()),
                    None => room.hasher.hash(cell),
                };
                if seen.insert(hash) {
                    room.take(KEPT_BYTES, "different values")?;
                }
            }
            State::Moments(moments) => {
                if let Some(number) = number() {
                    moments.observe(number);
                }
            }
            State::Median(values) => {
                if let Some(number) = number() {
                    room.take(KEPT_BYTES, "values for a median")?;
                    values.push(number.value);
                }
            }
            State::Number(best) => {
                if let Some(number) = number()
                    && best.is_none_or(|best| self.is_further(&number, &best))
                {
                    *best = Some(number);
                }
            }
            State::Date(best) => {
                if let Some(key) = date_key(cell, column.date_order)
                    && best
                        .as_ref()
                        .is_none_or(|best| self.is_further(&key, &best.0))
                {
                    *best = Some((key, cell.to_vec()));
                }
            }
            State::Text(best) => {
                if best
                    .as_deref()
                    .is_none_or(|best| self.is_further(&cell, &best))
                {
                    *best = Some(cell.to_vec());
                }
            }
        }
        Ok(())
    }

    fn is_further<T: PartialOrd>(self, value: &T, best: &T) -> bool {
        if self.function == Function::Max {
            value > best
        } else {
            value < best
        }
    }

    /// The value.
    pub(super) fn finish(self, state: State) -> Cell {
        match state {
            State::Count(count) => Cell::Integer(count.cast_signed()),
            State::Distinct(seen) => Cell::Integer(seen.len().cast_signed() as i64),
            State::Moments(moments) => self.of_moments(moments),
            State::Median(values) => median(values).map_or(Cell::Null, Cell::Number),
            State::Number(None) | State::Date(None) | State::Text(None) => Cell::Null,
            State::Number(Some(number)) => match number.integer {
                Some(integer) => Cell::Integer(integer),
                None => Cell::Number(number.value),
            },
            State::Date(Some((_, cell))) | State::Text(Some(cell)) => Cell::Text(to_text(&cell)),
        }
    }

    fn of_moments(self, mut moments: Moments) -> Cell {
        if moments.count() == 0 {
            return Cell::Null;
        }
        let is_whole = self
            .column
            .is_some_and(|column| column.kind == ColumnKind::Integer);
        let number = |value: Option<f64>| value.map_or(Cell::Null, Cell::Number);
        match self.function {
            Function::Sum => match moments.whole_sum().filter(|_| is_whole) {
                Some(sum) => Cell::Integer(sum),
                None => number(moments.sum()),
            },
            Function::Mean => number(moments.mean()),
            _ => number(moments.stddev()),
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_even = values.len().is_multiple_of(2);
    let (below, at, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let at = *at;
    let before = below.iter().copied().max_by(f64::total_cmp);
    Some(
        before
            .filter(|_| is_even)
            .map_or(at, |before| before.midpoint(at)),
    )
}

/// Hashes what is a hash already.
#[derive(Debug, Default)]
pub(super) struct Identity(u64);

impl StdHasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only whole words are hashed; anything else still gives some hash.
        self.0 = bytes
            .iter()
            .fold(self.0, |hash, &byte| hash << 8 | u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
