//! Looks for words of a prompt among the values of a table whose rows were not all read.
//!
//! `How many orders were returned?` means a value, which the rows that were read may not hold. One pass over the table asks for all such
//! words and phrases at once; what it finds is known from then on, like the values of the rows that were read.

use crate::error::ModelError;
use crate::extractive::prompt::Prompt;
use crate::table_query::{AnswerRow, Condition, TableQuery};

use super::Table;
use super::ask::Ask;
use super::columns::is_number;
use super::filters::{is_common, value_key};
use super::operation::is_operation;

/// Most words of a phrase that is looked for.
const MAX_WORDS: usize = 3;

/// Most phrases, and most columns, that are looked for and in.
const MAX_PHRASES: usize = 24;
const MAX_COLUMNS: usize = 16;

/// Rows taken from a pass, and passes: a frequent value must not hide a rare one.
const ROWS: u32 = 200;
const PASSES: usize = 2;

/// Learns which values of the table the prompt names; true when it names any that were not known.
pub(super) fn learn(table: &mut Table<'_>, prompt: &Prompt, ask: &Ask) -> Result<bool, ModelError> {
    let mut phrases = phrases(prompt, ask);
    let columns: Vec<usize> = (0..table.facts.columns.len())
        .filter(|at| !is_number(&table.facts.columns[*at]))
        .take(MAX_COLUMNS)
        .collect();
    for _ in 0..PASSES {
        if phrases.is_empty() || columns.is_empty() {
            break;
        }
        let found = table.run(&query(&phrases, &columns))?;
        let known = phrases.len();
        for row in &found.rows {
            note(table, row, &columns, &mut phrases);
        }
        if phrases.len() == known || found.rows_left_out == 0 {
            break;
        }
    }
    Ok(!table.found.is_empty())
}

fn query(phrases: &[String], columns: &[usize]) -> TableQuery {
    let same = |phrase: &String| {
        let text = phrase.clone();
        columns.iter().map(move |&column| Condition::Same {
            column,
            text: text.clone(),
        })
    };
    TableQuery {
        conditions: vec![Condition::Any(phrases.iter().flat_map(same).collect())],
        limit: ROWS,
        ..TableQuery::default()
    }
}

/// Notes the values of a row that are phrases of the prompt, which need not be looked for any more.
fn note(table: &mut Table<'_>, row: &AnswerRow, columns: &[usize], phrases: &mut Vec<String>) {
    for &column in columns {
        let Some(text) = row.cells.get(column).map(|cell| cell.text().trim()) else {
            continue;
        };
        let key = value_key(text);
        if let Some(at) = phrases.iter().position(|phrase| *phrase == key) {
            phrases.swap_remove(at);
            table.found.push((column, text.to_owned()));
        }
    }
}

/// Runs of words that nothing in the prompt explains, the longest first.
fn phrases(prompt: &Prompt, ask: &Ask) -> Vec<String> {
    let words = prompt.words();
    let is_free = |at: usize| {
        let is_named = ask.mentions.iter().any(|mention| mention.covers(at));
        !is_named && !ask.used.contains(&at)
    };
    let is_open = |at: usize| is_free(at) && !is_operation(&words[at]) && !is_common(&words[at]);
    let mut out = Vec::new();
    for size in (1..=MAX_WORDS.min(words.len())).rev() {
        for start in 0..=words.len() - size {
            let last = start + size - 1;
            // `lost at sea`: within a phrase common words are part of it.
            if is_open(start) && is_open(last) && (start..last).all(is_free) {
                out.push(words[start..start + size].join(" "));
            }
        }
    }
    out.truncate(MAX_PHRASES);
    out
}
