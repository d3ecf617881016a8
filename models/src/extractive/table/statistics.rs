//! Statistics of a column: over the whole table from its profile, over some of the rows from those that were read.

use std::collections::BTreeMap;

use crate::extractive::reply::Reply;
use crate::passage::ColumnFacts;
use crate::table_query::Function;

use super::Table;
use super::ask::Ask;
use super::columns::number_columns;
use super::lookup::selected;
use super::number;
use super::operation::Operation;
use super::translate::function;
use super::wording::{left_out, place, rows, values};

/// Groups shown.
const MAX_GROUPS: usize = 20;

/// Writes one statistic.
pub(super) fn statistic(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) {
    let Some(column) = ask.target else {
        which_column(table, ask, reply);
        return;
    };
    let facts = &table.facts.columns[column];
    let name = label(ask.operation);
    if let Some(group) = ask.group {
        return grouped(table, ask, column, group, reply);
    }
    if let Some(value) = by_profile(facts, ask.operation).filter(|_| ask.filters.is_empty()) {
        let count = table.facts.rows.saturating_sub(facts.nulls);
        return reply.say(&format!(
            "The {name} of {} is {}, over {}.",
            facts.name,
            number::write(value),
            values(count)
        ));
    }
    let mut numbers: Vec<f64> = selected(table, ask)
        .filter_map(|row| row.number(column))
        .collect();
    let place = place(table, &ask.filters);
    let Some(value) = over(function(ask.operation), &mut numbers) else {
        reply.not_answered();
        return reply.say(&format!(
            "No row{place} has a number in {}{}.",
            facts.name,
            left_out(table)
        ));
    };
    let (value, count) = (number::write(value), values(numbers.len() as u64));
    reply.say(&format!(
        "The {name} of {}{place} is {value}, over {count}{}.",
        facts.name,
        left_out(table)
    ));
}

/// Writes the smallest and the largest value of a column.
pub(super) fn range(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> bool {
    let Some(column) = ask.target else {
        return which_column(table, ask, reply);
    };
    let facts = &table.facts.columns[column];
    let mut numbers: Vec<f64> = selected(table, ask)
        .filter_map(|row| row.number(column))
        .collect();
    let ends = match (&facts.min, &facts.max) {
        (Some(min), Some(max)) if ask.filters.is_empty() => Some((min.clone(), max.clone())),
        _ => over(Function::Min, &mut numbers)
            .zip(over(Function::Max, &mut numbers))
            .map(|(min, max)| (number::write(min), number::write(max))),
    };
    let Some((min, max)) = ends else { return false };
    let limits = if ask.filters.is_empty() {
        String::new()
    } else {
        place(table, &ask.filters) + &left_out(table)
    };
    reply.say(&format!(
        "The values of {}{limits} range from {min} to {max}.",
        facts.name
    ));
    true
}

/// Says that the prompt does not name a column that this can be computed of.
pub(super) fn which_column(table: &Table<'_>, ask: &Ask, reply: &mut Reply<'_>) -> bool {
    let names: Vec<&str> = number_columns(table.facts)
        .into_iter()
        .map(|at| table.facts.columns[at].name.as_str())
        .collect();
    reply.not_answered();
    if names.is_empty() {
        reply.say("The table has no column of numbers to compute this from.");
        return true;
    }
    let why = ask.unknown.as_ref().map_or_else(
        || "The prompt does not say which column is meant.".to_owned(),
        |word| format!("The table has no column called {word:?}."),
    );
    reply.say(&format!(
        "{why} Columns of numbers are: {}.",
        names.join(", ")
    ));
    true
}

fn by_profile(facts: &ColumnFacts, operation: Operation) -> Option<f64> {
    match operation {
        Operation::Mean => facts.mean,
        Operation::Sum => facts.sum,
        Operation::StandardDeviation => facts.stddev,
        _ => None,
    }
}

pub(super) fn label(operation: Operation) -> &'static str {
    match operation {
        Operation::Mean => "average",
        Operation::Median => "median",
        Operation::Sum => "sum",
        Operation::StandardDeviation => "standard deviation",
        Operation::Largest => "largest value",
        _ => "smallest value",
    }
}

fn grouped(table: &Table<'_>, ask: &Ask, column: usize, group: usize, reply: &mut Reply<'_>) {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in selected(table, ask) {
        if let Some(value) = row.number(column) {
            groups.entry(row.cell(group)).or_default().push(value);
        }
    }
    let mut lines: Vec<(&str, f64, usize)> = groups
        .into_iter()
        .filter_map(|(key, mut numbers)| {
            let value = over(function(ask.operation), &mut numbers)?;
            Some((key, value, numbers.len()))
        })
        .collect();
    lines.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let columns = &table.facts.columns;
    let name = label(ask.operation);
    reply.say(&format!(
        "The {name} of {} by {}{}:",
        columns[column].name,
        columns[group].name,
        left_out(table)
    ));
    for (key, value, count) in lines.iter().take(MAX_GROUPS) {
        let key = if key.is_empty() { "(empty)" } else { key };
        reply.say(&format!(
            "\n- {key}: {} ({})",
            number::write(*value),
            rows(*count as u64)
        ));
    }
    if lines.len() > MAX_GROUPS {
        reply.say(&format!("\n- and {} more groups", lines.len() - MAX_GROUPS));
    }
}

/// A function of some numbers; none when there are none, or when it is no function of numbers.
pub(super) fn over(function: Function, values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    match function {
        Function::Mean => Some(mean),
        Function::Sum => Some(values.iter().sum()),
        // Of a sample, as in the profile of the whole table.
        Function::Stddev if values.len() > 1 => {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            Some((squares / (count - 1.0)).sqrt())
        }
        Function::Median => Some(median(values)),
        Function::Max => values.iter().copied().reduce(f64::max),
        Function::Min => values.iter().copied().reduce(f64::min),
        Function::Stddev | Function::Count | Function::Distinct => None,
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_small_set() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(over(Function::Mean, &mut values), Some(2.5));
        assert_eq!(over(Function::Sum, &mut values), Some(10.0));
        assert_eq!(over(Function::Median, &mut values), Some(2.5));
        assert_eq!(over(Function::Median, &mut values[..3]), Some(2.0));
        assert_eq!(over(Function::Max, &mut values), Some(4.0));
        assert_eq!(over(Function::Mean, &mut []), None);
        assert_eq!(
            over(Function::Stddev, &mut [2.0, 4.0]),
            Some(2.0_f64.sqrt())
        );
    }
}
