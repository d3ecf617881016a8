//! A document in pieces for retrieval: each is a stretch of one page, or some rows of a table, no longer than a budget.
//!
//! The text of a piece is exactly the page's characters `start..end`, so that a hit can be shown in its place. Pieces end where the
//! text does: at a paragraph if there is one in the last third of the budget, else at a line, a sentence, a word. Neighbours overlap, so
//! that what stands at a seam is whole in one of them.
//!
//! The passages that answers are found in (`quire-models`) are not these: they are single paragraphs, headings and rows, whatever their
//! length, because an answer quotes them. A vector store wants pieces of even size instead.

use serde::{Deserialize, Serialize};

use crate::document::{Document, Table};

/// Raised when the same document would fall into other pieces.
pub const CHUNKS_VERSION: u32 = 1;

/// How much a piece may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Characters.
    Characters(usize),
    /// Tokens of a language model, estimated without one: see [`tokens`].
    Tokens(usize),
}

/// How a document is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkOptions {
    /// Most that a piece holds; at least 1.
    pub budget: Budget,
    /// What neighbours on a page share at most, in the unit of the budget; less than half of it.
    pub overlap: usize,
}

impl Default for ChunkOptions {
    /// Pieces that fit the 256 tokens of small embedding models.
    fn default() -> Self {
        Self {
            budget: Budget::Characters(1_000),
            overlap: 100,
        }
    }
}

/// One piece of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its place among the pieces, from 0.
    pub index: usize,
    /// The page that it is of; none for rows.
    pub page: Option<u32>,
    /// First and last data row; none for text.
    pub rows: Option<[u64; 2]>,
    /// First character in the text of the page; 0 for rows.
    pub start: usize,
    /// One past its last character.
    pub end: usize,
    /// The characters.
    pub text: String,
}

/// Cuts `document` into pieces, pages first, then the rows of the table that are kept word for word.
pub fn chunks(document: &Document, options: ChunkOptions) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for page in &document.pages {
        for (start, end, text) in pieces(&page.text, options) {
            chunks.push(Chunk {
                index: chunks.len(),
                page: Some(page.number),
                rows: None,
                start,
                end,
                text,
            });
        }
    }
    if let Some(table) = &document.table {
        rows(table, options, &mut chunks);
    }
    chunks
}

/// Tokens that a language model makes of `text`, estimated: a token for every four letters or digits of a word, every other sign
/// and every character of a script without spaces. Byte-pair vocabularies of some 30,000 to 100,000 entries need fewer for English.
pub fn tokens(text: &str) -> usize {
    let mut meter = Meter::new(Budget::Tokens(0));
    for c in text.chars() {
        meter.add(c);
    }
    meter.spent
}

/// Counts what a piece holds while it grows.
#[derive(Clone, Copy)]
struct Meter {
    by_tokens: bool,
    spent: usize,
    /// Letters of the present word.
    word: usize,
}

impl Meter {
    fn new(budget: Budget) -> Self {
        Self {
            by_tokens: matches!(budget, Budget::Tokens(_)),
            spent: 0,
            word: 0,
        }
    }

    fn add(&mut self, c: char) {
        /// Letters of a word that make a token.
        const LETTERS: usize = 4;
        if !self.by_tokens {
            self.spent += 1;
        } else if c.is_whitespace() {
            self.word = 0;
        } else if c.is_alphanumeric() && !has_no_spaces(c) {
            self.spent += usize::from(self.word.is_multiple_of(LETTERS));
            self.word += 1;
        } else {
            self.word = 0;
            self.spent += 1;
        }
    }
}

