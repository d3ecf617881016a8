//! A prompt read against one table: what to compute, of which column, over which rows.

use crate::extractive::prompt::{Prompt, number as small_number};
use crate::extractive::stopwords;
use crate::extractive::wordlist::holds;
use crate::passage::ColumnFacts;

use super::Table;
use super::columns::{Mention, is_number, mentions, name_words, number_columns};
use super::filters::{Filter, filters};
use super::operation::{Operation, operation, ranked_by, superlative};

/// Rows shown for a prompt that gives no number.
pub(super) const DEFAULT_ROWS: usize = 10;
const MAX_ROWS: usize = 50;
/// Words that open a prompt for rows.
const WHICH: &str =
    "which who whose where list show welche welches welcher wer quel quelle que cual";

/// What a prompt wants from a table.
pub(super) struct Ask {
    pub(super) operation: Operation,
    /// The column to compute with, when there is no doubt about it.
    pub(super) target: Option<usize>,
    /// Columns the prompt names, in its order.
    pub(super) mentions: Vec<Mention>,
    pub(super) filters: Vec<Filter>,
    /// The column whose values part the rows: `average salary by department`.
    pub(super) group: Option<usize>,
    /// Rows to show.
    pub(super) limit: usize,
    /// The groups at one end of an order: `which country has the highest average population`.
    pub(super) rank: Option<Rank>,
    /// Indices of the words that mean a condition, a column, an operation or a number.
    pub(super) used: Vec<usize>,
    /// Whether the prompt wants rows and not only a value: `which country has the highest population`.
    wants_row: bool,
    /// What the prompt wants measured, when no column is named so: the `rating` of `highest rating`.
    pub(super) unknown: Option<String>,
}

/// Which groups of an order are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rank {
    /// The column whose values part the rows.
    pub(super) group: usize,
    /// Those with the largest value, or with the smallest.
    pub(super) largest: bool,
    /// How many of them.
    pub(super) count: usize,
}

/// A column to compute with, and what the words about it make of the operation.
#[derive(Clone, Copy)]
struct Target {
    column: Option<usize>,
    operation: Operation,
}

impl Ask {
    pub(super) fn read(table: &Table<'_>, prompt: &Prompt) -> Self {
        let mentions = mentions(table.facts, prompt);
        let (named, at) = operation(prompt, &mentions);
        let limit = at
            .filter(|_| named.ranks())
            .and_then(|at| asked_rows(prompt, at));
        let taken: Vec<usize> = at.into_iter().chain(limit.map(|(_, word)| word)).collect();
        let (filters, used) = filters(table, prompt, &mentions, &taken);
        let group =
            group(prompt, &mentions).filter(|_| named != Operation::Lookup && !named.ranks());
        let reading = Reading {
            columns: &table.facts.columns,
            mentions: &mentions,
            group,
        };
        let counted = at
            .filter(|_| limit.is_none())
            .and_then(|at| reading.counted(&prompt.words()[at]));
        let mut target = counted.unwrap_or_else(|| reading.target(table, prompt, (named, at)));
        let mut unknown = at
            .filter(|_| reading.is_guess(target, prompt))
            .and_then(|at| unknown_measure(prompt, at, &mentions));
        let rank = reading.rank(prompt, target);
        if unknown.is_none() && rank == Ranked::OfUnknown {
            unknown = prompt.words().get(1).cloned();
        }
        if unknown.is_some() {
            target.column = None;
        }
        let names_other = mentions
            .iter()
            .any(|mention| Some(mention.column) != target.column);
        let wants_row =
            named.ranks() && (limit.is_some() || names_other || holds(WHICH, prompt.first()));
        let limit = limit.map_or(1, |(count, _)| count.min(MAX_ROWS));
        let rank = match rank {
            Ranked::Groups(rank) if target.column.is_some() => Some(rank),
            _ => None,
        };
        Self {
            rank,
            used,
            operation: target.operation,
            target: target.column,
            mentions,
            filters,
            group,
            limit,
            wants_row,
            unknown,
        }
    }

    /// Whether anything in the prompt belongs to this table, so that a summary of all of it is not what is wanted.
    pub(super) fn is_specific(&self) -> bool {
        let computes = self.operation != Operation::Lookup
            && self.target.is_some()
            && !self.mentions.is_empty();
        computes || !self.filters.is_empty()
    }

    /// Whether the answer rests on rows and not on the profile of the whole table.
    pub(super) fn needs_rows(&self) -> bool {
        let by_profile = self.filters.is_empty()
            && self.group.is_none()
            && self.rank.is_none()
            && !self.wants_row;
        !by_profile || matches!(self.operation, Operation::Lookup | Operation::Median)
    }
}

/// What a prompt wants of the order of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ranked {
    /// Nothing.
    No,
    /// Some groups.
    Groups(Rank),
    /// Groups by something that is no column.
    OfUnknown,
}

/// The columns as the prompt sees them.
struct Reading<'a> {
    columns: &'a [ColumnFacts],
    mentions: &'a [Mention],
    group: Option<usize>,
}

