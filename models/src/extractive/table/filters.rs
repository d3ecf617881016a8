//! The rows a prompt speaks about: those with a value it names, or a number above or below a limit.

use std::collections::HashMap;

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::stopwords;
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number};
use super::comparisons::comparisons;
use super::number;
use super::rows::Row;

/// Values longer than this, in words, are text and not names.
const MAX_VALUE_WORDS: usize = 6;

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    /// One of the columns holds the folded value.
    Equals { columns: Vec<usize>, value: String },
    /// A date or text column starts with the value, as `2024` does `2024-05-01`.
    StartsWith { column: usize, value: String },
    /// The number in the column is above, or below, the limit.
    Above {
        column: usize,
        limit: f64,
        or_equal: bool,
    },
    Below {
        column: usize,
        limit: f64,
        or_equal: bool,
    },
}

impl Filter {
    pub(super) fn holds(&self, row: &Row<'_>) -> bool {
        match self {
            Self::Equals { columns, value } => columns
                .iter()
                .any(|column| value_key(row.cell(*column)) == *value),
            Self::StartsWith { column, value } => row.cell(*column).starts_with(value.as_str()),
            Self::Above {
                column,
                limit,
                or_equal,
            } => row
                .number(*column)
                .is_some_and(|n| if *or_equal { n >= *limit } else { n > *limit }),
            Self::Below {
                column,
                limit,
                or_equal,
            } => row
                .number(*column)
                .is_some_and(|n| if *or_equal { n <= *limit } else { n < *limit }),
        }
    }

    pub(super) fn columns(&self) -> &[usize] {
        match self {
            Self::Equals { columns, .. } => columns,
            Self::StartsWith { column, .. }
            | Self::Above { column, .. }
            | Self::Below { column, .. } => std::slice::from_ref(column),
        }
    }
}

/// Reads the conditions out of a prompt. `taken` are words that already mean something else.
pub(super) fn filters(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    taken: &[usize],
) -> Vec<Filter> {
    let mut used: Vec<usize> = taken.to_vec();
    let mut out = comparisons(table, prompt, mentions, &mut used);
    out.extend(named_numbers(table, prompt, mentions, &mut used));
    out.extend(values(table, prompt, mentions, &mut used));
    out.extend(years(table, prompt, &used));
    out
}

/// The words of a value between single spaces, folded: how prompt and cell are compared.
fn value_key(cell: &str) -> String {
    Prompt::new(cell).words().join(" ")
}

/// Phrases in the prompt that are values of a text column, the longest first.
fn values(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Vec<Filter> {
    let known = known_values(table);
    let words = prompt.words();
    let mut out = Vec::new();
    for size in (1..=MAX_VALUE_WORDS.min(words.len())).rev() {
        for start in 0..=words.len() - size {
            let range = start..start + size;
            if range.clone().any(|word| used.contains(&word)) {
                continue;
            }
            let phrase = words[range.clone()].join(" ");
            let header = size == 1 && mentions.iter().any(|mention| mention.covers(start));
            if let Some(columns) = known
                .get(&phrase)
                .filter(|_| !header && !is_common(&phrase))
            {
                used.extend(range);
                out.push(Filter::Equals {
                    columns: columns.clone(),
                    value: phrase,
                });
            }
        }
    }
    out
}

/// Folded values of the text columns with the columns that hold them.
fn known_values(table: &Table<'_>) -> HashMap<String, Vec<usize>> {
    let text: Vec<usize> = (0..table.facts.columns.len())
        .filter(|at| !is_number(&table.facts.columns[*at]))
        .collect();
    let mut known: HashMap<String, Vec<usize>> = HashMap::new();
    for row in table.rows.iter() {
        for &column in &text {
            let cell = row.cell(column);
            if cell.is_empty() || cell.split_whitespace().count() > MAX_VALUE_WORDS {
                continue;
            }
            let columns = known.entry(value_key(cell)).or_default();
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    known
}

fn is_common(phrase: &str) -> bool {
    let lists = [
        stopwords::ENGLISH,
        stopwords::GERMAN,
        stopwords::FRENCH,
        stopwords::SPANISH,
    ];
    phrase.is_empty() || lists.iter().any(|list| holds(list, phrase))
}

/// A number directly behind a column name: `order 4711`, `year 2019`, `id is 7`.
fn named_numbers(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Vec<Filter> {
    const BETWEEN: &str = "is of number no nr equals equal to";
    let words = prompt.words();
    let mut out = Vec::new();
    for mention in mentions
        .iter()
        .filter(|mention| is_number(&table.facts.columns[mention.column]))
    {
        let mut at = mention.word + mention.words;
        while words.get(at).is_some_and(|word| holds(BETWEEN, word)) {
            at += 1;
        }
        let value = words
            .get(at)
            .filter(|_| !used.contains(&at))
            .and_then(|word| number::parse(word));
        if let Some(value) = value {
            used.push(at);
            let column = mention.column;
            out.push(Filter::Equals {
                columns: vec![column],
                value: value_key(&number::write(value)),
            });
        }
    }
    out
}

/// A year in the prompt, when a column is about dates or years.
fn years(table: &Table<'_>, prompt: &Prompt, used: &[usize]) -> Option<Filter> {
    let is_year = |word: &str| {
        word.len() == 4
            && word
                .parse::<u32>()
                .is_ok_and(|year| (1500..2200).contains(&year))
    };
    let (_, year) = prompt
        .words()
        .iter()
        .enumerate()
        .find(|(at, word)| is_year(word) && !used.contains(at))?;
    let column = table
        .facts
        .columns
        .iter()
        .position(|column| column.kind == "date" || fold(&column.name).contains("year"))?;
    Some(Filter::StartsWith {
        column,
        value: year.clone(),
    })
}