/// Chinese, Japanese, Korean, Thai and their neighbours: every character counts.
fn has_no_spaces(c: char) -> bool {
    matches!(c, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{2E80}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}

/// The pieces of one page: start, end, text.
fn pieces(text: &str, options: ChunkOptions) -> Vec<(usize, usize, String)> {
    let chars: Vec<char> = text.chars().collect();
    let (Budget::Characters(most) | Budget::Tokens(most)) = options.budget;
    let most = most.max(1);
    let overlap = options.overlap.min((most - 1) / 2);
    let mut pieces = Vec::new();
    let mut start = skip_space(&chars, 0);
    // The first character that no piece holds yet.
    let mut fresh = start;
    while fresh < chars.len() {
        let mut reach = reach_of(&chars, start, options.budget, most);
        if reach <= fresh {
            // Nothing but space lies between: too much of it for an overlap.
            start = fresh;
            reach = reach_of(&chars, start, options.budget, most);
        }
        let cut = if reach == chars.len() {
            reach
        } else {
            seam(&chars, (start, fresh), reach)
        };
        let mut end = cut;
        while chars[end - 1].is_whitespace() {
            end -= 1;
        }
        pieces.push((start, end, chars[start..end].iter().collect()));
        fresh = skip_space(&chars, cut);
        start = step_back(&chars, (start, end), options.budget, overlap).unwrap_or(fresh);
    }
    pieces
}

fn skip_space(chars: &[char], from: usize) -> usize {
    let space = chars[from..].iter().take_while(|c| c.is_whitespace());
    from + space.count()
}

/// The furthest end of a piece that begins at `start`; at least one character on.
fn reach_of(chars: &[char], start: usize, budget: Budget, most: usize) -> usize {
    let mut meter = Meter::new(budget);
    for (at, &c) in chars.iter().enumerate().skip(start) {
        meter.add(c);
        if meter.spent > most {
            return at.max(start + 1);
        }
    }
    chars.len()
}

/// The best place to cut behind the fresh character: the last of the best kind in the last third of `start..=reach`, else the last gap
/// between words, else `reach`.
fn seam(chars: &[char], (start, fresh): (usize, usize), reach: usize) -> usize {
    let third = start + (reach - start) * 2 / 3;
    let mut best: Option<(u8, usize)> = None;
    for at in (third.max(fresh + 1)..=reach).rev() {
        let kind = kind_of_seam(chars, at);
        if kind > best.map_or(0, |(kind, _)| kind) {
            best = Some((kind, at));
        }
    }
    let anywhere = || {
        let mut places = (fresh + 1..=reach).rev();
        places.find(|&at| kind_of_seam(chars, at) > 0)
    };
    best.map(|(_, at)| at).or_else(anywhere).unwrap_or(reach)
}

/// What lies between the characters before `at` and at it: 4 an empty line, 3 an end of a line, 2 of a sentence, 1 of a word, 0 nothing.
fn kind_of_seam(chars: &[char], at: usize) -> u8 {
    let (before, here) = (chars[at - 1], chars.get(at).copied().unwrap_or('\n'));
    let wide_stop = matches!(before, '。' | '！' | '？');
    if !here.is_whitespace() {
        return if wide_stop { 2 } else { 0 };
    }
    if here == '\n' || here == '\u{c}' {
        let blank = chars[at + 1..].iter().find(|c| **c != ' ' && **c != '\r');
        return if chars.len() > at + 1 && blank == Some(&'\n') {
            4
        } else {
            3
        };
    }
    if matches!(before, '.' | '!' | '?') || wide_stop {
        return 2;
    }
    1
}

/// Where the next piece begins so that it shares at most `overlap` with this one: at the beginning of a word, if there is one.
fn step_back(
    chars: &[char],
    (start, end): (usize, usize),
    budget: Budget,
    overlap: usize,
) -> Option<usize> {
    let mut meter = Meter::new(budget);
    let mut begin = None;
    for at in (start + 1..end).rev() {
        meter.add(chars[at]);
        if meter.spent > overlap {
            break;
        }
        if chars[at - 1].is_whitespace() {
            begin = Some(at).filter(|&at| !chars[at].is_whitespace()).or(begin);
        }
    }
    begin
}

/// Some rows together, as `column: value; column: value`, one on each line. A row that is longer than the budget is a piece alone.
fn rows(table: &Table, options: ChunkOptions, chunks: &mut Vec<Chunk>) {
    let (Budget::Characters(most) | Budget::Tokens(most)) = options.budget;
    let mut text = String::new();
    let mut span: Option<[u64; 2]> = None;
    let mut spent = 0;
    for row in &table.sample {
        let line = line(table, &row.cells);
        let mut meter = Meter::new(options.budget);
        line.chars().chain(['\n']).for_each(|c| meter.add(c));
        if spent + meter.spent > most
            && let Some(rows) = span.take()
        {
            push_rows(chunks, rows, std::mem::take(&mut text));
            spent = 0;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
        spent += meter.spent;
        span = Some([span.map_or(row.number, |[first, _]| first), row.number]);
    }
    if let Some(rows) = span {
        push_rows(chunks, rows, text);
    }
}

fn line(table: &Table, cells: &[String]) -> String {
    let named = cells.iter().enumerate().map(|(at, cell)| {
        let cell = cell.replace(['\r', '\n'], " ");
        match table.columns.get(at) {
            Some(column) => format!("{}: {cell}", column.name),
            None => format!("column {}: {cell}", at + 1),
        }
    });
    named.collect::<Vec<_>>().join("; ")
}

fn push_rows(chunks: &mut Vec<Chunk>, rows: [u64; 2], text: String) {
    chunks.push(Chunk {
        index: chunks.len(),
        page: None,
        rows: Some(rows),
        start: 0,
        end: text.chars().count(),
        text,
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str, most: usize, overlap: usize) -> Vec<String> {
        let options = ChunkOptions {
            budget: Budget::Characters(most),
            overlap,
        };
        let pieces = pieces(text, options);
        pieces.into_iter().map(|(_, _, text)| text).collect()
    }

    #[test]
    fn pieces_end_where_the_text_does() {
        assert_eq!(
            cut("One two three.\n\nFour five six.", 22, 0),
            ["One two three.", "Four five six."]
        );
        assert_eq!(
            cut("One two three. Four five six.", 22, 0),
            ["One two three.", "Four five six."]
        );
        assert_eq!(
            cut("One two three four five six", 15, 0),
            ["One two three", "four five six"]
        );
        assert_eq!(cut("abcdefghij", 4, 0), ["abcd", "efgh", "ij"]);
        assert_eq!(cut(" \n ", 4, 0), Vec::<String>::new());
    }

    #[test]
    fn neighbours_overlap_by_whole_words() {
        assert_eq!(
            cut("one two three four five six", 14, 6),
            ["one two three", "three four", "four five six"]
        );
    }

    #[test]
    fn tokens_are_counted_by_words_signs_and_characters() {
        assert_eq!(tokens("The toll is 4 crowns."), 7);
        assert_eq!(tokens("橋の通行料"), 5);
        assert_eq!(tokens(""), 0);
    }

    #[test]
    fn a_token_budget_holds() {
        let text = "Every ship that passes the bridge pays a toll. ".repeat(20);
        let options = ChunkOptions {
            budget: Budget::Tokens(30),
            overlap: 5,
        };
        for (_, _, piece) in pieces(&text, options) {
            assert!(tokens(&piece) <= 30, "{piece}");
        }
    }

    proptest! {
        #[test]
        fn pieces_are_slices_within_the_budget_and_cover_everything(
            text in "[a-z .\\n\u{e9}\u{6a4b}]{0,200}", most in 1usize..40, overlap in 0usize..20,
        ) {
            let chars: Vec<char> = text.chars().collect();
            let options = ChunkOptions { budget: Budget::Characters(most), overlap };
            let mut covered = vec![false; chars.len()];
            let mut last = 0;
            for (start, end, piece) in pieces(&text, options) {
                prop_assert_eq!(&piece, &chars[start..end].iter().collect::<String>());
                prop_assert!(end - start <= most && start < end);
                prop_assert!(end > last, "every piece goes on");
                last = end;
                covered[start..end].fill(true);
            }
            for (at, c) in chars.iter().enumerate() {
                prop_assert!(covered[at] || c.is_whitespace(), "{} is lost", at);
            }
        }
    }
}
