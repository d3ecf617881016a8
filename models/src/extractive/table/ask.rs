//! A prompt read against one table: what to compute, of which column, over which rows.

use crate::extractive::prompt::{Prompt, number as small_number};
use crate::extractive::wordlist::holds;

use super::Table;
use super::columns::{Mention, is_number, mentions, name_words, number_columns};
use super::filters::{Filter, filters};
use super::operation::{Operation, operation, ranked_by};

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
    /// Whether the prompt wants rows and not only a value: `which country has the highest population`.
    pub(super) wants_row: bool,
}

impl Ask {
    pub(super) fn read(table: &Table<'_>, prompt: &Prompt) -> Self {
        let mentions = mentions(table.facts, prompt);
        let (mut operation, at) = operation(prompt, &mentions);
        let ranks = matches!(operation, Operation::Largest | Operation::Smallest);
        let limit = at.filter(|_| ranks).and_then(|at| asked_rows(prompt, at));
        let mut taken: Vec<usize> = at.into_iter().collect();
        taken.extend(limit.map(|(_, word)| word));
        let filters = filters(table, prompt, &mentions, &taken);
        let group = group(prompt, &mentions).filter(|_| operation != Operation::Lookup && !ranks);
        let (target, turned) = target(table, prompt, &mentions, operation, group);
        if turned {
            operation = if operation == Operation::Largest {
                Operation::Smallest
            } else {
                Operation::Largest
            };
        }
        let names_other = mentions
            .iter()
            .any(|mention| Some(mention.column) != target);
        let asks_which = holds(WHICH, prompt.first());
        let wants_row = ranks && (limit.is_some() || asks_which || names_other);
        Self {
            operation,
            target,
            mentions,
            filters,
            group,
            limit: limit.map_or(1, |(count, _)| count.min(MAX_ROWS)),
            wants_row,
        }
    }

    /// Whether anything in the prompt belongs to this table, so that a summary of all of it is not what is wanted.
    pub(super) fn is_specific(&self) -> bool {
        !self.filters.is_empty()
            || (self.target.is_some()
                && self.operation != Operation::Lookup
                && !self.mentions.is_empty())
    }

    /// Whether the answer rests on rows and not on the profile of the whole table.
    pub(super) fn needs_rows(&self) -> bool {
        let by_profile = self.filters.is_empty() && self.group.is_none() && !self.wants_row;
        !by_profile || matches!(self.operation, Operation::Lookup | Operation::Median)
    }
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
    const BEFORE: &str = "by per pro je par por each every";
    const ARTICLES: &str = "the each every jede jeder chaque cada";
    let words = prompt.words();
    let is_behind = |mention: &&Mention| {
        let mut at = mention.word;
        while at > 0 && holds(ARTICLES, &words[at - 1]) {
            at -= 1;
        }
        at > 0 && holds(BEFORE, &words[at - 1])
            || mention.word > 0 && matches!(words[mention.word - 1].as_str(), "each" | "every")
    };
    mentions
        .iter()
        .find(is_behind)
        .map(|mention| mention.column)
}

/// The column an operation is about, and whether its order is turned round.
fn target(
    table: &Table<'_>,
    prompt: &Prompt,
    mentions: &[Mention],
    operation: Operation,
    group: Option<usize>,
) -> (Option<usize>, bool) {
    let columns = &table.facts.columns;
    let numeric = matches!(
        operation,
        Operation::Mean | Operation::Median | Operation::Sum | Operation::StandardDeviation
    );
    let ranks = matches!(
        operation,
        Operation::Largest | Operation::Smallest | Operation::Range
    );
    let fits = |column: &usize| {
        let ordered = is_number(&columns[*column]) || columns[*column].kind == "date";
        Some(*column) != group && (!numeric || is_number(&columns[*column])) && (!ranks || ordered)
    };
    let named = mentions.iter().map(|mention| mention.column).find(fits);
    if named.is_some() || !(numeric || ranks) {
        return (
            named.or_else(|| {
                mentions
                    .iter()
                    .map(|m| m.column)
                    .find(|c| Some(*c) != group && !numeric)
            }),
            false,
        );
    }
    let hints = prompt
        .words()
        .iter()
        .flat_map(|word| ranked_by(word).split_ascii_whitespace());
    let hinted = hints
        .map(|hint| (hint.trim_end_matches('-'), hint.ends_with('-')))
        .find_map(|(part, turned)| {
            let has_part = |at: &usize| {
                fits(at)
                    && name_words(&columns[*at].name)
                        .iter()
                        .any(|word| word.starts_with(part))
            };
            (0..columns.len())
                .find(has_part)
                .map(|column| (Some(column), turned))
        });
    let numbers = number_columns(table.facts);
    hinted.unwrap_or(((numbers.len() == 1).then(|| numbers[0]), false))
}
