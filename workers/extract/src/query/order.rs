//! The order of results, and the rows at its beginning.

use std::cmp::Ordering;

use super::aggregate::Measure;
use super::filter::{RowView, date_key};
use super::plan::{Key, KeyOf, Typed};
use super::{Cell, MAX_RESULT_BYTES, ResultRow};
use crate::document::ColumnKind;
use crate::error::ParseError;
use crate::formats::csv::number;

/// Rows that are gathered at least before they are sorted and the last of them dropped.
const BATCH: usize = 1024;

/// What a row is ordered by. Kinds never mix within one key but with null, which is last.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SortKey {
    Null,
    /// The value, and the whole number where a float cannot tell two apart.
    Number(f64, i64),
    Date(u64),
    Text(Vec<u8>),
}

impl SortKey {
    /// The key of a cell of `column`.
    fn of_cell(cell: &[u8], column: Typed) -> Self {
        match column.kind {
            ColumnKind::Integer | ColumnKind::Float => number::parse(cell, column.decimal_comma)
                .map_or(Self::Null, |number| {
                    Self::Number(number.value, number.integer.unwrap_or(0))
                }),
            ColumnKind::Date => date_key(cell, column.date_order).map_or(Self::Null, Self::Date),
            _ => Self::Text(cell.to_vec()),
        }
    }

    /// The key of a computed cell; `column` says what a text in it is.
    fn of_result(cell: &Cell, column: Option<Typed>) -> Self {
        match (cell, column) {
            (Cell::Null, _) => Self::Null,
            (Cell::Integer(value), _) => Self::Number(*value as f64, *value),
            (Cell::Number(value), _) => Self::Number(*value, 0),
            (Cell::Text(text), Some(column)) => Self::of_cell(text.as_bytes(), column),
            (Cell::Text(text), None) => Self::Text(text.clone().into_bytes()),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a, whole_a), Self::Number(b, whole_b)) => {
                a.total_cmp(b).then(whole_a.cmp(whole_b))
            }
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

/// Compares by `order`; nulls come last whichever way a key runs.
fn compare(order: &[Key], a: &[SortKey], b: &[SortKey]) -> Ordering {
    for ((key, a), b) in order.iter().zip(a).zip(b) {
        let found = match (a, b) {
            (SortKey::Null, SortKey::Null) => Ordering::Equal,
            (SortKey::Null, _) => Ordering::Greater,
            (_, SortKey::Null) => Ordering::Less,
            _ if key.descending => b.compare(a),
            _ => a.compare(b),
        };
        if found.is_ne() {
            return found;
        }
    }
    Ordering::Equal
}

/// Orders computed rows, which are in the order of their groups, and keeps the first `limit`.
pub(super) fn arrange(
    rows: Vec<Vec<Cell>>,
    order: &[Key],
    measures: &[Measure],
    limit: usize,
) -> Vec<Vec<Cell>> {
    let groups = rows.first().map_or(0, |row| row.len() - measures.len());
    let keys_of = |row: &Vec<Cell>| -> Vec<SortKey> {
        let key = |key: &Key| match key.of {
            KeyOf::Measure(at) => SortKey::of_result(&row[groups + at], measures[at].column()),
            KeyOf::Group(at, column) | KeyOf::Cell(column @ Typed { index: at, .. }) => {
                SortKey::of_result(&row[at], Some(column))
            }
        };
        order.iter().map(key).collect()
    };
    let mut keyed: Vec<(Vec<SortKey>, Vec<Cell>)> =
        rows.into_iter().map(|row| (keys_of(&row), row)).collect();
    // The sort is stable: equals stay in the order of their first rows.
    keyed.sort_by(|a, b| compare(order, &a.0, &b.0));
    keyed.truncate(limit);
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// The first rows of a table by some order.
#[derive(Debug)]
pub(super) struct FirstRows<'p> {
    order: &'p [Key],
    limit: usize,
    rows: Vec<(Vec<SortKey>, ResultRow)>,
    /// Bytes of text in `rows`.
    bytes: usize,
    /// The last of the first `limit` rows seen so far; a row that is not before it is not wanted.
    last: Option<Vec<SortKey>>,
}

impl<'p> FirstRows<'p> {
    /// None yet.
    pub(super) fn new(order: &'p [Key], limit: usize) -> Self {
        Self {
            order,
            limit,
            rows: Vec::new(),
            bytes: 0,
            last: None,
        }
    }

    /// Offers a row, whose `cells` are made only when it is among the first so far.
    pub(super) fn offer(
        &mut self,
        row: &RowView<'_>,
        scratch: &mut Vec<u8>,
        cells: impl FnOnce(&mut Vec<u8>) -> Vec<Cell>,
    ) -> Result<(), ParseError> {
        if self.order.is_empty() && self.rows.len() == self.limit {
            return Ok(());
        }
        let keys = self.keys_of(row, scratch);
        let is_late = |last: &Vec<SortKey>| compare(self.order, &keys, last).is_ge();
        if self.last.as_ref().is_some_and(is_late) {
            return Ok(());
        }
        let cells = cells(scratch);
        self.bytes += bytes_of(&cells);
        let row = ResultRow {
            row: Some(row.number),
            cells,
        };
        self.rows.push((keys, row));
        if self.rows.len() >= BATCH.max(2 * self.limit) || self.bytes > 2 * MAX_RESULT_BYTES {
            self.settle()?;
        }
        Ok(())
    }

    fn keys_of(&self, row: &RowView<'_>, scratch: &mut Vec<u8>) -> Vec<SortKey> {
        let key = |key: &Key| match key.of {
            KeyOf::Cell(column) | KeyOf::Group(_, column) => row
                .cell(column.index, scratch)
                .map_or(SortKey::Null, |cell| SortKey::of_cell(cell, column)),
            KeyOf::Measure(_) => SortKey::Null,
        };
        self.order.iter().map(key).collect()
    }

    fn settle(&mut self) -> Result<(), ParseError> {
        self.rows.sort_by(|a, b| compare(self.order, &a.0, &b.0));
        self.rows.truncate(self.limit);
        if self.rows.len() == self.limit {
            self.last = self.rows.last().map(|(keys, _)| keys.clone());
        }
        self.bytes = self.rows.iter().map(|(_, row)| bytes_of(&row.cells)).sum();
        if self.bytes > MAX_RESULT_BYTES {
            return Err(too_long());
        }
        Ok(())
    }

    /// The rows in order.
    pub(super) fn finish(mut self) -> Result<Vec<ResultRow>, ParseError> {
        self.settle()?;
        Ok(self.rows.into_iter().map(|(_, row)| row).collect())
    }
}

/// Bytes that cells take.
pub(super) fn bytes_of(cells: &[Cell]) -> usize {
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.len(),
        _ => 0,
    };
    cells.iter().map(text).sum()
}

/// The result is longer than may be.
pub(super) fn too_long() -> ParseError {
    ParseError::LimitExceeded(format!(
        "the query's result has more than {MAX_RESULT_BYTES} bytes of text; a lower limit or fewer columns help"
    ))
}
