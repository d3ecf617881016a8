//! The rows a prompt speaks about: those with a value it names, or a number above or below a limit.

use std::collections::HashMap;

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::stopwords;
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number};
use super::comparisons::{Comparison, comparisons};
use super::number;
use super::rows::Row;

/// Values longer than this, in words, are text and not names.
const MAX_VALUE_WORDS: usize = 6;

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    /// One of the columns holds the value, compared folded; `shown` is how the table writes it.
    Equals {
        columns: Vec<usize>,
        value: String,
        shown: String,
    },
    /// A date or text column starts with the value, as `2024` does `2024-05-01`.
    StartsWith { column: usize, value: String },
    /// The cell is empty.
    Empty { column: usize },
    /// The cell lies on one side of a limit.
    Compared(Comparison),
    /// The row has this number.
    Number(u64),
}

impl Filter {
    pub(super) fn holds(&self, row: &Row<'_>) -> bool {
        match self {
            Self::Equals { columns, value, .. } => columns
                .iter()
                .any(|column| is_same(row.cell(*column), value)),
            Self::StartsWith { column, value } => row.cell(*column).starts_with(value.as_str()),
            Self::Empty { column } => row.cell(*column).is_empty(),
            Self::Compared(comparison) => comparison.holds(row),
            Self::Number(number) => row.number == *number,
        }
    }

    /// The columns the condition looks at.
    pub(super) fn columns(&self) -> &[usize] {
        match self {
            Self::Equals { columns, .. } => columns,
            Self::StartsWith { column, .. } | Self::Empty { column } => {
                std::slice::from_ref(column)
            }
            Self::Compared(comparison) => std::slice::from_ref(&comparison.column),
            Self::Number(_) => &[],
        }
    }
}

/// Equal as words, or as numbers that are written differently.
fn is_same(cell: &str, value: &str) -> bool {
    value_key(cell) == value || number::parse(cell).is_some_and(|n| number::parse(value) == Some(n))
}

/// Reads the conditions out of a prompt. `taken` are words that already mean something else.
pub(super) fn filters(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    taken: &[usize],
) -> Vec<Filter> {
    let mut used: Vec<usize> = taken.to_vec();
    let mut out: Vec<Filter> = row_number(prompt, &mut used).into_iter().collect();
    let compared = comparisons(table, prompt, mentions, &mut used);
    out.extend(compared.into_iter().map(Filter::Compared));
    out.extend(without(prompt, mentions));
    out.extend(named_numbers(table, prompt, mentions, &mut used));
    out.extend(values(table, prompt, mentions, &mut used));
    out.extend(years(table, prompt, &used));
    out
}

/// `row 3`.
fn row_number(prompt: &Prompt, used: &mut Vec<usize>) -> Option<Filter> {
    const ROWS: &str = "row line record entry zeile ligne fila";
    let words = prompt.words();
    let at = words.iter().position(|word| holds(ROWS, word))?;
    let number = words.get(at + 1)?.parse().ok()?;
    used.extend([at, at + 1]);
    Some(Filter::Number(number))
}

/// `countries without a capital`, `no capital`.
fn without(prompt: &Prompt, mentions: &[Mention]) -> Option<Filter> {
    const WITHOUT: &str = "without no ohne kein keine sans sin";
    const ARTICLES: &str = "a an any the";
    let words = prompt.words();
    let is_missing = |mention: &&Mention| {
        let before = words[..mention.word]
            .iter()
            .rev()
            .find(|word| !holds(ARTICLES, word));
        before.is_some_and(|word| holds(WITHOUT, word))
    };
    mentions
        .iter()
        .find(is_missing)
        .map(|mention| Filter::Empty {
            column: mention.column,
        })
}

/// The words of a value between single spaces, folded: how prompt and cell are compared.
pub(super) fn value_key(cell: &str) -> String {
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
            if let Some(value) = known
                .get(&phrase)
                .filter(|_| !header && !is_common(&phrase))
            {
                used.extend(range);
                out.push(Filter::Equals {
                    columns: value.columns.clone(),
                    shown: value.shown.to_owned(),
                    value: phrase,
                });
            }
        }
    }
    out
}

/// A value of the table.
struct Value<'a> {
    /// As the table writes it where it stands first.
    shown: &'a str,
    columns: Vec<usize>,
}

/// Values of the text columns by their folded words.
fn known_values<'a>(table: &Table<'a>) -> HashMap<String, Value<'a>> {
    let columns = 0..table.facts.columns.len();
    let text: Vec<usize> = columns
        .filter(|at| !is_number(&table.facts.columns[*at]))
        .collect();
    let mut known: HashMap<String, Value<'_>> = HashMap::new();
    for row in table.rows.iter() {
        for &column in &text {
            let shown = row.cell(column);
            if shown.is_empty() || shown.split_whitespace().count() > MAX_VALUE_WORDS {
                continue;
            }
            let value = known.entry(value_key(shown)).or_insert_with(|| Value {
                shown,
                columns: Vec::new(),
            });
            if !value.columns.contains(&column) {
                value.columns.push(column);
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
            let shown = number::write(value);
            out.push(Filter::Equals {
                columns: vec![column],
                value: value_key(&shown),
                shown,
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
