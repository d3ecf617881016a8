//! Conditions, ready to be asked of a row.
//!
//! Three answers, as in SQL: yes, no, and no answer where a null is compared. Cells that are not of the kind they are compared as have
//! no answer either, like the strays that the profile leaves out of its figures.

use std::cmp::Ordering;

use super::plan::Typed;
use super::{Comparison, Filter, Literal, Op, invalid};
use crate::document::{ColumnKind, DateOrder};
use crate::error::ParseError;
use crate::formats::csv::reader::Record;
use crate::formats::csv::value::{Value, classify};
use crate::formats::csv::{date, fold, number};

/// A row under a query.
pub(super) struct RowView<'r> {
    pub(super) record: &'r Record<'r>,
    /// Its number among the data rows, from 1.
    pub(super) number: u64,
}

impl RowView<'_> {
    /// The trimmed cell at `index`; `None` when it is null or the row ends before it.
    #[inline]
    pub(super) fn cell<'s>(&'s self, index: usize, scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        if index >= self.record.len() {
            return None;
        }
        let cell = self.record.cell(index, scratch).trim_ascii();
        let is_null = cell.is_empty() || may_be_null(cell) && classify(cell, false) == Value::Null;
        (!is_null).then_some(cell)
    }
}

/// Spellings of null are short and begin with one of these.
fn may_be_null(cell: &[u8]) -> bool {
    cell.len() <= 4 && matches!(cell[0], b'n' | b'N' | b'#')
}

/// A condition with places and values instead of names and literals.
#[derive(Debug)]
pub(super) enum Test {
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Number(Typed, Op, f64),
    Date(Typed, Op, u64),
    Text(usize, Op, Vec<u8>),
    /// The folded words of the value, and the value itself for a quick yes.
    Same(usize, String, Vec<u8>),
    Boolean(usize, bool, bool),
    Null(usize),
    Rows(u64, u64),
}

impl Test {
    /// The test of `filter`; `columns` knows the columns by name.
    pub(super) fn new(
        filter: &Filter,
        columns: &dyn Fn(&str) -> Result<Typed, ParseError>,
    ) -> Result<Self, ParseError> {
        let all = |filters: &[Filter]| {
            filters
                .iter()
                .map(|filter| Self::new(filter, columns))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match filter {
            Filter::And(filters) => Self::And(all(filters)?),
            Filter::Or(filters) => Self::Or(all(filters)?),
            Filter::Not(filter) => Self::Not(Box::new(Self::new(filter, columns)?)),
            Filter::Null(column) => Self::Null(columns(column)?.index),
            Filter::Rows { from, to } => Self::Rows(*from, *to),
            Filter::Compare(comparison) => compare(comparison, columns(&comparison.column)?)?,
        })
    }

    /// Whether it holds for `row`; `None` where a null is compared.
    pub(super) fn holds(&self, row: &RowView<'_>, scratch: &mut Vec<u8>) -> Option<bool> {
        match self {
            Self::And(tests) => join(tests, row, scratch, false),
            Self::Or(tests) => join(tests, row, scratch, true),
            Self::Not(test) => test.holds(row, scratch).map(|holds| !holds),
            Self::Null(index) => Some(row.cell(*index, scratch).is_none()),
            Self::Rows(from, to) => Some((*from..=*to).contains(&row.number)),
            Self::Number(column, op, value) => {
                let cell = row.cell(column.index, scratch)?;
                let number = number::parse(cell, column.decimal_comma)?;
                Some(op.allows(number.value.partial_cmp(value)?))
            }
            Self::Date(column, op, key) => {
                let cell = row.cell(column.index, scratch)?;
                Some(op.allows(date_key(cell, column.date_order)?.cmp(key)))
            }
            Self::Text(index, op, value) => {
                let cell = row.cell(*index, scratch)?;
                Some(match op {
                    Op::StartsWith => cell.starts_with(value),
                    Op::Contains => memchr::memmem::find(cell, value).is_some(),
                    op => op.allows(cell.cmp(value.as_slice())),
                })
            }
            Self::Same(index, folded, value) => {
                let cell = row.cell(*index, scratch)?;
                Some(cell == value.as_slice() || fold::is_same(cell, folded))
            }
            Self::Boolean(index, value, equal) => {
                let cell = row.cell(*index, scratch)?;
                let is_true = truth(cell)?;
                Some((is_true == *value) == *equal)
            }
        }
    }
}

/// Three-valued `and` (`end` is false) and `or` (`end` is true).
fn join(tests: &[Test], row: &RowView<'_>, scratch: &mut Vec<u8>, end: bool) -> Option<bool> {
    let mut all_answered = true;
    for test in tests {
        match test.holds(row, scratch) {
            Some(holds) if holds == end => return Some(end),
            Some(_) => {}
            None => all_answered = false,
        }
    }
    all_answered.then_some(!end)
}

fn compare(comparison: &Comparison, column: Typed) -> Result<Test, ParseError> {
    let Comparison { op, value, .. } = comparison;
    let is_textual = matches!(op, Op::Same | Op::StartsWith | Op::Contains);
    match value {
        Literal::Text(text) if *op == Op::Same => {
            let folded = fold::words(text);
            Ok(Test::Same(column.index, folded, text.clone().into_bytes()))
        }
        Literal::Text(text) if !is_textual && column.kind == ColumnKind::Date => {
            let key = date_key(text.trim().as_bytes(), DateOrder::DayFirst);
            let key =
                key.ok_or_else(|| invalid(format!("{text:?} is no date such as 2024-01-31")))?;
            Ok(Test::Date(column, *op, key))
        }
        Literal::Text(text) if !is_textual && column.is_number() => {
            let number = number::parse(text.trim().as_bytes(), column.decimal_comma);
            let number = number.ok_or_else(|| invalid(format!("{text:?} is no number")))?;
            Ok(Test::Number(column, *op, number.value))
        }
        Literal::Text(text) => Ok(Test::Text(column.index, *op, text.clone().into_bytes())),
        Literal::Number(value) if !is_textual && value.is_finite() => {
            Ok(Test::Number(column, *op, *value))
        }
        Literal::Boolean(value) if matches!(op, Op::Eq | Op::Ne) => {
            Ok(Test::Boolean(column.index, *value, *op == Op::Eq))
        }
        other => Err(invalid(format!("{op:?} does not go with {other:?}"))),
    }
}

impl Op {
    /// Whether a cell that compares with the value like `order` fits.
    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Eq | Self::Same => order.is_eq(),
            Self::Ne => order.is_ne(),
            Self::Lt => order.is_lt(),
            Self::Le => order.is_le(),
            Self::Gt => order.is_gt(),
            Self::Ge => order.is_ge(),
            // Only texts are asked this, and not about an order.
            Self::StartsWith | Self::Contains => false,
        }
    }
}

/// Sort key of a date as its column writes dates.
pub(super) fn date_key(cell: &[u8], order: DateOrder) -> Option<u64> {
    let date = date::parse(cell)?;
    match order {
        DateOrder::DayFirst => date.day_first,
        DateOrder::MonthFirst => date.month_first,
    }
}

fn truth(cell: &[u8]) -> Option<bool> {
    (classify(cell, false) == Value::Boolean).then(|| matches!(cell[0], b't' | b'T' | b'y' | b'Y'))
}
