//! Conditions on numbers and years: `population over 1,000,000`, `at least 5 rooms`, `founded before 1900`.

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number, name_words, number_columns};
use super::dates::Span;
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
    /// A date, or a month or year of dates.
    Date(Span),
}

/// The day of a cell that holds an ISO date.
fn iso_day(cell: &str) -> Option<&str> {
    let day = cell.get(..10)?;
    let is_iso = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_iso.then_some(day)
}

impl Comparison {
    pub(super) fn holds(&self, row: &Row<'_>) -> bool {
        let cell = row.cell(self.column);
        let order = match self.limit {
            Limit::Number(limit) => row
                .number(self.column)
                .and_then(|value| value.partial_cmp(&limit)),
            Limit::Date(span) => iso_day(cell).map(|day| span.compare(day)),
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
    let mut out = between(table, prompt, mentions, used);
    for (above, or_equal, phrases) in PHRASES.into_iter().chain(TIMES) {
        for phrase in phrases.split('|') {
            let Some(at) = prompt.find(phrase) else {
                continue;
            };
            let behind = at + phrase.split(' ').count();
            let is_time = TIMES.iter().any(|(_, _, phrases)| phrases.contains(phrase));
            let found = moment(table, prompt, mentions, behind)
                // The limit may be followed by its unit or its scale.
                .or_else(|| {
                    measure(table, prompt, mentions, (at, behind), is_time)
                        .map(|(column, limit)| (column, limit, 2))
                });
            let Some((column, limit, words)) = found else {
                continue;
            };
            used.extend(at..behind + words);
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

/// `between 10 and 20`, `between March 2023 and May 2024`; both ends count.
fn between(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Vec<Comparison> {
    const PHRASES: [(&str, &str); 4] = [
        ("between", "and"),
        ("zwischen", "und"),
        ("entre", "et"),
        ("entre", "y"),
    ];
    let words = prompt.words();
    for (open, join) in PHRASES {
        let Some(at) = prompt.find(open) else {
            continue;
        };
        let Some(middle) = (at + 2..words.len()).find(|word| words[*word] == join) else {
            continue;
        };
        let side = |word: usize| {
            moment(table, prompt, mentions, word).or_else(|| {
                let limit = limit(prompt, word)?;
                let column = compared_column(table, prompt, mentions, at)?;
                Some((column, Limit::Number(limit), 2))
            })
        };
        let (Some(low), Some(high)) = (side(at + 1), side(middle + 1)) else {
            continue;
        };
        used.extend(at..middle + 1 + high.2);
        return [(low, true), (high, false)]
            .map(|((column, limit, _), above)| Comparison {
                column,
                above,
                or_equal: true,
                limit,
            })
            .to_vec();
    }
    Vec::new()
}

/// A date at a word, when the prompt names a column of dates or there is only one; and how many words it takes.
fn moment(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    at: usize,
) -> Option<(usize, Limit, usize)> {
    let (span, words) = Span::at(prompt, at)?;
    let columns = &table.facts.columns;
    let is_date = |column: &usize| columns[*column].kind == "date";
    let named = mentions.iter().map(|mention| mention.column).find(is_date);
    let numbers = mentions
        .iter()
        .any(|mention| is_number(&columns[mention.column]));
    let mut dates = (0..columns.len()).filter(is_date);
    // A year alone may be a number that something else is compared with.
    let is_certain = !numbers || !span.is_year();
    let only = dates
        .next()
        .filter(|_| dates.next().is_none() && is_certain);
    Some((named.or(only)?, Limit::Date(span), words))
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
