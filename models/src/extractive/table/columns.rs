//! Finds the columns that a prompt names.
//!
//! Headers are written for machines (`total_sales`, `unitPrice`, `Area (km2)`), prompts for people; both are cut
//! into stems and compared. A column counts as named when all its words stand in the prompt, or one word that no
//! other column has.

use rust_stemmers::{Algorithm, Stemmer};

use crate::extractive::fold::fold;
use crate::extractive::prompt::Prompt;
use crate::extractive::stopwords;
use crate::extractive::wordlist::holds;
use crate::passage::{ColumnFacts, TableFacts};

/// Shorter words of a header (`id`, `no`) name it only when they are all of it.
const MIN_PART_CHARS: usize = 3;

/// A column and where the prompt names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mention {
    pub(super) column: usize,
    /// Index of the first word of the mention in the prompt.
    pub(super) word: usize,
    /// Number of words it takes.
    pub(super) words: usize,
}

impl Mention {
    pub(super) fn covers(&self, word: usize) -> bool {
        (self.word..self.word + self.words).contains(&word)
    }
}

/// Columns the prompt names, in its order. A word names one column only: the one with the most words.
pub(super) fn mentions(facts: &TableFacts, prompt: &Prompt) -> Vec<Mention> {
    let stemmer = Stemmer::create(Algorithm::English);
    let stem = |word: &str| stemmer.stem(word).into_owned();
    let said: Vec<String> = prompt.words().iter().map(|word| stem(word)).collect();
    let names: Vec<Vec<String>> = facts
        .columns
        .iter()
        .map(|column| name_words(&column.name).iter().map(|w| stem(w)).collect())
        .collect();
    let mut found: Vec<Mention> = Vec::new();
    for (column, name) in names.iter().enumerate() {
        found.extend(whole(column, name, &said).or_else(|| part(column, name, &names, &said)));
    }
    found.sort_by_key(|mention| (std::cmp::Reverse(mention.words), mention.column));
    let mut out: Vec<Mention> = Vec::new();
    for mention in found {
        let taken = out.iter().any(|other| {
            (mention.word..mention.word + mention.words).any(|word| other.covers(word))
        });
        if !taken {
            out.push(mention);
        }
    }
    out.sort_by_key(|mention| mention.word);
    out
}

/// All words of the name, side by side.
fn whole(column: usize, name: &[String], said: &[String]) -> Option<Mention> {
    if name.is_empty() {
        return None;
    }
    let word = said.windows(name.len()).position(|window| window == name)?;
    Some(Mention {
        column,
        word,
        words: name.len(),
    })
}

/// One word of the name that no other column has.
fn part(column: usize, name: &[String], names: &[Vec<String>], said: &[String]) -> Option<Mention> {
    let own = |word: &&String| {
        let common = holds(stopwords::ENGLISH, word);
        let shared = names
            .iter()
            .enumerate()
            .any(|(other, words)| other != column && words.contains(word));
        word.chars().count() >= MIN_PART_CHARS && !shared && !common
    };
    let word = name
        .iter()
        .filter(own)
        .find_map(|part| said.iter().position(|word| word == part))?;
    Some(Mention {
        column,
        word,
        words: 1,
    })
}

/// The words of a header: cut at signs, at capitals inside, and without units in brackets.
pub(super) fn name_words(name: &str) -> Vec<String> {
    let plain = name
        .split(['(', '['])
        .next()
        .filter(|plain| !plain.trim().is_empty())
        .unwrap_or(name);
    let mut spaced = String::new();
    let mut before_lower = false;
    for c in plain.chars() {
        if c.is_uppercase() && before_lower {
            spaced.push(' ');
        }
        before_lower = c.is_lowercase();
        spaced.push(if c.is_alphanumeric() { c } else { ' ' });
    }
    fold(&spaced)
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

/// Columns that hold numbers worth computing with: row numbers and other ids are left out unless there is nothing else.
pub(super) fn number_columns(facts: &TableFacts) -> Vec<usize> {
    let numbers: Vec<usize> = (0..facts.columns.len())
        .filter(|at| is_number(&facts.columns[*at]))
        .collect();
    let measures: Vec<usize> = numbers
        .iter()
        .copied()
        .filter(|at| !is_id(&facts.columns[*at]))
        .collect();
    if measures.is_empty() {
        numbers
    } else {
        measures
    }
}

pub(super) fn is_number(column: &ColumnFacts) -> bool {
    matches!(column.kind.as_str(), "integer" | "float")
}

fn is_id(column: &ColumnFacts) -> bool {
    const IDS: &str = "id nr no number index key code zip year row rank";
    name_words(&column.name).iter().any(|word| holds(IDS, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(names: &[&str]) -> TableFacts {
        let columns = names
            .iter()
            .map(|name| ColumnFacts {
                name: (*name).to_owned(),
                ..ColumnFacts::default()
            })
            .collect();
        TableFacts {
            name: "t".to_owned(),
            rows: 0,
            columns,
        }
    }

    fn named(names: &[&str], prompt: &str) -> Vec<usize> {
        mentions(&facts(names), &Prompt::new(prompt))
            .iter()
            .map(|mention| mention.column)
            .collect()
    }

    #[test]
    fn headers_are_found_as_people_say_them() {
        assert_eq!(
            named(
                &["country", "population"],
                "What is the average population of countries?"
            ),
            [1, 0]
        );
        assert_eq!(
            named(
                &["first_name", "last_name", "unitPrice"],
                "unit price by last name"
            ),
            [2, 1]
        );
        assert_eq!(named(&["Area (km2)", "Area code"], "the largest area"), [0]);
        assert_eq!(named(&["total_sales", "total_cost"], "sum of sales"), [0]);
        assert_eq!(
            named(&["total_sales", "total_cost"], "the total"),
            [] as [usize; 0]
        );
        assert_eq!(named(&["id", "no"], "how many ids"), [0]);
    }
}
