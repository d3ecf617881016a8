//! Questions about a whole table: which rows, in which groups, computed to what, in which order.
//!
//! A [`Query`] is small, typed and made to be written by a program: its JSON is the contract. It names columns as the document's
//! profile does and is run over every row of the file, streaming, in the sandboxed child ([`crate::ParserPool::query`]); the parent
//! believes the [`QueryResult`] only after it has checked it (`check`). Numbers, dates and nulls are what the profile takes them for, so
//! that a sum over all rows and the profile's sum agree. There is no SQL: nothing can be asked that is not listed here.

mod aggregate;
mod check;
mod filter;
mod group;
mod order;
mod plan;
mod run;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use check::check;
pub(crate) use run::run;

use crate::document::{ColumnKind, DateOrder, Table};
use crate::error::ParseError;

/// Most rows of a result.
pub const MAX_RESULT_ROWS: u32 = 10_000;

/// Most bytes of text in a result.
pub const MAX_RESULT_BYTES: usize = 4 * 1024 * 1024;

/// Most groups.
pub const MAX_GROUPS: usize = 1_000_000;

/// Most bytes of a query as JSON.
const MAX_QUERY_BYTES: usize = 64 * 1024;

/// What to compute over a table. Without groups and aggregates the result is rows of the table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// Which rows count; all when there is none.
    pub filter: Option<Filter>,
    /// Columns whose values part the rows.
    pub group_by: Vec<String>,
    /// What is computed of each group, or of all rows when there are no groups.
    pub aggregates: Vec<Aggregate>,
    /// Columns of the rows shown, when nothing is grouped or computed; all when empty.
    pub select: Vec<String>,
    /// What the result is ordered by, the first first. Equals stay in the order of the table.
    pub order_by: Vec<OrderBy>,
    /// Rows of the result, at most [`MAX_RESULT_ROWS`].
    pub limit: Option<u32>,
}

/// A condition on a row. As in SQL, one that meets a null is neither true nor false, and only a true one lets a row through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// All of them hold.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A cell compares so with a value.
    Compare(Comparison),
    /// The cell of this column is null.
    Null(String),
    /// The data row has one of these numbers, from 1.
    Rows {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
}

/// `column op value`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Name of the column.
    pub column: String,
    /// How the cell compares with the value.
    pub op: Op,
    /// What it is compared with. A number is compared with cells that are numbers; a text with dates when the column holds dates and
    /// the text is one, else with the cell's text.
    pub value: Literal,
}

/// How a cell compares with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Below.
    Lt,
    /// Below or equal.
    Le,
    /// Above.
    Gt,
    /// Above or equal.
    Ge,
    /// Equal but for case, accents and signs between the words.
    Same,
    /// The text begins with the value.
    StartsWith,
    /// The text holds the value.
    Contains,
}

/// A value in a query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A text, or a date such as `2024-01-31`.
    Text(String),
}

/// One value computed of many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// What is computed.
    pub function: Function,
    /// Of which column; only rows are counted without one.
    #[serde(default)]
    pub column: Option<String>,
    /// Its name in the result; `sum_amount` and the like when there is none.
    #[serde(default, rename = "as")]
    pub name: Option<String>,
}

/// What is computed of a column's values that are not null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// How many there are.
    Count,
    /// How many different ones there are, exactly.
    CountDistinct,
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest: by number, by date or by bytes, as the column's kind says.
    Min,
    /// The largest.
    Max,
    /// The standard deviation of a sample (n - 1).
    Stddev,
    /// The middle one, or the mean of the two in the middle.
    Median,
}

/// One key of an order. Nulls come last in both directions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBy {
    /// A column of the result, or any column of the table when its rows are shown.
    pub by: String,
    /// The largest first.
    #[serde(default)]
    pub descending: bool,
}

