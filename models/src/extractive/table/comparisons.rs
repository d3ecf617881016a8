//! Conditions on numbers and years: `population over 1,000,000`, `at least 5 rooms`, `founded before 1900`.

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number, name_words, number_columns};
use super::number;
use super::rows::Row;

/// Phrases before a limit: whether the values are above it, whether the limit itself counts, the phrases.
const PHRASES: [(bool, bool, &str); 6] = [
    (true, true, "at least|mindestens|au moins|al menos"),
    (
        true,
        false,
        "more than|greater than|larger than|higher than|older than|bigger than|longer than|over|above|exceeding|\
         mehr als|uber|plus de|mas de",
    ),
    (false, true, "at most|up to|hochstens|au plus|como maximo"),
    (
        false,
        false,
        "less than|fewer than|lower than|smaller than|younger than|shorter than|under|below|\
         weniger als|unter|moins de|menos de",
    ),
    (true, true, "since|seit|depuis|desde"),
    (false, true, "until|bis"),
];
/// Phrases that only speak of time.
const TIMES: [(bool, bool, &str); 2] = [
    (true, false, "after|nach|apres|despues de"),
    (false, false, "before|vor|avant|antes de"),
];

/// One side of a limit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) column: usize,
    pub(super) above: bool,
    /// Whether the limit itself counts.
    pub(super) or_equal: bool,
    pub(super) limit: Limit,
}

/// What cells are compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Limit {
    Number(f64),
    /// The first four digits of a date.
    Year(i32),
}

impl Comparison {
    pub(super) fn holds(&self, row: &Row<'_>) -> bool {
        let cell = row.cell(self.column);
        let order = match self.limit {
            Limit::Number(limit) => row
                .number(self.column)
                .and_then(|value| value.partial_cmp(&limit)),
            Limit::Year(limit) => cell
                .get(..4)
                .and_then(|year| year.parse::<i32>().ok())
                .map(|year| year.cmp(&limit)),
        };
        order.is_some_and(|order| {
            if order.is_eq() {
                self.or_equal
            } else {
                order.is_gt() == self.above
            }
        })
    }
}

/// Reads the comparisons of a prompt; the words they take are added to `used`.
pub(super) fn comparisons(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Vec<Comparison> {
    let mut out = Vec::new();
    for (above, or_equal, phrases) in PHRASES.into_iter().chain(TIMES) {
        for phrase in phrases.split('|') {
            let Some(at) = prompt.find(phrase) else {
                continue;
            };
            let behind = at + phrase.split(' ').count();
            let is_time = TIMES.iter().any(|(_, _, phrases)| phrases.contains(phrase));
            let found = year(table, prompt, mentions, behind)
                .or_else(|| measure(table, prompt, mentions, (at, behind), is_time));
            let Some((column, limit)) = found else {
                continue;
            };
            // The limit may be followed by its unit or its scale.
            used.extend(at..behind + 2);
            out.push(Comparison {
                column,
                above,
                or_equal,
                limit,
            });
        }
    }
    out
}

/// A year at a word, when the prompt names a column of dates or there is only one.
fn year(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    at: usize,
) -> Option<(usize, Limit)> {
    let columns = &table.facts.columns;
    let word = prompt.words().get(at).filter(|word| word.len() == 4)?;
    let year = word.parse().ok()?;
    let is_date = |column: &usize| columns[*column].kind == "date";
    let named = mentions.iter().map(|mention| mention.column).find(is_date);
    let numbers = mentions
        .iter()
        .any(|mention| is_number(&columns[mention.column]));
    let mut dates = (0..columns.len()).filter(is_date);
    let only = dates.next().filter(|_| dates.next().is_none() && !numbers);
    Some((named.or(only)?, Limit::Year(year)))
}

/// A number behind a comparison and the column it is compared with.
fn measure(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    (at, behind): (usize, usize),
    is_time: bool,
) -> Option<(usize, Limit)> {
    let limit = limit(prompt, behind)?;
    let column = compared_column(table, prompt, mentions, at).filter(|column| {
        // `after 3` says nothing about a column that is not about time.
        !is_time
            || mentions.iter().any(|mention| mention.column == *column)
            || is_about_time(&table.facts.columns[*column].name)
    })?;
    Some((column, Limit::Number(limit)))
}

fn is_about_time(name: &str) -> bool {
    name_words(name)
        .iter()
        .any(|word| holds("year jahr annee ano time date hour", word))
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
    let hints = match prompt.words()[at].as_str() {
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
