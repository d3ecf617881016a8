//! Counts of rows and columns.

use crate::extractive::reply::Reply;

use super::Table;
use super::ask::Ask;
use super::filters::{Filter, value_key};
use super::lookup::{quote_rows, selected};
use super::rows::Row;
use super::values::top_values;
use super::wording::{columns, conditions, rows, rows_that_have, scope};

/// Rows shown beside their count.
const MAX_ROWS: usize = 10;

/// Names the columns.
pub(super) fn column_names(table: &Table<'_>, reply: &mut Reply<'_>) {
    let names: Vec<&str> = table
        .facts
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    reply.say(&format!(
        "The table has {}: {}.",
        columns(names.len()),
        names.join(", ")
    ));
}

/// Counts the rows, or those that fit the conditions of the prompt.
pub(super) fn row_count(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) {
    if let Some(group) = ask.group {
        return top_values(table, ask, group, reply);
    }
    let total = table.facts.rows;
    if ask.filters.is_empty() {
        reply.say(&format!("The table has {}.", rows(total)));
        if let Some(column) = ask
            .mentions
            .first()
            .map(|mention| &table.facts.columns[mention.column])
        {
            reply.say(&format!(
                " The column {} has {} different values.",
                column.name, column.distinct
            ));
        }
        return;
    }
    let condition = conditions(table, &ask.filters);
    if let Some(count) = counted_in_profile(table, &ask.filters) {
        return reply.say(&format!(
            "{} {condition}.",
            rows_that_have(count, &total.to_string())
        ));
    }
    let matching: Vec<&Row<'_>> = selected(table, ask).collect();
    let count = rows_that_have(matching.len() as u64, &scope(table));
    reply.say(&format!("{count} {condition}."));
    quote_rows(
        table,
        matching.iter().take(MAX_ROWS).copied(),
        matching.len(),
        reply,
    );
}

/// The count of a single value that the profile of the whole table has; only needed when rows were left out.
fn counted_in_profile(table: &Table<'_>, filters: &[Filter]) -> Option<u64> {
    let [Filter::Equals { columns, value, .. }] = filters else {
        return None;
    };
    let [column] = columns.as_slice() else {
        return None;
    };
    let top = &table.facts.columns[*column].top;
    let found = top.iter().find(|(known, _)| value_key(known) == *value)?;
    (!table.is_complete()).then_some(found.1)
}
