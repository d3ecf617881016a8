//! Counts: rows, columns, different, frequent and missing values.

use crate::extractive::reply::Reply;
use crate::passage::ColumnFacts;

use super::Table;
use super::ask::Ask;
use super::filters::Filter;
use super::lookup::{quote_rows, selected};
use super::rows::Row;
use super::wording::{columns, conditions, rows, scope};

/// Frequent values shown.
const MAX_FREQUENT: usize = 20;
/// Values of a column, or rows, shown beside their count.
const MAX_VALUES: usize = 10;

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
        return top_values(table, group, reply);
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
        return reply.say(&format!("{} of {total} have {condition}.", rows(count)));
    }
    let matching: Vec<&Row<'_>> = selected(table, ask).collect();
    let (count, searched) = (rows(matching.len() as u64), scope(table));
    reply.say(&format!("{count} of {searched} have {condition}."));
    quote_rows(
        table,
        matching.iter().take(MAX_VALUES).copied(),
        matching.len(),
        reply,
    );
}

/// The count of a single value that the profile of the whole table has; only needed when rows were left out.
fn counted_in_profile(table: &Table<'_>, filters: &[Filter]) -> Option<u64> {
    let [Filter::Equals { columns, value }] = filters else {
        return None;
    };
    let [column] = columns.as_slice() else {
        return None;
    };
    let top = &table.facts.columns[*column].top;
    let found = top
        .iter()
        .find(|(known, _)| known.to_lowercase() == *value)?;
    (!table.is_complete()).then_some(found.1)
}

/// Counts the different values of a column and names some.
pub(super) fn distinct(table: &Table<'_>, column: usize, reply: &mut Reply<'_>) {
    let facts = &table.facts.columns[column];
    reply.say(&format!(
        "The column {} has {} different values.",
        facts.name, facts.distinct
    ));
    let mut values: Vec<&str> = Vec::new();
    for cell in table
        .rows
        .iter()
        .map(|row| row.cell(column))
        .filter(|cell| !cell.is_empty())
    {
        if values.len() > MAX_VALUES {
            break;
        }
        if !values.contains(&cell) {
            values.push(cell);
        }
    }
    let more = values.len() > MAX_VALUES;
    values.truncate(MAX_VALUES);
    if !values.is_empty() {
        reply.say(&format!(
            " {}: {}{}.",
            if more { "Among them" } else { "They are" },
            values.join(", "),
            if more { " and others" } else { "" }
        ));
    }
}

/// Names the most frequent values of a column.
pub(super) fn top_values(table: &Table<'_>, column: usize, reply: &mut Reply<'_>) {
    let facts = &table.facts.columns[column];
    if facts.top.is_empty() {
        return reply.say(&format!(
            "No frequent values are known for the column {}.",
            facts.name
        ));
    }
    reply.say(&format!("The most frequent values of {}:", facts.name));
    for (value, count) in facts.top.iter().take(MAX_FREQUENT) {
        reply.say(&format!("\n- {value}: {}", rows(*count)));
    }
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
    let lines: Vec<String> = columns
        .iter()
        .map(|c| format!("The column {} has {}.", c.name, empty_cells(c.nulls)))
        .collect();
    reply.say(&lines.join("\n"));
}

fn empty_cells(count: u64) -> String {
    match count {
        0 => "no empty cells".to_owned(),
        1 => "1 empty cell".to_owned(),
        _ => format!("{count} empty cells"),
    }
}