impl Reading<'_> {
    /// `Which continent has the most countries?` counts rows by their continent, as no column of numbers is named.
    fn counted(&self, word: &str) -> Option<Target> {
        let is_text = |mention: &Mention| !self.is_ordered(mention.column);
        let column = self.mentions.first()?.column;
        let counts = holds("most meisten", word) && self.mentions.iter().all(is_text);
        counts.then_some(Target {
            column: Some(column),
            operation: Operation::TopValues,
        })
    }

    /// `Which country has the highest average population?`: a statistic of each group and the end of its order that is asked for.
    fn rank(&self, prompt: &Prompt, target: Target) -> Ranked {
        if !target.operation.needs_numbers() {
            return Ranked::No;
        }
        let Some((at, largest)) = superlative(prompt) else {
            return Ranked::No;
        };
        let mut others = self
            .mentions
            .iter()
            .filter(|mention| Some(mention.column) != target.column)
            .map(|mention| mention.column);
        let is_group = |column: &usize| self.columns[*column].kind != "float";
        let count = asked_rows(prompt, at).map_or(1, |(count, _)| count.min(MAX_ROWS));
        match self.group.or_else(|| others.find(is_group)) {
            Some(group) => Ranked::Groups(Rank {
                group,
                largest,
                count,
            }),
            None if holds("which welche welcher welches quel quelle", prompt.first()) => {
                Ranked::OfUnknown
            }
            None => Ranked::No,
        }
    }

    /// The column an operation is about: one that is named, one that an adjective speaks of, or the only one there is.
    fn target(
        &self,
        table: &Table<'_>,
        prompt: &Prompt,
        (operation, at): (Operation, Option<usize>),
    ) -> Target {
        let plain = |column: Option<usize>| Target { column, operation };
        let others = || {
            self.mentions
                .iter()
                .filter(|mention| Some(mention.column) != self.group)
        };
        // `the order with the largest amount`: what stands behind the word is nearer to it than what stands before.
        let is_before = |mention: &&Mention| at.is_some_and(|at| mention.word < at);
        let fitting = others().filter(|mention| self.fits(mention.column, operation));
        if let Some(mention) = fitting.min_by_key(is_before) {
            return plain(Some(mention.column));
        }
        let mut others = others().map(|mention| mention.column);
        if !operation.ranks() && !operation.needs_numbers() && operation != Operation::Range {
            return plain(others.next());
        }
        let hints = prompt
            .words()
            .iter()
            .flat_map(|word| ranked_by(word).split_ascii_whitespace());
        let mut hinted = hints.filter_map(|hint| {
            let columns = 0..self.columns.len();
            let column = columns
                .into_iter()
                .find(|at| self.fits(*at, operation) && self.has_hint(*at, hint))?;
            let operation = if hint.ends_with('-') {
                operation.reversed()
            } else {
                operation
            };
            Some(Target {
                column: Some(column),
                operation,
            })
        });
        let numbers = number_columns(table.facts);
        hinted
            .next()
            .unwrap_or_else(|| plain((numbers.len() == 1).then(|| numbers[0])))
    }

    /// Whether nothing in the prompt speaks for the column: it is only the one that could be computed with.
    fn is_guess(&self, target: Target, prompt: &Prompt) -> bool {
        let Some(column) = target.column else {
            return false;
        };
        let is_named = self.mentions.iter().any(|mention| mention.column == column);
        let mut hints = prompt
            .words()
            .iter()
            .flat_map(|word| ranked_by(word).split_ascii_whitespace());
        !is_named && !hints.any(|hint| self.has_hint(column, hint))
    }

    fn fits(&self, column: usize, operation: Operation) -> bool {
        let ranked = operation.ranks() || operation == Operation::Range;
        (!operation.needs_numbers() || is_number(&self.columns[column]))
            && (!ranked || self.is_ordered(column))
    }

    fn is_ordered(&self, column: usize) -> bool {
        is_number(&self.columns[column]) || self.columns[column].kind == "date"
    }

    /// Whether a column is what a hint of [`ranked_by`] speaks of.
    fn has_hint(&self, column: usize, hint: &str) -> bool {
        let column = &self.columns[column];
        match hint.trim_end_matches('-') {
            "@date" => column.kind == "date",
            part => name_words(&column.name)
                .iter()
                .any(|word| word.starts_with(part)),
        }
    }
}

/// The word behind the one that names the operation, when that speaks of a measure (`highest rating`, not `largest country`) and
/// no column is called so.
fn unknown_measure(prompt: &Prompt, at: usize, mentions: &[Mention]) -> Option<String> {
    const MEASURES: &str = "highest lowest maximum minimum max min average mean median total sum \
                            hochste hochsten niedrigste niedrigsten durchschnittliche moyenne promedio";
    const ANY: &str =
        "value values number numbers amount figure figures entry row rows wert werte valeur valor";
    let words = prompt.words();
    if !holds(MEASURES, &words[at]) {
        return None;
    }
    let behind = (at + 1..words.len()).find(|word| !holds("of the all", &words[*word]))?;
    let word = &words[behind];
    let is_known = mentions.iter().any(|mention| mention.covers(behind))
        || holds(ANY, word)
        || holds(MEASURES, word)
        || holds(stopwords::ENGLISH, word)
        || holds(stopwords::GERMAN, word);
    (!is_known).then(|| word.clone())
}

/// `top 3`, `three largest`: the number beside the word that ranks, and its index.
fn asked_rows(prompt: &Prompt, at: usize) -> Option<(usize, usize)> {
    let words = prompt.words();
    let before = at.checked_sub(1);
    [Some(at + 1), before]
        .into_iter()
        .flatten()
        .find_map(|word| {
            let text = words.get(word)?;
            let count =
                small_number(text).filter(|count| *count > 0 && text != "a" && text != "one")?;
            Some((count, word))
        })
}

/// The column named behind `by` or `per`.
fn group(prompt: &Prompt, mentions: &[Mention]) -> Option<usize> {
    const BEFORE: &str = "by per pro je par por each every jede jeder chaque cada";
    let words = prompt.words();
    let is_behind = |mention: &&Mention| {
        let before = words[..mention.word]
            .iter()
            .rev()
            .find(|word| *word != "the");
        before.is_some_and(|word| holds(BEFORE, word))
    };
    mentions
        .iter()
        .find(is_behind)
        .map(|mention| mention.column)
}
