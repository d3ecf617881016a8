//! Prompts about a table: counts, statistics of columns, rows by their values, rows with the largest or smallest value.
//!
//! A prompt is read against the names of the columns and the values of the rows (`ask`), then computed by
//! operation. Statistics come from the profile of the whole table; what needs rows is computed from the
//! rows that were read when they are all there are, else by a query over every row of the file (`whole`). Where nobody can
//! run one, the rows that were read answer and the answer says so. Numbers are never taken from text.

mod ask;
mod columns;
mod comparisons;
mod counts;
mod dates;
mod describe;
mod extreme;
mod filters;
mod grouped;
mod lookup;
mod memory;
mod number;
mod operation;
mod probe;
mod rows;
mod statistics;
#[cfg(test)]
mod tests;
mod translate;
mod values;
mod whole;
mod wording;

use crate::error::ModelError;
use crate::passage::{Passage, TableFacts};
use crate::table_query::{QueryTable, TableAnswer, TableQuery};

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
    /// Computes over all rows.
    whole: Option<&'a dyn QueryTable>,
    /// Values of columns that the prompt names and that stand in rows that were not read.
    found: Vec<(usize, String)>,
}

impl Table<'_> {
    /// Whether every row of the table was read.
    fn is_complete(&self) -> bool {
        self.rows.len() as u64 >= self.facts.rows
    }

    /// Runs a query over all rows.
    fn run(&self, query: &TableQuery) -> Result<TableAnswer, ModelError> {
        match self.whole {
            Some(whole) if !self.is_complete() => whole.query(query),
            _ => Ok(memory::compute(self, query)),
        }
    }

    /// Whether rows were left out that somebody can look at.
    fn can_look_further(&self) -> bool {
        self.whole.is_some() && !self.is_complete()
    }
}

/// A table as an engine is asked about it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) facts: &'a TableFacts,
    pub(super) passages: &'a [Passage],
    pub(super) query: Option<&'a dyn QueryTable>,
}

/// Answers a prompt about a table. False when it is none that can be computed, so that the rows should be searched.
pub(super) fn answer(
    subject: Subject<'_>,
    prompt: &Prompt,
    intent: &Intent,
    reply: &mut Reply<'_>,
) -> Result<bool, ModelError> {
    let mut table = Table {
        facts: subject.facts,
        rows: Rows::read(subject.facts, subject.passages),
        whole: subject.query,
        found: Vec::new(),
    };
    let mut ask = Ask::read(&table, prompt);
    let general = matches!(intent, Intent::Summary(_) | Intent::Keywords { .. });
    if general && !ask.is_specific() {
        describe::describe(&table, reply);
        return Ok(true);
    }
    if table.can_look_further() && looked_further(&mut table, prompt, &ask, reply)? {
        ask = Ask::read(&table, prompt);
    }
    if let (Some(rank), Some(column)) = (ask.rank, ask.target) {
        let done = grouped::ranked(&table, &ask, column, rank, reply);
        if table.can_look_further() && done.is_ok() {
            reply.read_all();
        }
        return done.map(|()| true);
    }
    if whole::answer(&table, &ask, reply)?.is_some() {
        return Ok(true);
    }
    let handled = compute(&table, &ask, reply);
    if (!handled || ask.needs_rows()) && !table.is_complete() {
        reply.note(format!(
            "only the first {} of {} rows were searched",
            table.rows.len(),
            table.facts.rows
        ));
    }
    Ok(handled)
}

/// Whether words of the prompt are values of rows that were not read.
fn looked_further(
    table: &mut Table<'_>,
    prompt: &Prompt,
    ask: &Ask,
    reply: &mut Reply<'_>,
) -> Result<bool, ModelError> {
    match probe::learn(table, prompt, ask) {
        Err(error @ ModelError::Table(_)) => {
            reply.note(error.to_string());
            table.whole = None;
            Ok(false)
        }
        found => found,
    }
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
