//! Rows by the values that a prompt names.

use crate::extractive::reply::Reply;

use super::Table;
use super::ask::{Ask, DEFAULT_ROWS};
use super::filters::Filter;
use super::rows::Row;
use super::wording::{conditions, left_out, rows};

/// Rows with the values that the prompt names, and of them the columns it asks for.
pub(super) fn lookup(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> bool {
    if ask.filters.is_empty() {
        return false;
    }
    let matching: Vec<&Row<'_>> = selected(table, ask).collect();
    if matching.is_empty() {
        reply.not_answered();
        reply.say(&format!(
            "No row has {}{}.",
            conditions(table, &ask.filters),
            left_out(table)
        ));
        return true;
    }
    let filtered: Vec<usize> = ask
        .filters
        .iter()
        .flat_map(Filter::columns)
        .copied()
        .collect();
    let wanted: Vec<usize> = ask
        .mentions
        .iter()
        .map(|mention| mention.column)
        .filter(|column| !filtered.contains(column))
        .collect();
    for row in matching.iter().take(DEFAULT_ROWS) {
        let passage = &table.rows.passages[row.passage];
        let shown = if wanted.is_empty() {
            passage.text.clone()
        } else {
            cells(table, row, &filtered, &wanted)
        };
        let lead = if matching.len() == 1 {
            ""
        } else if reply.is_empty() {
            "- "
        } else {
            "\n- "
        };
        reply.say(lead);
        reply.quote(passage, 0..passage.text.len(), &shown, 1.0);
    }
    if matching.len() > DEFAULT_ROWS {
        reply.say(&format!(
            "\n\n{} match in all{}.",
            rows(matching.len() as u64),
            left_out(table)
        ));
    }
    true
}

/// The value a row was found by and the values asked for.
fn cells(table: &Table<'_>, row: &Row<'_>, found_by: &[usize], wanted: &[usize]) -> String {
    let pair = |column: &usize| {
        format!(
            "{}: {}",
            table.facts.columns[*column].name,
            row.cell(*column)
        )
    };
    let mut columns: Vec<usize> = found_by
        .iter()
        .copied()
        .filter(|column| !row.cell(*column).is_empty())
        .collect();
    columns.extend(wanted);
    columns.sort_unstable();
    columns.dedup();
    columns.iter().map(pair).collect::<Vec<_>>().join("; ")
}

/// Quotes rows as list items and counts the rest.
pub(super) fn quote_rows<'r, 'a: 'r>(
    table: &Table<'_>,
    rows: impl Iterator<Item = &'r Row<'a>>,
    total: usize,
    reply: &mut Reply<'_>,
) {
    let mut shown = 0;
    for row in rows {
        let passage = &table.rows.passages[row.passage];
        reply.say("\n- ");
        reply.quote(passage, 0..passage.text.len(), &passage.text, 1.0);
        shown += 1;
    }
    if total > shown {
        reply.say(&format!("\n- and {} more", total - shown));
    }
}

/// The rows that fit the conditions of the prompt.
pub(super) fn selected<'t, 'a>(
    table: &'t Table<'a>,
    ask: &'t Ask,
) -> impl Iterator<Item = &'t Row<'a>> {
    table
        .rows
        .iter()
        .filter(|row| ask.filters.iter().all(|filter| filter.holds(row)))
}
