//! Prompts about a table: counts, statistics of columns, rows by their values, rows with the largest or smallest value.
//!
//! A prompt is read against the names of the columns and the values of the rows (`ask`), then computed by
//! operation. Statistics come from the profile of the whole table; what needs rows is computed from the
//! rows that were read, and says so when some were left out. Numbers are never taken from text.

mod ask;
mod columns;
mod comparisons;
mod counts;
mod describe;
mod extreme;
mod filters;
mod lookup;
mod number;
mod operation;
mod rows;
mod statistics;
#[cfg(test)]
mod tests;
mod values;
mod wording;

use crate::passage::{Passage, TableFacts};

use super::intent::Intent;
use super::prompt::Prompt;
use super::reply::Reply;

use ask::Ask;
use operation::Operation;
use rows::Rows;

/// A table with what is known about it.
struct Table<'a> {
    facts: &'a TableFacts,
    rows: Rows<'a>,
}

impl Table<'_> {
    /// Whether every row of the table was read.
    fn is_complete(&self) -> bool {
        self.rows.len() as u64 >= self.facts.rows
    }
}

/// Answers a prompt about a table. False when it is none that can be computed, so that the rows should be searched.
pub(super) fn answer(
    facts: &TableFacts,
    passages: &[Passage],
    prompt: &Prompt,
    intent: &Intent,
    reply: &mut Reply<'_>,
) -> bool {
    let table = Table {
        facts,
        rows: Rows::read(facts, passages),
    };
    let ask = Ask::read(&table, prompt);
    let general = matches!(intent, Intent::Summary(_) | Intent::Keywords { .. });
    if general && !ask.is_specific() {
        describe::describe(&table, reply);
        return true;
    }
    let handled = compute(&table, &ask, reply);
    if (!handled || ask.needs_rows()) && !table.is_complete() {
        reply.note(format!(
            "only the first {} of {} rows were searched",
            table.rows.len(),
            facts.rows
        ));
    }
    handled
}

/// Writes the answer; false when the prompt is nothing that can be computed.
fn compute(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> bool {
    let column = ask.target.or(ask.group);
    match (ask.operation, column) {
        (Operation::ColumnCount | Operation::ColumnNames, _) => counts::column_names(table, reply),
        (Operation::RowCount, _) => counts::row_count(table, ask, reply),
        (Operation::Missing, _) => values::missing(table, ask, reply),
        (Operation::Distinct, Some(column)) => values::distinct(table, ask, column, reply),
        (Operation::TopValues, Some(column)) => values::top_values(table, ask, column, reply),
        (Operation::Distinct | Operation::TopValues, None) => return false,
        (Operation::Range, _) => return statistics::range(table, ask, reply),
        (Operation::Largest | Operation::Smallest, _) => {
            return extreme::extreme(table, ask, reply);
        }
        (Operation::Lookup, _) => return lookup::lookup(table, ask, reply),
        _ => statistics::statistic(table, ask, reply),
    }
    true
}
