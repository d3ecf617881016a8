//! The summary of a table: its size, its columns and what they hold.

use crate::extractive::reply::Reply;
use crate::passage::ColumnFacts;

use super::Table;
use super::number;
use super::wording::{columns, rows};

/// Columns described; the rest is counted.
const MAX_COLUMNS: usize = 30;
/// Frequent values named for a text column.
const TOP_VALUES: usize = 3;
/// Rows shown as an example.
const EXAMPLES: usize = 1;
/// Values are cut to this length in a description.
const MAX_VALUE_CHARS: usize = 40;

/// Says what the table is.
pub(super) fn describe(table: &Table<'_>, reply: &mut Reply<'_>) {
    let facts = table.facts;
    reply.say(&format!(
        "{} is a table with {} and {}.",
        title(&facts.name),
        rows(facts.rows),
        columns(facts.columns.len())
    ));
    for (index, column) in facts.columns.iter().take(MAX_COLUMNS).enumerate() {
        let lead = if index == 0 { "\n\n" } else { "\n" };
        reply.say(&format!("{lead}- {}", describe_column(column, facts.rows)));
    }
    if facts.columns.len() > MAX_COLUMNS {
        reply.say(&format!(
            "\n- and {} more columns",
            facts.columns.len() - MAX_COLUMNS
        ));
    }
    for row in table.rows.iter().take(EXAMPLES) {
        reply.say("\n\nFor example: ");
        let passage = &table.rows.passages[row.passage];
        reply.quote(passage, 0..passage.text.len(), &passage.text, 1.0);
    }
}

fn title(name: &str) -> String {
    if name.is_empty() {
        "The document".to_owned()
    } else {
        format!("“{name}”")
    }
}

fn describe_column(column: &ColumnFacts, total: u64) -> String {
    let mut parts = Vec::new();
    match (column.kind.as_str(), &column.min, &column.max) {
        ("empty", ..) => parts.push("no values".to_owned()),
        ("integer" | "float" | "date", Some(min), Some(max)) => {
            parts.push(format!("from {} to {}", short(min), short(max)));
        }
        _ => parts.extend(values(column, total)),
    }
    if let Some(mean) = column.mean {
        parts.push(format!("average {}", number::write(mean)));
    }
    if column.nulls > 0 && column.kind != "empty" {
        parts.push(format!("{} empty", column.nulls));
    }
    format!("{} ({}): {}", column.name, column.kind, parts.join(", "))
}

fn values(column: &ColumnFacts, total: u64) -> Vec<String> {
    let filled = total.saturating_sub(column.nulls);
    if column.distinct > 0 && column.distinct == filled {
        return vec![if column.distinct == 1 {
            "1 value".to_owned()
        } else {
            format!("{} values, all different", column.distinct)
        }];
    }
    let top: Vec<String> = column
        .top
        .iter()
        .take(TOP_VALUES)
        .map(|(value, count)| format!("{} ({count})", short(value)))
        .collect();
    let mut out = vec![format!("{} different values", column.distinct)];
    if !top.is_empty() {
        out.push(format!("most often {}", top.join(", ")));
    }
    out
}

fn short(value: &str) -> String {
    if value.chars().count() <= MAX_VALUE_CHARS {
        return value.to_owned();
    }
    value.chars().take(MAX_VALUE_CHARS).chain(['…']).collect()
}
