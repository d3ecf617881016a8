//! The conditions of a prompt as those of a query.

use crate::table_query::{Condition, Function, Relation};

use super::Table;
use super::columns::is_number;
use super::comparisons::{Comparison, Limit};
use super::dates::Span;
use super::filters::Filter;
use super::number;
use super::operation::Operation;

/// All conditions of a prompt.
pub(super) fn conditions(table: &Table<'_>, filters: &[Filter]) -> Vec<Condition> {
    filters
        .iter()
        .flat_map(|filter| condition(table, filter))
        .collect()
}

fn condition(table: &Table<'_>, filter: &Filter) -> Vec<Condition> {
    match filter {
        Filter::Equals { columns, shown, .. } => {
            let mut any: Vec<Condition> = columns
                .iter()
                .map(|column| equals(table, *column, shown))
                .collect();
            match any.len() {
                1 => any,
                _ => vec![Condition::Any(std::mem::take(&mut any))],
            }
        }
        Filter::Within { column, span } => within(table, *column, *span),
        Filter::Empty { column } => vec![Condition::Empty { column: *column }],
        Filter::Compared(comparison) => vec![compared(comparison)],
        Filter::Number(number) => vec![Condition::Row(*number)],
    }
}

fn equals(table: &Table<'_>, column: usize, shown: &str) -> Condition {
    match number::parse(shown).filter(|_| is_number(&table.facts.columns[column])) {
        Some(value) => Condition::Number {
            column,
            relation: Relation::Equal,
            value,
        },
        None => Condition::Same {
            column,
            text: shown.to_owned(),
        },
    }
}

fn within(table: &Table<'_>, column: usize, span: Span) -> Vec<Condition> {
    let facts = &table.facts.columns[column];
    if facts.kind == "date" {
        let side = |relation, day| Condition::Date {
            column,
            relation,
            day,
        };
        return vec![
            side(Relation::AtLeast, span.first_day()),
            side(Relation::AtMost, span.last_moment()),
        ];
    }
    if is_number(facts) {
        return vec![equals(table, column, &span.shown())];
    }
    vec![Condition::StartsWith {
        column,
        text: span.shown(),
    }]
}

fn compared(comparison: &Comparison) -> Condition {
    let column = comparison.column;
    let relation = match (comparison.above, comparison.or_equal) {
        (true, true) => Relation::AtLeast,
        (true, false) => Relation::Above,
        (false, true) => Relation::AtMost,
        (false, false) => Relation::Below,
    };
    match comparison.limit {
        Limit::Number(value) => Condition::Number {
            column,
            relation,
            value,
        },
        Limit::Date(span) => Condition::Date {
            column,
            relation,
            // Behind the whole span or within it, before it or from its beginning.
            day: if comparison.above == comparison.or_equal {
                span.first_day()
            } else {
                span.last_moment()
            },
        },
    }
}

/// The function that an operation computes.
pub(super) fn function(operation: Operation) -> Function {
    match operation {
        Operation::Mean => Function::Mean,
        Operation::Median => Function::Median,
        Operation::Sum => Function::Sum,
        Operation::StandardDeviation => Function::Stddev,
        Operation::Largest => Function::Max,
        Operation::Smallest => Function::Min,
        Operation::Distinct => Function::Distinct,
        _ => Function::Count,
    }
}
