//! The rows a prompt speaks about: those with a value it names, or a number above or below a limit.

use std::collections::HashMap;

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::stopwords;
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number};
use super::comparisons::{Comparison, comparisons};
use super::dates::Span;
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
    /// A date lies within the span, or a year is that year.
    Within { column: usize, span: Span },
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
            Self::Within { column, span } => row.cell(*column).starts_with(&span.shown()),
            Self::Empty { column } => row.cell(*column).is_empty(),
            Self::Compared(comparison) => comparison.holds(row),
            Self::Number(number) => row.number == *number,
        }
    }

    /// The columns the condition looks at.
    pub(super) fn columns(&self) -> &[usize] {
        match self {
            Self::Equals { columns, .. } => columns,
            Self::Within { column, .. } | Self::Empty { column } => std::slice::from_ref(column),
            Self::Compared(comparison) => std::slice::from_ref(&comparison.column),
            Self::Number(_) => &[],
        }
    }
}

/// Equal as words, or as numbers that are written differently.
pub(super) fn is_same(cell: &str, value: &str) -> bool {
    value_key(cell) == value || number::parse(cell).is_some_and(|n| number::parse(value) == Some(n))
}

/// Reads the conditions out of a prompt. `taken` are words that already mean something else; those of the conditions are given
/// back with them.
pub(super) fn filters(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    taken: &[usize],
) -> (Vec<Filter>, Vec<usize>) {
    let mut used: Vec<usize> = taken.to_vec();
    let mut out: Vec<Filter> = row_number(prompt, &mut used).into_iter().collect();
    let compared = comparisons(table, prompt, mentions, &mut used);
    out.extend(compared.into_iter().map(Filter::Compared));
    out.extend(without(prompt, mentions));
    out.extend(named_numbers(table, prompt, mentions, &mut used));
    out.extend(values(table, prompt, mentions, &mut used));
    out.extend(stated(table, prompt, mentions, &mut used));
    out.extend(dates(table, prompt, mentions, &mut used));
    (out, used)
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
fn known_values<'a>(table: &'a Table<'_>) -> HashMap<String, Value<'a>> {
    let columns = 0..table.facts.columns.len();
    let text: Vec<usize> = columns
        .filter(|at| !is_number(&table.facts.columns[*at]))
        .collect();
    let mut known: HashMap<String, Value<'_>> = HashMap::new();
    let mut learn = |column: usize, shown: &'a str| {
        if shown.is_empty() || shown.split_whitespace().count() > MAX_VALUE_WORDS {
            return;
        }
        let value = known.entry(value_key(shown)).or_insert_with(|| Value {
            shown,
            columns: Vec::new(),
        });
        if !value.columns.contains(&column) {
            value.columns.push(column);
        }
    };
    for row in table.rows.iter() {
        for &column in &text {
            learn(column, row.cell(column));
        }
    }
    for &column in &text {
        let top = table.facts.columns[column].top.iter();
        top.for_each(|(value, _)| learn(column, value));
    }
    for (column, value) in &table.found {
        learn(*column, value);
    }
    known
}

pub(super) fn is_common(phrase: &str) -> bool {
    let lists = [
        stopwords::ENGLISH,
        stopwords::GERMAN,
        stopwords::FRENCH,
        stopwords::SPANISH,
    ];
    phrase.is_empty() || lists.iter().any(|list| holds(list, phrase))
}

/// `country is Atlantis`: a value that the prompt states for a column of text, though no row that was read has it.
fn stated(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Option<Filter> {
    const STATES: &str = "is equals named called ist heisst est es";
    let words = prompt.words();
    let of_text = |mention: &&Mention| table.facts.columns[mention.column].kind == "text";
    mentions.iter().filter(of_text).find_map(|mention| {
        let verb = mention.word + mention.words;
        let value = verb + 1;
        let word = words.get(value).filter(|word| !is_common(word))?;
        let is_mention = mentions.iter().any(|mention| mention.covers(value));
        if !holds(STATES, words.get(verb)?) || used.contains(&value) || is_mention {
            return None;
        }
        used.push(value);
        Some(Filter::Equals {
            columns: vec![mention.column],
            value: word.clone(),
            shown: word.clone(),
        })
    })
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

/// A date in the prompt, when a column is about dates, or a year, when one is about years.
fn dates(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    used: &mut Vec<usize>,
) -> Option<Filter> {
    let columns = &table.facts.columns;
    let is_date = |column: &usize| columns[*column].kind == "date";
    let free = |at: usize, words: usize| (at..at + words).all(|word| !used.contains(&word));
    let spans = (0..prompt.words().len()).filter_map(|at| {
        let (span, words) = Span::at(prompt, at)?;
        free(at, words).then_some((span, at, words))
    });
    let (span, at, words) = spans.max_by_key(|(span, ..)| span.shown().len())?;
    let named = mentions.iter().map(|mention| mention.column).find(is_date);
    let by_date = named.or_else(|| (0..columns.len()).find(is_date));
    let by_year = || {
        let column = columns
            .iter()
            .position(|column| fold(&column.name).contains("year"))?;
        span.is_year().then_some(column)
    };
    let column = by_date.or_else(by_year)?;
    used.extend(at..at + words);
    Some(Filter::Within { column, span })
}
