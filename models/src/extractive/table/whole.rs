//! Prompts about a table of which only some rows were read, computed over all of them.
//!
//! The prompt becomes a query (`translate`), whoever holds the file runs it, and its result is put into words here. A query that comes
//! to nothing is no failure of the answer: the rows that were read still say something, and a note says why it is only they.

use crate::error::ModelError;
use crate::extractive::reply::Reply;
use crate::passage::{Passage, passage_from_row};
use crate::table_query::{
    AnswerRow, Compute, Condition, Function, Order, OrderBy, TableAnswer, TableQuery,
};

use super::Table;
use super::ask::{Ask, DEFAULT_ROWS};
use super::grouped::{MAX_GROUPS, frequencies, grouped};
use super::number;
use super::operation::Operation;
use super::statistics::{label, which_column};
use super::translate::{conditions, function};
use super::wording::{conditions as in_words, over_all, place, rows, rows_that_have, values};

/// Rows quoted beside a count.
const MAX_ROWS: u32 = 10;

/// Answers what takes all rows; `None` when the profile or the rows that were read do as well.
pub(super) fn answer(
    table: &Table<'_>,
    ask: &Ask,
    reply: &mut Reply<'_>,
) -> Result<Option<()>, ModelError> {
    if table.is_complete() || table.whole.is_none() {
        return Ok(None);
    }
    let filtered = !ask.filters.is_empty();
    let done = match (ask.operation, ask.target) {
        (Operation::RowCount, _) if ask.group.is_some() && filtered => {
            top_values(table, ask, ask.group, reply)
        }
        (Operation::RowCount, _) if filtered && ask.group.is_none() => counted(table, ask, reply),
        (Operation::RowCount | Operation::TopValues, target) => {
            let column = ask.group.or(target);
            let known = column.is_some_and(|column| !table.facts.columns[column].top.is_empty());
            if known && !filtered {
                return Ok(None);
            }
            top_values(table, ask, column, reply)
        }
        (Operation::Distinct, Some(column)) => distinct(table, ask, column, reply),
        (Operation::Missing, Some(column)) => missing(table, column, reply),
        (Operation::Largest | Operation::Smallest, Some(column)) => {
            extreme(table, ask, column, reply)
        }
        (Operation::Range, Some(column)) if filtered => range(table, ask, column, reply),
        (Operation::Lookup, _) if filtered => lookup(table, ask, reply),
        (operation, Some(column)) if operation.needs_numbers() => match ask.group {
            Some(group) => grouped(table, ask, column, group, reply),
            None if filtered || operation == Operation::Median => {
                statistic(table, ask, column, reply)
            }
            None => return Ok(None),
        },
        (operation, None) if operation.needs_numbers() => {
            which_column(table, ask, reply);
            Ok(())
        }
        _ => return Ok(None),
    };
    match done {
        Ok(()) => {
            reply.read_all();
            Ok(Some(()))
        }
        Err(error @ ModelError::Table(_)) if reply.is_empty() => {
            reply.note(format!("{error}; only the rows that were read could be"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn of_rows(table: &Table<'_>, ask: &Ask) -> TableQuery {
    TableQuery {
        conditions: conditions(table, &ask.filters),
        limit: MAX_ROWS,
        ..TableQuery::default()
    }
}

fn counted(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> Result<(), ModelError> {
    let found = table.run(&of_rows(table, ask))?;
    let count = rows_that_have(found.rows_matched, &table.facts.rows.to_string());
    reply.say(&format!(
        "{count} {}{}.",
        in_words(table, &ask.filters),
        over_all(table)
    ));
    quote_rows(table, &found, reply);
    Ok(())
}

fn lookup(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> Result<(), ModelError> {
    let found = table.run(&of_rows(table, ask))?;
    let all = over_all(table);
    if found.rows_matched == 0 {
        reply.not_answered();
        reply.say(&format!(
            "No row has {}{all}.",
            in_words(table, &ask.filters)
        ));
        return Ok(());
    }
    if let [row] = found.rows.as_slice() {
        quote(table, row, reply);
        return Ok(());
    }
    reply.say(&format!(
        "{} {}{all}:",
        rows_that_have(found.rows_matched, &table.facts.rows.to_string()),
        in_words(table, &ask.filters)
    ));
    quote_rows(table, &found, reply);
    Ok(())
}

fn missing(table: &Table<'_>, column: usize, reply: &mut Reply<'_>) -> Result<(), ModelError> {
    let found = table.run(&TableQuery {
        conditions: vec![Condition::Empty { column }],
        limit: MAX_ROWS,
        ..TableQuery::default()
    })?;
    let name = &table.facts.columns[column].name;
    let cells = match found.rows_matched {
        0 => "no empty cells".to_owned(),
        1 => "1 empty cell".to_owned(),
        count => format!("{count} empty cells"),
    };
    reply.say(&format!(
        "The column {name} has {cells}{}.",
        over_all(table)
    ));
    quote_rows(table, &found, reply);
    Ok(())
}

fn extreme(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let largest = ask.operation == Operation::Largest;
    let mut query = of_rows(table, ask);
    query.conditions.push(Condition::Filled { column });
    query.limit = ask.limit.max(DEFAULT_ROWS) as u32;
    query.order = Some(Order {
        by: OrderBy::Column(column),
        descending: largest,
    });
    let found = table.run(&query)?;
    let facts = &table.facts.columns[column];
    let word = if largest { "largest" } else { "smallest" };
    let (place, all) = (place(table, &ask.filters), over_all(table));
    let Some(first) = found.rows.first() else {
        reply.not_answered();
        reply.say(&format!(
            "No row{place} has a value in {}{all}.",
            facts.name
        ));
        return Ok(());
    };
    let value = first.cells[column].text().trim();
    let has_value = |row: &&AnswerRow| row.cells[column].text().trim() == value;
    let ties = found.rows.iter().take_while(has_value).count();
    let shown = ask.limit.max(ties).min(found.rows.len());
    reply.say(&if ask.limit > 1 {
        format!("The {shown} {word} values of {}{place}{all}:", facts.name)
    } else {
        format!("The {word} value of {}{place} is {value}{all}:", facts.name)
    });
    for row in &found.rows[..shown] {
        reply.say("\n- ");
        quote(table, row, reply);
    }
    Ok(())
}

fn range(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let ends = [Function::Min, Function::Max].map(|function| Compute {
        function,
        column: Some(column),
    });
    let found = table.run(&TableQuery {
        conditions: conditions(table, &ask.filters),
        compute: ends.to_vec(),
        limit: 1,
        ..TableQuery::default()
    })?;
    let shown = |at: usize| {
        let cell = found.rows.first()?.cells.get(at)?;
        let text = cell.number().map_or(cell.text().to_owned(), number::write);
        (!text.is_empty()).then_some(text)
    };
    let name = &table.facts.columns[column].name;
    let (place, all) = (place(table, &ask.filters), over_all(table));
    if let (Some(min), Some(max)) = (shown(0), shown(1)) {
        reply.say(&format!(
            "The values of {name}{place} range from {min} to {max}{all}."
        ));
    } else {
        reply.not_answered();
        reply.say(&format!("No row{place} has a value in {name}{all}."));
    }
    Ok(())
}

fn statistic(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let compute = [function(ask.operation), Function::Count].map(|function| Compute {
        function,
        column: Some(column),
    });
    let found = table.run(&TableQuery {
        conditions: conditions(table, &ask.filters),
        compute: compute.to_vec(),
        limit: 1,
        ..TableQuery::default()
    })?;
    let cells = found.rows.first().map(|row| row.cells.as_slice());
    let number = |at: usize| cells.and_then(|cells| cells.get(at)?.number());
    let name = &table.facts.columns[column].name;
    let (place, all) = (place(table, &ask.filters), over_all(table));
    if let Some(value) = number(0) {
        reply.say(&format!(
            "The {} of {name}{place} is {}, over {}{all}.",
            label(ask.operation),
            number::write(value),
            values(number(1).unwrap_or_default() as u64)
        ));
    } else {
        reply.not_answered();
        reply.say(&format!("No row{place} has a number in {name}{all}."));
    }
    Ok(())
}

fn distinct(
    table: &Table<'_>,
    ask: &Ask,
    column: usize,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    if let Some(group) = ask.group.filter(|group| *group != column) {
        return grouped(table, ask, column, group, reply);
    }
    let found = table.run(&TableQuery {
        conditions: conditions(table, &ask.filters),
        compute: vec![Compute {
            function: Function::Distinct,
            column: Some(column),
        }],
        limit: 1,
        ..TableQuery::default()
    })?;
    let count = found
        .rows
        .first()
        .and_then(|row| row.cells.first()?.number())
        .unwrap_or_default() as u64;
    let noun = if count == 1 {
        "value"
    } else {
        "different values"
    };
    reply.say(&format!(
        "The column {} has {count} {noun}{}{}",
        table.facts.columns[column].name,
        place(table, &ask.filters),
        over_all(table)
    ));
    if count == 0 || count > u64::from(MAX_ROWS) {
        reply.say(".");
        return Ok(());
    }
    let named = frequencies(table, ask, column, MAX_ROWS)?;
    let named: Vec<&str> = named.rows.iter().map(|row| row.cells[0].text()).collect();
    reply.say(&format!(": {}.", named.join(", ")));
    Ok(())
}

fn top_values(
    table: &Table<'_>,
    ask: &Ask,
    column: Option<usize>,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let Some(column) = column else {
        return Err(ModelError::Table("no column is named".to_owned()));
    };
    let found = frequencies(table, ask, column, MAX_GROUPS)?;
    let (name, place, all) = (
        &table.facts.columns[column].name,
        place(table, &ask.filters),
        over_all(table),
    );
    if found.rows.is_empty() {
        reply.not_answered();
        reply.say(&format!("No row{place} has a value in {name}{all}."));
        return Ok(());
    }
    reply.say(&format!("The most frequent values of {name}{place}{all}:"));
    for row in &found.rows {
        let count = row.cells[1].number().unwrap_or_default() as u64;
        reply.say(&format!("\n- {}: {}", row.cells[0].text(), rows(count)));
    }
    if found.rows_left_out > 0 {
        reply.say(&format!("\n- and {} more values", found.rows_left_out));
    }
    Ok(())
}

/// Quotes rows as list items and counts the rest.
fn quote_rows(table: &Table<'_>, found: &TableAnswer, reply: &mut Reply<'_>) {
    for row in &found.rows {
        reply.say("\n- ");
        quote(table, row, reply);
    }
    let more = found.rows_matched.saturating_sub(found.rows.len() as u64);
    if more > 0 && !found.rows.is_empty() {
        reply.say(&format!("\n- and {more} more"));
    }
}

fn quote(table: &Table<'_>, row: &AnswerRow, reply: &mut Reply<'_>) {
    let passage = passage(table, row);
    reply.quote(&passage, 0..passage.text.len(), &passage.text, 1.0);
}

/// The row as the passage that it would be, had it been among those that were read.
fn passage(table: &Table<'_>, row: &AnswerRow) -> Passage {
    let columns = table.facts.columns.iter();
    let names: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let cells: Vec<String> = row
        .cells
        .iter()
        .map(|cell| cell.text().to_owned())
        .collect();
    passage_from_row(row.number.unwrap_or_default(), &names, &cells)
}
