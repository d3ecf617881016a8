//! The phrases that answers about tables are put together from.

use super::Table;
use super::comparisons::{Comparison, Limit};
use super::filters::Filter;
use super::number;

/// `1 row`, `12 rows`.
pub(super) fn rows(count: u64) -> String {
    if count == 1 {
        "1 row".to_owned()
    } else {
        format!("{count} rows")
    }
}

/// `1 column`, `5 columns`.
pub(super) fn columns(count: usize) -> String {
    if count == 1 {
        "1 column".to_owned()
    } else {
        format!("{count} columns")
    }
}

/// `1 value`, `9 values`.
pub(super) fn values(count: u64) -> String {
    if count == 1 {
        "1 value".to_owned()
    } else {
        format!("{count} values")
    }
}

/// The conditions as a reader would say them.
pub(super) fn conditions(table: &Table<'_>, filters: &[Filter]) -> String {
    let name = |column: &usize| table.facts.columns[*column].name.as_str();
    let all: Vec<String> = filters
        .iter()
        .map(|filter| match filter {
            Filter::Equals { columns, shown, .. } => {
                format!(
                    "{} = {shown}",
                    columns.iter().map(name).collect::<Vec<_>>().join(" or ")
                )
            }
            Filter::Within { column, span } => format!("{} in {}", name(column), span.shown()),
            Filter::Empty { column } => format!("no {}", name(column)),
            Filter::Compared(comparison) => {
                format!("{} {}", name(&comparison.column), side(comparison))
            }
            Filter::Number(number) => format!("the number {number}"),
        })
        .collect();
    all.join(" and ")
}

/// `> 100`, `≤ 1947`.
fn side(comparison: &Comparison) -> String {
    let sign = match (comparison.above, comparison.or_equal) {
        (true, true) => '≥',
        (true, false) => '>',
        (false, true) => '≤',
        (false, false) => '<',
    };
    match comparison.limit {
        Limit::Number(limit) => format!("{sign} {}", number::write(limit)),
        Limit::Date(span) => format!("{sign} {}", span.shown()),
    }
}

/// `1 row of 6 has`, `2 rows of 6 have`.
pub(super) fn rows_that_have(count: u64, of: &str) -> String {
    let verb = if count == 1 { "has" } else { "have" };
    format!("{} of {of} {verb}", rows(count))
}

/// The rows an answer rests on.
pub(super) fn scope(table: &Table<'_>) -> String {
    if table.is_complete() {
        table.facts.rows.to_string()
    } else {
        format!(
            "the first {} (the table has {})",
            rows(table.rows.len() as u64),
            table.facts.rows
        )
    }
}

/// Says that rows were left out, when they were.
pub(super) fn left_out(table: &Table<'_>) -> String {
    if table.is_complete() {
        String::new()
    } else {
        format!(
            " (among the first {} of {} rows)",
            table.rows.len(),
            table.facts.rows
        )
    }
}

/// Says that an answer rests on every row of the file, where that is more than was read beforehand.
pub(super) fn over_all(table: &Table<'_>) -> String {
    if table.can_look_further() {
        format!(", computed over all {} rows", separated(table.facts.rows))
    } else {
        left_out(table)
    }
}

/// `2,880,000`.
fn separated(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The conditions behind `where`; nothing when there are none.
pub(super) fn place(table: &Table<'_>, filters: &[Filter]) -> String {
    if filters.is_empty() {
        return String::new();
    }
    format!(" where {}", conditions(table, filters))
}
