//! What an engine may have computed over a whole table, of which it has seen only some rows.
//!
//! An engine translates a prompt into a [`TableQuery`]; whoever holds the file runs it ([`QueryTable`]) over every row. The engine sees
//! columns by their place in [`crate::TableFacts`], so a query cannot name one that does not exist.

use std::fmt;

use crate::error::ModelError;

/// Runs queries over every row of the table that a request is about.
pub trait QueryTable: fmt::Debug + Send + Sync {
    /// Runs `query` and blocks until it is computed. [`ModelError::Table`] when it cannot be: then the engine does without.
    fn query(&self, query: &TableQuery) -> Result<TableAnswer, ModelError>;
}

/// What to compute. Without `group_by` and `compute` the answer is rows of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableQuery {
    /// Conditions on a row; all of them must hold.
    pub conditions: Vec<Condition>,
    /// The column whose values part the rows.
    pub group_by: Option<usize>,
    /// What is computed of each group, or of all rows.
    pub compute: Vec<Compute>,
    /// What the answer is ordered by; by the table's own order when there is nothing.
    pub order: Option<Order>,
    /// Rows of the answer.
    pub limit: u32,
}

/// A condition on a row. A null meets none but [`Condition::Empty`].
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The cell is a number that relates so to `value`.
    Number {
        /// The column.
        column: usize,
        /// How the cell relates.
        relation: Relation,
        /// To what.
        value: f64,
    },
    /// The cell is a date that relates so to `day`.
    Date {
        /// The column.
        column: usize,
        /// How the cell relates.
        relation: Relation,
        /// A day, or a moment of it: `2024-01-31`, `2024-01-31 23:59:59`.
        day: String,
    },
    /// The cell's words are those of `text`, but for case and accents.
    Same {
        /// The column.
        column: usize,
        /// The words.
        text: String,
    },
    /// The cell's text begins with `text`.
    StartsWith {
        /// The column.
        column: usize,
        /// The beginning.
        text: String,
    },
    /// The cell is null.
    Empty {
        /// The column.
        column: usize,
    },
    /// The cell is not null.
    Filled {
        /// The column.
        column: usize,
    },
    /// The data row has this number, from 1.
    Row(u64),
    /// One of the conditions holds.
    Any(Vec<Condition>),
}

/// How a cell relates to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Equal to it.
    Equal,
    /// Below it.
    Below,
    /// Below or equal.
    AtMost,
    /// Above it.
    Above,
    /// Above or equal.
    AtLeast,
}

/// One value computed of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// What is computed.
    pub function: Function,
    /// Of which column; rows are counted without one.
    pub column: Option<usize>,
}

/// What is computed of values that are not null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many there are.
    Count,
    /// How many different ones.
    Distinct,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// The standard deviation of a sample.
    Stddev,
    /// The median.
    Median,
}

/// The order of an answer. Nulls are last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it is ordered by.
    pub by: OrderBy,
    /// The largest first.
    pub descending: bool,
}

/// What an answer is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// A column of the rows shown.
    Column(usize),
    /// What is computed at this place of [`TableQuery::compute`].
    Computed(usize),
}

/// What a query came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableAnswer {
    /// The rows: cells of the table, or the group (when there is one) and what was computed.
    pub rows: Vec<AnswerRow>,
    /// Data rows that were looked at: all of the table.
    pub rows_read: u64,
    /// Data rows that met the conditions.
    pub rows_matched: u64,
    /// Rows of the answer beyond the limit.
    pub rows_left_out: u64,
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerRow {
    /// The data row that this is, from 1; none when it was computed.
    pub number: Option<u64>,
    /// Its cells.
    pub cells: Vec<AnswerCell>,
}

/// One cell of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum AnswerCell {
    /// No value.
    Null,
    /// A number that was computed.
    Number(f64),
    /// A text, or any cell as the table has it.
    Text(String),
}

impl AnswerCell {
    /// The number that was computed.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Null | Self::Text(_) => None,
        }
    }

    /// The text; empty for no value.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Null | Self::Number(_) => "",
        }
    }
}
