//! Runs a query over the rows that were read: for tables of which every row was.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use crate::table_query::{
    AnswerCell, AnswerRow, Compute, Condition, Function, Relation, TableAnswer, TableQuery,
};

use super::Table;
use super::filters::{is_same, value_key};
use super::rows::Row;
use super::statistics::over;

/// Computes `query` of the groups or of all rows; rows themselves are shown from where they were read.
pub(super) fn compute(table: &Table<'_>, query: &TableQuery) -> TableAnswer {
    let selected: Vec<&Row<'_>> = table
        .rows
        .iter()
        .filter(|row| {
            query
                .conditions
                .iter()
                .all(|condition| holds(condition, row))
        })
        .collect();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<(&str, Vec<&Row<'_>>)> = Vec::new();
    for row in &selected {
        let key = query.group_by.map_or("", |column| row.cell(column));
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push((key, Vec::new()));
        }
        groups[place].1.push(row);
    }
    let mut rows: Vec<AnswerRow> = groups
        .iter()
        .map(|(key, rows)| computed(key, rows, query))
        .collect();
    let offset = usize::from(query.group_by.is_some());
    if let Some(order) = query.order {
        let crate::table_query::OrderBy::Computed(at) = order.by else {
            return TableAnswer::default();
        };
        rows.sort_by(|a, b| {
            compare(
                &a.cells[offset + at],
                &b.cells[offset + at],
                order.descending,
            )
        });
    }
    let all = rows.len();
    rows.truncate(query.limit as usize);
    TableAnswer {
        rows_read: table.rows.len() as u64,
        rows_matched: selected.len() as u64,
        rows_left_out: (all - rows.len()) as u64,
        rows,
    }
}

fn computed(key: &str, rows: &[&Row<'_>], query: &TableQuery) -> AnswerRow {
    let group = query.group_by.map(|_| match key {
        "" => AnswerCell::Null,
        key => AnswerCell::Text(key.to_owned()),
    });
    let values = query.compute.iter().map(|compute| value(compute, rows));
    AnswerRow {
        number: None,
        cells: group.into_iter().chain(values).collect(),
    }
}

fn value(compute: &Compute, rows: &[&Row<'_>]) -> AnswerCell {
    let Some(column) = compute.column else {
        return AnswerCell::Number(rows.len() as f64);
    };
    let filled = || {
        rows.iter()
            .map(|row| row.cell(column))
            .filter(|cell| !cell.is_empty())
    };
    let number = match compute.function {
        Function::Count => Some(filled().count() as f64),
        Function::Distinct => Some(filled().collect::<HashSet<_>>().len() as f64),
        function => {
            let mut numbers: Vec<f64> = rows.iter().filter_map(|row| row.number(column)).collect();
            over(function, &mut numbers)
        }
    };
    number.map_or(AnswerCell::Null, AnswerCell::Number)
}

fn compare(a: &AnswerCell, b: &AnswerCell, descending: bool) -> Ordering {
    match (a.number(), b.number()) {
        (Some(a), Some(b)) if descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        // No value comes last.
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

fn holds(condition: &Condition, row: &Row<'_>) -> bool {
    match condition {
        Condition::Number {
            column,
            relation,
            value,
        } => row
            .number(*column)
            .and_then(|number| number.partial_cmp(value))
            .is_some_and(|order| allows(*relation, order)),
        Condition::Date {
            column,
            relation,
            day,
        } => {
            let (cell, day) = (row.cell(*column), day.get(..10).unwrap_or(day));
            cell.get(..10)
                .is_some_and(|cell| allows(*relation, cell.cmp(day)))
        }
        Condition::Same { column, text } => is_same(row.cell(*column), &value_key(text)),
        Condition::StartsWith { column, text } => row.cell(*column).starts_with(text.as_str()),
        Condition::Empty { column } => row.cell(*column).is_empty(),
        Condition::Filled { column } => !row.cell(*column).is_empty(),
        Condition::Row(number) => row.number == *number,
        Condition::Any(conditions) => conditions.iter().any(|condition| holds(condition, row)),
    }
}

fn allows(relation: Relation, order: Ordering) -> bool {
    match relation {
        Relation::Equal => order.is_eq(),
        Relation::Below => order.is_lt(),
        Relation::AtMost => order.is_le(),
        Relation::Above => order.is_gt(),
        Relation::AtLeast => order.is_ge(),
    }
}
