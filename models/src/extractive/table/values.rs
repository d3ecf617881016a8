//! The values of a column: how many different ones, the frequent ones, the empty cells.
//!
//! Over the whole table they come from the profile; under a condition from the rows that were read.

use std::collections::HashMap;

use crate::extractive::reply::Reply;
use crate::passage::ColumnFacts;

use super::Table;
use super::ask::Ask;
use super::lookup::{quote_rows, selected};
use super::rows::Row;
use super::wording::{left_out, place, rows};

/// Frequent values shown.
const MAX_FREQUENT: usize = 20;
/// Values, or rows, shown beside their count.
const MAX_VALUES: usize = 10;

/// Counts the different values of a column and names some.
pub(super) fn distinct(table: &Table<'_>, ask: &Ask, column: usize, reply: &mut Reply<'_>) {
    let facts = &table.facts.columns[column];
    let counted = frequencies(table, ask, column);
    let conditional = !ask.filters.is_empty();
    let count = if conditional {
        counted.len() as u64
    } else {
        facts.distinct
    };
    let limits = if conditional {
        [place(table, &ask.filters), left_out(table)].concat()
    } else {
        String::new()
    };
    let noun = if count == 1 {
        "value"
    } else {
        "different values"
    };
    reply.say(&format!(
        "The column {} has {count} {noun}{limits}",
        facts.name
    ));
    let named: Vec<&str> = counted
        .iter()
        .take(MAX_VALUES)
        .map(|(value, _)| *value)
        .collect();
    let more = if count > named.len() as u64 {
        " and others"
    } else {
        ""
    };
    reply.say(&if named.is_empty() {
        ".".to_owned()
    } else {
        format!(": {}{more}.", named.join(", "))
    });
}

/// Names the most frequent values of a column.
pub(super) fn top_values(table: &Table<'_>, ask: &Ask, column: usize, reply: &mut Reply<'_>) {
    let facts = &table.facts.columns[column];
    let by_profile: Vec<(&str, u64)> = facts
        .top
        .iter()
        .map(|(value, count)| (value.as_str(), *count))
        .collect();
    let (values, limits) = if ask.filters.is_empty() && !by_profile.is_empty() {
        (by_profile, String::new())
    } else {
        (
            frequencies(table, ask, column),
            [place(table, &ask.filters), left_out(table)].concat(),
        )
    };
    if values.is_empty() {
        reply.not_answered();
        return reply.say(&format!("No row{limits} has a value in {}.", facts.name));
    }
    reply.say(&format!(
        "The most frequent values of {}{limits}:",
        facts.name
    ));
    for (value, count) in values.iter().take(MAX_FREQUENT) {
        reply.say(&format!("\n- {value}: {}", rows(*count)));
    }
}

/// The values of a column in the selected rows, most frequent first, then in the order of the table.
fn frequencies<'a>(table: &'a Table<'_>, ask: &'a Ask, column: usize) -> Vec<(&'a str, u64)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut out: Vec<(&str, u64)> = Vec::new();
    for value in selected(table, ask)
        .map(|row| row.cell(column))
        .filter(|value| !value.is_empty())
    {
        let place = *places.entry(value).or_insert(out.len());
        if place == out.len() {
            out.push((value, 0));
        }
        out[place].1 += 1;
    }
    out.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    out
}

/// Counts the empty cells of a column, or of all.
pub(super) fn missing(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) {
    let columns: Vec<&ColumnFacts> = match ask.target {
        Some(column) => vec![&table.facts.columns[column]],
        None => table
            .facts
            .columns
            .iter()
            .filter(|column| column.nulls > 0)
            .collect(),
    };
    if columns.is_empty() {
        return reply.say("No column has empty cells.");
    }
    for (index, column) in columns.iter().enumerate() {
        let lead = if index == 0 { "" } else { "\n" };
        reply.say(&format!(
            "{lead}The column {} has {}.",
            column.name,
            empty_cells(column.nulls)
        ));
    }
    if let Some(column) = ask.target {
        let empty: Vec<&Row<'_>> = table
            .rows
            .iter()
            .filter(|row| row.cell(column).is_empty())
            .collect();
        quote_rows(
            table,
            empty.iter().take(MAX_VALUES).copied(),
            empty.len(),
            reply,
        );
    }
}

fn empty_cells(count: u64) -> String {
    match count {
        0 => "no empty cells".to_owned(),
        1 => "1 empty cell".to_owned(),
        _ => format!("{count} empty cells"),
    }
}
