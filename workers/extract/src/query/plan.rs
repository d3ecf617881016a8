//! A query made ready to run: names became places, values were read, and what does not fit is an error before a row is read.

use super::aggregate::Measure;
use super::filter::Test;
use super::{Aggregate, Function, MAX_RESULT_ROWS, TypedQuery, invalid};
use crate::document::{ColumnKind, DateOrder};
use crate::error::ParseError;

/// What is known of one column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typed {
    /// Its place in a row.
    pub(super) index: usize,
    pub(super) kind: ColumnKind,
    pub(super) date_order: DateOrder,
    /// Whether `1,5` is a number in this file.
    pub(super) decimal_comma: bool,
}

impl Typed {
    pub(super) fn is_number(self) -> bool {
        matches!(self.kind, ColumnKind::Integer | ColumnKind::Float)
    }
}

/// A query ready to run.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) test: Option<Test>,
    pub(super) groups: Vec<usize>,
    pub(super) measures: Vec<Measure>,
    /// Columns of the rows shown.
    pub(super) select: Vec<usize>,
    pub(super) order: Vec<Key>,
    pub(super) limit: usize,
    /// Names of the result's columns.
    pub(super) names: Vec<String>,
    pub(super) shows_rows: bool,
}

/// One key of the order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) of: KeyOf,
    pub(super) descending: bool,
}

/// What a key is taken from.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyOf {
    /// A cell of a row that is shown.
    Cell(Typed),
    /// A group's value in the column at this place among `group_by`.
    Group(usize, Typed),
    /// An aggregate.
    Measure(usize),
}

impl Plan {
    /// The plan of `typed` over a table with columns called `names`.
    pub(super) fn new(
        typed: &TypedQuery,
        names: &[&str],
        decimal_comma: bool,
    ) -> Result<Self, ParseError> {
        let query = &typed.query;
        let columns = Columns {
            typed,
            names,
            decimal_comma,
        };
        let groups = columns.all(&query.group_by)?;
        let measures = query
            .aggregates
            .iter()
            .map(|aggregate| columns.measure(aggregate))
            .collect::<Result<Vec<_>, _>>()?;
        let shows_rows = query.shows_rows();
        if !shows_rows && !query.select.is_empty() {
            return Err(invalid(
                "a query that computes shows no rows: drop `select`",
            ));
        }
        let select = match (shows_rows, query.select.is_empty()) {
            (true, true) => (0..names.len()).collect(),
            _ => columns.all(&query.select)?,
        };
        Ok(Self {
            test: query
                .filter
                .as_ref()
                .map(|filter| Test::new(filter, &|name| columns.typed(name)))
                .transpose()?,
            order: columns.order()?,
            limit: limit(query.limit)?,
            names: result_names(typed, names, &select),
            groups,
            measures,
            select,
            shows_rows,
        })
    }
}

fn limit(asked: Option<u32>) -> Result<usize, ParseError> {
    match asked {
        None => Ok(MAX_RESULT_ROWS as usize),
        Some(limit @ 1..=MAX_RESULT_ROWS) => Ok(limit as usize),
        Some(limit) => Err(invalid(format!(
            "the limit {limit} is not between 1 and {MAX_RESULT_ROWS}"
        ))),
    }
}

fn result_names(typed: &TypedQuery, names: &[&str], select: &[usize]) -> Vec<String> {
    let query = &typed.query;
    if query.shows_rows() {
        return select.iter().map(|&at| names[at].to_owned()).collect();
    }
    let computed = query.aggregates.iter().map(Aggregate::shown_name);
    query.group_by.iter().cloned().chain(computed).collect()
}

/// The columns of the table by name.
struct Columns<'a> {
    typed: &'a TypedQuery,
    names: &'a [&'a str],
    decimal_comma: bool,
}

impl Columns<'_> {
    fn typed(&self, name: &str) -> Result<Typed, ParseError> {
        let index = self.names.iter().position(|other| *other == name);
        let known = self.typed.columns.iter().find(|known| known.name == name);
        let (Some(index), Some(known)) = (index, known) else {
            return Err(invalid(format!("the table has no column {name:?}")));
        };
        Ok(Typed {
            index,
            kind: known.kind,
            date_order: known.date_order.unwrap_or(DateOrder::DayFirst),
            decimal_comma: self.decimal_comma,
        })
    }

    fn all(&self, names: &[String]) -> Result<Vec<usize>, ParseError> {
        names
            .iter()
            .map(|name| Ok(self.typed(name)?.index))
            .collect()
    }

    fn measure(&self, aggregate: &Aggregate) -> Result<Measure, ParseError> {
        let function = aggregate.function;
        let Some(name) = &aggregate.column else {
            return match function {
                Function::Count => Ok(Measure::rows()),
                other => Err(invalid(format!("{other:?} needs a column"))),
            };
        };
        let column = self.typed(name)?;
        let needs_numbers = matches!(
            function,
            Function::Sum | Function::Mean | Function::Stddev | Function::Median
        );
        if needs_numbers && !column.is_number() && column.kind != ColumnKind::Empty {
            return Err(invalid(format!(
                "{function:?} needs numbers, and column {name:?} holds {:?}",
                column.kind
            )));
        }
        Ok(Measure::of(function, column))
    }

    fn order(&self) -> Result<Vec<Key>, ParseError> {
        let query = &self.typed.query;
        let keys = query.order_by.iter().map(|order| {
            let of = if query.shows_rows() {
                KeyOf::Cell(self.typed(&order.by)?)
            } else {
                self.result_key(&order.by)?
            };
            Ok(Key {
                of,
                descending: order.descending,
            })
        });
        keys.collect()
    }

    fn result_key(&self, name: &str) -> Result<KeyOf, ParseError> {
        let query = &self.typed.query;
        let is_named = |aggregate: &Aggregate| aggregate.shown_name() == name;
        if let Some(at) = query.aggregates.iter().position(is_named) {
            return Ok(KeyOf::Measure(at));
        }
        match query.group_by.iter().position(|column| column == name) {
            Some(at) => Ok(KeyOf::Group(at, self.typed(name)?)),
            None => Err(invalid(format!("the result has no column {name:?}"))),
        }
    }
}
