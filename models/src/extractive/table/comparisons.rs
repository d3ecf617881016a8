//! Conditions on numbers: `population over 1,000,000`, `older than 30`, `at least 5 rooms`.

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number, number_columns};
use super::filters::Filter;
use super::number;

/// Phrases before a limit: whether the numbers are above it, whether the limit itself counts, the phrases.
const PHRASES: [(bool, bool, &str); 4] = [
    (true, true, "at least|mindestens|au moins|al menos"),
    (
        true,
        false,
        "more than|greater than|larger than|higher than|older than|bigger than|longer than|over|above|exceeding|\
         after|mehr als|uber|plus de|mas de",
    ),
    (false, true, "at most|up to|hochstens|au plus|como maximo"),
    (
        false,
        false,
        "less than|fewer than|lower than|smaller than|younger than|shorter than|under|below|before|\
         weniger als|unter|moins de|menos de",
    ),
];

/// Reads the comparisons of a prompt; the words they take are added to `used`.
pub(super) fn comparisons(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Vec<Filter> {
    let mut out = Vec::new();
    for (above, or_equal, phrases) in PHRASES {
        for phrase in phrases.split('|') {
            let Some(at) = prompt.find(phrase) else {
                continue;
            };
            let words = phrase.split(' ').count();
            let Some(limit) = limit(prompt, at + words) else {
                continue;
            };
            let Some(column) = compared_column(table, prompt, mentions, at) else {
                continue;
            };
            used.extend(at..at + words + 2);
            out.push(if above {
                Filter::Above {
                    column,
                    limit,
                    or_equal,
                }
            } else {
                Filter::Below {
                    column,
                    limit,
                    or_equal,
                }
            });
        }
    }
    out
}

/// The number at a word, scaled by `thousand` or `million` behind it.
fn limit(prompt: &Prompt, at: usize) -> Option<f64> {
    let value = number::parse(prompt.words().get(at)?)?;
    let factor = match prompt.words().get(at + 1).map(String::as_str) {
        Some("thousand" | "tausend" | "mille" | "mil") => 1e3,
        Some("million" | "millions" | "millionen" | "millones") => 1e6,
        Some("billion" | "billions") => 1e9,
        _ => 1.0,
    };
    Some(value * factor)
}

/// The number column nearest to the comparison, the one its adjective speaks of, or the only one there is.
fn compared_column(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    at: usize,
) -> Option<usize> {
    let facts = table.facts;
    let numeric = mentions
        .iter()
        .filter(|mention| is_number(&facts.columns[mention.column]));
    if let Some(near) = numeric.min_by_key(|mention| mention.word.abs_diff(at)) {
        return Some(near.column);
    }
    let adjective = prompt.words()[at].as_str();
    let hints = match adjective {
        "older" | "younger" => "age",
        "longer" | "shorter" => "length duration height",
        "after" | "before" => "year",
        _ => "",
    };
    let is_hinted = |name: &str| {
        fold(name)
            .split(|c: char| !c.is_alphanumeric())
            .any(|word| holds(hints, word))
    };
    let hinted = facts
        .columns
        .iter()
        .position(|column| is_hinted(&column.name));
    let numbers = number_columns(facts);
    hinted.or_else(|| (numbers.len() == 1).then(|| numbers[0]))
}
