//! One value for each group of rows: `average salary by department`, `which country has the highest total`.

use crate::error::ModelError;
use crate::extractive::reply::Reply;
use crate::table_query::{
    AnswerCell, AnswerRow, Compute, Condition, Function, Order, OrderBy, TableAnswer, TableQuery,
};

use super::Table;
use super::ask::{Ask, Rank};
use super::number;
use super::operation::Operation;
use super::statistics::label;
use super::translate::{conditions, function};
use super::wording::{over_all, place, rows};

/// Groups shown.
pub(super) const MAX_GROUPS: u32 = 20;

/// Groups named behind the one that was asked for.
const RUNNERS_UP: u32 = 2;

/// Writes the value of every group, the largest first.
pub(super) fn grouped(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    group: usize,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let found = table.run(&query(table, ask, (column, group), (true, MAX_GROUPS)))?;
    let columns = &table.facts.columns;
    reply.say(&format!(
        "The {} of {} by {}{}{}:",
        name_of(ask.operation),
        columns[column].name,
        columns[group].name,
        place(table, &ask.filters),
        over_all(table)
    ));
    for row in &found.rows {
        reply.say(&format!("\n- {}", in_words(row)));
    }
    if found.rows_left_out > 0 {
        reply.say(&format!("\n- and {} more groups", found.rows_left_out));
    }
    Ok(())
}

/// Writes the groups at the end of the order that the prompt asks for.
pub(super) fn ranked(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    rank: Rank,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let limit = rank.count as u32 + RUNNERS_UP;
    let found = table.run(&query(
        table,
        ask,
        (column, rank.group),
        (rank.largest, limit),
    ))?;
    let has_value = |row: &&AnswerRow| row.cells[1].number().is_some();
    let valued: Vec<&AnswerRow> = found.rows.iter().filter(has_value).collect();
    let columns = &table.facts.columns;
    let (group, place, all) = (
        &columns[rank.group].name,
        place(table, &ask.filters),
        over_all(table),
    );
    let what = format!("{} of {}", name_of(ask.operation), columns[column].name);
    let end = if rank.largest { "highest" } else { "lowest" };
    let Some(first) = valued.first() else {
        reply.not_answered();
        reply.say(&format!(
            "No row{place} has a number in {}{all}.",
            columns[column].name
        ));
        return Ok(());
    };
    if rank.count > 1 {
        let shown = rank.count.min(valued.len());
        reply.say(&format!(
            "The {shown} {end} values of the {what} by {group}{place}{all}:"
        ));
        for row in &valued[..shown] {
            reply.say(&format!("\n- {}", in_words(row)));
        }
        return Ok(());
    }
    reply.say(&format!(
        "The {group} with the {end} {what}{place} is {}{all}.",
        in_words(first)
    ));
    let behind: Vec<String> = valued[1..].iter().map(|row| in_words(row)).collect();
    if !behind.is_empty() {
        reply.say(&format!(" Next: {}.", behind.join("; ")));
    }
    Ok(())
}

/// The values of a column by how often they occur, the most frequent first.
pub(super) fn frequencies(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    limit: u32,
) -> Result<TableAnswer, ModelError> {
    let mut conditions = conditions(table, &ask.filters);
    conditions.push(Condition::Filled { column });
    table.run(&TableQuery {
        conditions,
        group_by: Some(column),
        compute: vec![Compute {
            function: Function::Count,
            column: None,
        }],
        order: Some(Order {
            by: OrderBy::Computed(0),
            descending: true,
        }),
        limit,
    })
}

fn query(
    table: &Table<'_>,
    ask: &Ask,
    (column, group): (usize, usize),
    (descending, limit): (bool, u32),
) -> TableQuery {
    let compute = [function(ask.operation), Function::Count].map(|function| Compute {
        function,
        column: Some(column),
    });
    TableQuery {
        conditions: conditions(table, &ask.filters),
        group_by: Some(group),
        compute: compute.to_vec(),
        order: Some(Order {
            by: OrderBy::Computed(0),
            descending,
        }),
        limit,
    }
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Distinct => "number of different values",
        operation => label(operation),
    }
}

/// `Peru: 12.5 (9 rows)`.
fn in_words(row: &AnswerRow) -> String {
    let key = match &row.cells[0] {
        AnswerCell::Text(text) if !text.is_empty() => text,
        _ => "(empty)",
    };
    let value = row.cells[1]
        .number()
        .map_or("none".to_owned(), number::write);
    let count = row
        .cells
        .get(2)
        .and_then(AnswerCell::number)
        .unwrap_or_default();
    format!("{key}: {value} ({})", rows(count as u64))
}
