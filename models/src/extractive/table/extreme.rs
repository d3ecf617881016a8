//! The largest and smallest values of a column, with the rows that have them.
//!
//! The profile knows the extreme of the whole table, the rows that were read show who has it. When rows were left
//! out the two may differ, and then both are said.

use std::cmp::Ordering;

use crate::extractive::reply::Reply;
use crate::passage::ColumnFacts;

use super::Table;
use super::ask::{Ask, DEFAULT_ROWS};
use super::columns::is_number;
use super::lookup::{quote_rows, selected};
use super::number;
use super::operation::Operation;
use super::rows::Row;
use super::statistics::which_column;
use super::wording::{conditions, left_out, place, scope};

/// The largest or smallest value of a column, with the rows that have it.
pub(super) fn extreme(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> bool {
    let Some(column) = ask.target else {
        return which_column(table, ask, reply);
    };
    let facts = &table.facts.columns[column];
    let largest = ask.operation == Operation::Largest;
    let word = if largest { "largest" } else { "smallest" };
    let known = if largest { &facts.max } else { &facts.min };
    // The profile speaks for all rows, not for those that a condition selects.
    let known = known.as_deref().filter(|_| ask.filters.is_empty());
    let ranked = ranked(table, ask, column);
    let Some(first) = ranked.first() else {
        say_without_rows(
            table,
            ask,
            &format!("The {word} value of {}", facts.name),
            known,
            reply,
        );
        return true;
    };
    let value = first.cell(column);
    let ties = ranked
        .iter()
        .take_while(|row| row.cell(column) == value)
        .count();
    let shown = ask.limit.max(ties.min(DEFAULT_ROWS)).min(ranked.len());
    let what = format!(
        "{word} value of {}{}",
        facts.name,
        place(table, &ask.filters)
    );
    let missed = known.filter(|known| !table.is_complete() && !is_same(known, value));
    reply.say(&match missed {
        Some(known) => format!(
            "The {what} in the whole table is {known}, but its row is not among those that were read. Among {} it is {value}:",
            scope(table)
        ),
        None if ask.limit > 1 => format!("The {shown} {word} values of {}{}:", facts.name, place(table, &ask.filters)),
        // The profile confirms the value, so the rows that were left out do not matter.
        None if known.is_some() => format!("The {what} is {value}:"),
        None => format!("The {what} is {value}{}:", left_out(table)),
    });
    quote_rows(table, ranked.iter().copied().take(shown), shown, reply);
    true
}

/// The selected rows that have a value in the column, from the wanted end of its order.
fn ranked<'t, 'a>(table: &'t Table<'a>, ask: &'t Ask, column: usize) -> Vec<&'t Row<'a>> {
    let facts = &table.facts.columns[column];
    let mut keyed: Vec<((f64, &str), &Row<'_>)> = selected(table, ask)
        .filter_map(|row| Some((sort_key(facts, row, column)?, row)))
        .collect();
    keyed.sort_by(|(a, _), (b, _)| {
        let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
        if ask.operation == Operation::Largest {
            order.reverse()
        } else {
            order
        }
    });
    keyed.into_iter().map(|(_, row)| row).collect()
}

fn say_without_rows(
    table: &Table<'_>,
    ask: &Ask,
    what: &str,
    known: Option<&str>,
    reply: &mut Reply<'_>,
) {
    if let Some(known) = known {
        return reply.say(&format!("{what} is {known}."));
    }
    reply.not_answered();
    let which = if ask.filters.is_empty() {
        "a value in this column".to_owned()
    } else {
        conditions(table, &ask.filters)
    };
    reply.say(&format!("No row has {which}{}.", left_out(table)));
}

/// What rows are ordered by: numbers as numbers, ISO dates as text. Other text has no useful order.
fn sort_key<'a>(facts: &ColumnFacts, row: &Row<'a>, column: usize) -> Option<(f64, &'a str)> {
    if is_number(facts) {
        return row.number(column).map(|value| (value, ""));
    }
    Some((0.0, row.cell(column))).filter(|(_, cell)| !cell.is_empty())
}

fn is_same(a: &str, b: &str) -> bool {
    a == b || number::parse(a).is_some_and(|value| Some(value) == number::parse(b))
}