/// What a query came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryResult {
    /// Names of the columns: the groups', then the aggregates', or those of the rows shown.
    pub columns: Vec<String>,
    /// The rows in their order.
    pub rows: Vec<ResultRow>,
    /// Data rows that were read: all of the table.
    pub rows_read: u64,
    /// Data rows that the filter let through.
    pub rows_matched: u64,
    /// Rows of the result that the limit cut off.
    pub rows_left_out: u64,
}

/// One row of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// Number of the data row that this is, from 1; none when it was computed.
    pub row: Option<u64>,
    /// One cell for each column.
    pub cells: Vec<Cell>,
}

/// One value of a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A text, or a date as the table writes it.
    Text(String),
}

/// A query with what the profile knows of the columns it names: what a child is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypedQuery {
    /// What to compute.
    pub query: Query,
    /// The columns it names.
    pub columns: Vec<TypedColumn>,
    /// Columns of the table.
    pub width: usize,
}

/// What the profile knows of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypedColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// How its dates are written.
    pub date_order: Option<DateOrder>,
}

impl TypedQuery {
    /// `query` about `table`. An error names what does not fit: a column that does not exist, a sum of texts, a limit.
    pub fn new(query: &Query, table: &Table) -> Result<Self, ParseError> {
        let bytes = serde_json::to_vec(query).map_err(|error| invalid(error.to_string()))?;
        if bytes.len() > MAX_QUERY_BYTES {
            return Err(invalid(format!(
                "the query has {} bytes, the limit is {MAX_QUERY_BYTES}",
                bytes.len()
            )));
        }
        let mut columns: Vec<TypedColumn> = Vec::new();
        for name in query.named_columns() {
            if columns.iter().any(|column| column.name == name) {
                continue;
            }
            let Some(column) = table.columns.iter().find(|column| column.name == name) else {
                return Err(invalid(format!("the table has no column {name:?}")));
            };
            columns.push(TypedColumn {
                name: column.name.clone(),
                kind: column.kind,
                date_order: column.date_order,
            });
        }
        let typed = Self {
            query: query.clone(),
            columns,
            width: table.columns.len(),
        };
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        plan::Plan::new(&typed, &names, table.delimiter == ';')?;
        Ok(typed)
    }
}

impl Query {
    /// Columns of the table that the query names; keys of the order only where they cannot be results.
    fn named_columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        if let Some(filter) = &self.filter {
            filter.named_columns(&mut names);
        }
        names.extend(self.group_by.iter().map(String::as_str));
        names.extend(self.aggregates.iter().filter_map(|a| a.column.as_deref()));
        names.extend(self.select.iter().map(String::as_str));
        if self.shows_rows() {
            names.extend(self.order_by.iter().map(|order| order.by.as_str()));
        }
        names
    }

    /// Whether the result is rows of the table.
    pub fn shows_rows(&self) -> bool {
        self.group_by.is_empty() && self.aggregates.is_empty()
    }
}

impl Filter {
    fn named_columns<'q>(&'q self, names: &mut Vec<&'q str>) {
        match self {
            Self::And(filters) | Self::Or(filters) => {
                for filter in filters {
                    filter.named_columns(names);
                }
            }
            Self::Not(filter) => filter.named_columns(names),
            Self::Compare(comparison) => names.push(&comparison.column),
            Self::Null(column) => names.push(column),
            Self::Rows { .. } => {}
        }
    }
}

impl Aggregate {
    /// Its name in the result.
    fn shown_name(&self) -> String {
        let function = match self.function {
            Function::Count => "count",
            Function::CountDistinct => "count_distinct",
            Function::Sum => "sum",
            Function::Mean => "mean",
            Function::Min => "min",
            Function::Max => "max",
            Function::Stddev => "stddev",
            Function::Median => "median",
        };
        match (&self.name, &self.column) {
            (Some(name), _) => name.clone(),
            (None, Some(column)) => format!("{function}_{column}"),
            (None, None) => function.to_owned(),
        }
    }
}

fn invalid(what: impl Into<String>) -> ParseError {
    ParseError::InvalidQuery(what.into())
}
