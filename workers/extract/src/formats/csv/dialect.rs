//! Which character stands between the cells, and which around them.
//!
//! Every candidate cuts the beginning of the text into records and is scored by two questions: do the records agree on their number of
//! cells, and do the cells look like values (numbers, dates, short words) rather than like text that was cut in the wrong place?
//! Comma is the default: three of four published detectors do worse than "always comma" (research/extraction.md, 4), so another
//! candidate has to be clearly better.

use super::records::{Cell, Split, Splitter, is_empty_line};
use super::value;

/// How cells are separated and quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    pub(super) quote: Option<u8>,
    /// Takes the meaning off the next byte within quotes.
    pub(super) escape: Option<u8>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
        }
    }
}

/// The result of a detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Detected {
    pub(super) dialect: Dialect,
    /// Cells in most records; `None` when that is one.
    pub(super) columns: Option<usize>,
    /// Whether the records agree so well that this can hardly be anything but a table.
    pub(super) is_table: bool,
}

/// Candidates and how readily each is believed: a comma always, a blank only when nothing else explains the text.
const CANDIDATES: [(u8, f64); 10] = [
    (b',', 1.0),
    (b';', 1.0),
    (b'\t', 1.0),
    (b'|', 0.95),
    (b'^', 0.7),
    (b'~', 0.7),
    (b':', 0.45),
    (b' ', 0.35),
    (b'#', 0.3),
    (b'*', 0.3),
];

/// How much better than the comma another candidate has to be.
const COMMA_BONUS: f64 = 1.1;

/// Share of records that must have the same number of cells for a candidate other than the comma.
const MIN_AGREEMENT: f64 = 0.4;

/// Belief in a candidate other than the comma when there is but one record, which agrees with itself whatever cuts it.
const ONE_RECORD: f64 = 0.75;

/// Belief below which a candidate is a sign of many other things: times, sentences, comments.
const RARE: f64 = 0.5;

/// Records that such a candidate has to cut: in one or two, they agree by accident.
const RARE_RECORDS: usize = 3;

/// Belief in a rare candidate that cuts many records alike, and what that takes. Blanks and colons are within values too often.
const UNIFORM: f64 = 0.9;
const UNIFORM_RECORDS: usize = 10;
const UNIFORM_AGREEMENT: f64 = 0.98;

/// Bytes of text that are looked at: a few hundred records, cheap enough for every upload.
const SAMPLE: usize = 64 * 1024;

/// Records that are looked at.
const SAMPLE_RECORDS: usize = 500;

/// Words from which a cell is a sentence rather than a value.
const SENTENCE_WORDS: usize = 6;

/// Share of records that end like sentences from which a text is prose.
const MAX_SENTENCES: f64 = 0.5;

/// Share of records that must have the same number of cells in what can hardly be anything but a table.
const TABLE_AGREEMENT: f64 = 0.85;

/// Finds the dialect of the text that begins with `text`.
pub(super) fn detect(text: &[u8]) -> Detected {
    let sample = whole_lines(text);
    let quote = quote_of(sample);
    let escape = escape_of(sample, quote);
    let mut best = Score::none(Dialect {
        quote,
        escape,
        ..Dialect::default()
    });
    for (delimiter, belief) in CANDIDATES {
        if !sample.contains(&delimiter) {
            continue;
        }
        let dialect = Dialect {
            delimiter,
            quote,
            escape,
        };
        let mut score = Score::of(sample, dialect);
        score.value *= match delimiter {
            b',' => COMMA_BONUS,
            _ if score.agreement < MIN_AGREEMENT => 0.0,
            _ if belief < RARE && score.records < RARE_RECORDS => 0.0,
            _ if score.records == 1 => belief * ONE_RECORD,
            b'^' | b'~' | b'#' | b'*' if score.is_uniform() => belief.max(UNIFORM),
            _ => belief,
        };
        if score.value > best.value {
            best = score;
        }
    }
    best.into_detected()
}

/// Whether a record at `at` is a comment, as many programs write them above their tables.
fn is_comment(sample: &[u8], at: usize) -> bool {
    sample[at..].iter().find(|byte| **byte != b' ') == Some(&b'#')
}

/// The sample without a line that was cut off.
fn whole_lines(text: &[u8]) -> &[u8] {
    if text.len() <= SAMPLE {
        return text;
    }
    let sample = &text[..SAMPLE];
    let end = sample
        .iter()
        .rposition(|&byte| byte == b'\n' || byte == b'\r');
    end.map_or(sample, |end| &sample[..=end])
}

/// The quote that stands at borders of cells. Double quotes unless there are hardly any and single ones in plenty; apostrophes
/// stand within words.
fn quote_of(sample: &[u8]) -> Option<u8> {
    let is_border = |byte: Option<&u8>| {
        byte.is_none_or(|byte| {
            matches!(
                byte,
                b'\n' | b'\r' | b',' | b';' | b'\t' | b'|' | b'^' | b'~'
            )
        })
    };
    let at_borders = |quote: u8| {
        let places = sample
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| byte == quote)
            .map(|(at, _)| at);
        let (mut opening, mut closing) = (0_usize, 0_usize);
        for at in places {
            let before = is_border(at.checked_sub(1).and_then(|before| sample.get(before)));
            let after = is_border(sample.get(at + 1));
            opening += usize::from(before && !after);
            closing += usize::from(after && !before);
        }
        opening.min(closing)
    };
    if at_borders(b'\'') > at_borders(b'"') * 3 {
        return Some(b'\'');
    }
    sample.contains(&b'"').then_some(b'"')
}

/// A backslash, when quotes stand behind backslashes and are not doubled.
fn escape_of(sample: &[u8], quote: Option<u8>) -> Option<u8> {
    let quote = quote?;
    let pairs = |first: u8| {
        sample
            .windows(2)
            .filter(|pair| *pair == [first, quote])
            .count()
    };
    (pairs(b'\\') > 0 && pairs(b'\\') >= pairs(quote)).then_some(b'\\')
}

/// How well a dialect explains a sample.
struct Score {
    dialect: Dialect,
    value: f64,
    columns: usize,
    agreement: f64,
    /// Share of records that end like sentences.
    sentences: f64,
    records: usize,
}

impl Score {
    fn none(dialect: Dialect) -> Self {
        Self {
            dialect,
            value: 0.0,
            columns: 1,
            agreement: 0.0,
            sentences: 0.0,
            records: 0,
        }
    }

    fn of(sample: &[u8], dialect: Dialect) -> Self {
        let mut tally = Tally::default();
        let (mut splitter, mut cells, mut at) = (Splitter::new(dialect), Vec::new(), 0);
        while at < sample.len() && tally.widths.len() < SAMPLE_RECORDS {
            let Split::Record(next) = splitter.split(sample, at, true, &mut cells) else {
                break;
            };
            if !is_empty_line(&cells) && !is_comment(sample, at) {
                tally.add(sample, &cells, dialect);
            }
            at = next;
        }
        tally.into_score(dialect)
    }

    /// Whether so many records have the same three or more cells that this is no accident, whatever stands between them.
    fn is_uniform(&self) -> bool {
        self.records >= UNIFORM_RECORDS && self.columns >= 3 && self.agreement >= UNIFORM_AGREEMENT
    }

    fn into_detected(self) -> Detected {
        // Blanks are between the words of every text.
        let is_table = self.dialect.delimiter != b' '
            && self.columns > 1
            && self.records > 1
            && self.agreement >= TABLE_AGREEMENT
            && self.sentences < MAX_SENTENCES;
        Detected {
            dialect: self.dialect,
            columns: (self.columns > 1).then_some(self.columns),
            is_table,
        }
    }
}

/// What a dialect makes of a sample.
#[derive(Default)]
struct Tally {
    /// Cells of each record.
    widths: Vec<usize>,
    /// Sum over records of the share of cells that look like values.
    plausible: f64,
    sentences: usize,
}

impl Tally {
    fn add(&mut self, text: &[u8], cells: &[Cell], dialect: Dialect) {
        let plausible: f64 = cells
            .iter()
            .map(|cell| plausibility(cell, text, dialect))
            .sum();
        self.plausible += plausible / cells.len() as f64;
        let last = cells.last().map(|cell| cell.raw(text).trim_ascii());
        let ends_sentence =
            last.is_some_and(|last| matches!(last, [.., b'.' | b'!' | b'?']) && words(last) > 1);
        self.sentences += usize::from(ends_sentence);
        self.widths.push(cells.len());
    }

    fn into_score(self, dialect: Dialect) -> Score {
        let records = self.widths.len();
        if records == 0 {
            return Score::none(dialect);
        }
        let (columns, same) = most_common(&self.widths);
        let agreement = same as f64 / records as f64;
        if columns < 2 {
            // Few records hold the candidate at all: a default, never a finding.
            return Score {
                value: 0.0,
                columns: 1,
                agreement,
                ..Score::none(dialect)
            };
        }
        let plausible = self.plausible / records as f64;
        let width = columns as f64;
        Score {
            dialect,
            // Records that disagree weigh twice; more columns are harder to agree on by accident.
            value: agreement * agreement * plausible * (width - 1.0) / width,
            columns,
            agreement,
            sentences: self.sentences as f64 / records as f64,
            records,
        }
    }
}

/// The most common number of cells, and how many records have it; the larger number of two equally common ones.
fn most_common(widths: &[usize]) -> (usize, usize) {
    let mut sorted = widths.to_vec();
    sorted.sort_unstable();
    let runs = sorted
        .chunk_by(|a, b| a == b)
        .map(|run| (run[0], run.len()));
    runs.max_by_key(|&(width, count)| (count, width))
        .unwrap_or((1, 0))
}

/// How much a cell looks like a value: 1 for numbers, dates, quoted and empty cells, less the more it holds of other delimiters.
fn plausibility(cell: &Cell, text: &[u8], dialect: Dialect) -> f64 {
    let raw = cell.raw(text).trim_ascii();
    // Text behind a closing quote: the cell goes on where it should have ended.
    if cell.is_quoted() && !cell.is_cleanly_quoted(text, dialect.quote) {
        return 0.3;
    }
    if raw.is_empty() || cell.is_quoted() || value::is_typed(raw, dialect.delimiter == b';') {
        return 1.0;
    }
    // A quote in the middle of a cell: it was cut in two, or the quote is another one.
    if raw.iter().any(|&byte| Some(byte) == dialect.quote) {
        return 0.1;
    }
    let is_foreign = |at: usize| {
        let between_digits = at > 0
            && raw[at - 1].is_ascii_digit()
            && raw.get(at + 1).is_some_and(u8::is_ascii_digit);
        match raw[at] {
            // Before a blank it is punctuation within the value: `POINT(1, 2)`, `Total; Estimate`.
            b',' | b';' if raw.get(at + 1) == Some(&b' ') => false,
            b',' => dialect.delimiter != b',' && !between_digits,
            byte => matches!(byte, b';' | b'\t' | b'|') && byte != dialect.delimiter,
        }
    };
    let foreign = (0..raw.len()).filter(|&at| is_foreign(at)).count();
    let base = if words(raw) > SENTENCE_WORDS {
        0.6
    } else {
        0.85
    };
    base / (1.0 + foreign as f64)
}

fn words(text: &[u8]) -> usize {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(text: &str) -> Option<char> {
        let found = detect(text.as_bytes());
        found.columns.map(|_| char::from(found.dialect.delimiter))
    }

    #[test]
    fn plain_delimiters_are_found() {
        for delimiter_char in [',', ';', '\t', '|', '^', '~'] {
            let text = "name,age,city\nanna,31,Rome\nbert,45,Oslo\n"
                .replace(',', &delimiter_char.to_string());
            assert_eq!(delimiter(&text), Some(delimiter_char), "{text}");
        }
    }

    #[test]
    fn decimal_commas_do_not_hide_the_semicolon() {
        assert_eq!(delimiter("a;b;c\n1,5;2,5;3,5\n4,25;5,5;6,5\n"), Some(';'));
        assert_eq!(delimiter("id;value\n1;3,4,5\n2;6,7,8\n"), Some(';'));
    }

    #[test]
    fn times_and_names_do_not_hide_the_comma() {
        assert_eq!(
            delimiter("t,v\n2020-01-01 10:00:00,1\n2020-01-01 10:00:05,2\n"),
            Some(',')
        );
        assert_eq!(
            delimiter("name,town\nJohn Smith,New York\nJane Doe,Los Angeles\n"),
            Some(',')
        );
        assert_eq!(delimiter("1,A|B|C|D\n2,E|F\n3,G|H|I|J|K\n4,L\n"), Some(','));
    }

    #[test]
    fn two_lines_are_no_evidence_for_a_rare_delimiter() {
        for text in ["HH:mm:ss\n15:02:37\n", "list\na b c\n", "#0.0#\n1\n"] {
            assert_eq!(detect(text.as_bytes()).dialect.delimiter, b',', "{text}");
        }
        assert_eq!(delimiter("a:1\nb:2\nc:3\n"), Some(':'));
    }

    #[test]
    fn comments_say_nothing_about_the_table() {
        assert_eq!(
            delimiter("# made by: x\n# on: y\n# for: z\na;b\n1;2\n3;4\n"),
            Some(';')
        );
    }

    #[test]
    fn a_rare_delimiter_is_believed_when_it_cuts_many_records_alike() {
        let rows: Vec<String> = (0..12)
            .map(|n| format!("street {n}, left#{n}#town\n"))
            .collect();
        assert_eq!(delimiter(&rows.concat()), Some('#'));
    }

    #[test]
    fn commas_within_values_do_not_hide_the_semicolon() {
        let text = "id;shape;box\n1;POINT(4.5 9.1);BOX(4.5 9.1, 4.6 9.2, 4.7 9.3)\n2;POINT(4 9);BOX(4 9, 5 9, 6 9)\n";
        assert_eq!(delimiter(text), Some(';'));
    }

    #[test]
    fn one_column_has_no_delimiter() {
        assert_eq!(delimiter("name\nanna\nbert\n"), None);
        assert_eq!(delimiter("\"a, b\"\n\"c\"\n\"d; e\"\n"), None);
        assert_eq!(delimiter(""), None);
    }

    #[test]
    fn quotes_are_told_apart() {
        assert_eq!(
            detect(b"a,b\n'x,1',2\n'y,2',3\n").dialect.quote,
            Some(b'\'')
        );
        assert_eq!(detect(b"a,b\nit's,don't\nthat's,5\n").dialect.quote, None);
        assert_eq!(detect(b"a,b\n\"it's\",2\n").dialect.quote, Some(b'"'));
        assert_eq!(
            detect(b"a,b\n\"x \\\"y\\\" z\",2\n").dialect.escape,
            Some(b'\\')
        );
        assert_eq!(detect(b"a,b\n\"x \"\"y\"\" z\",2\n").dialect.escape, None);
    }

    #[test]
    fn sentences_are_no_table() {
        let prose = "It rains, and the streets are empty and very dark.\nThe sun shines, so the streets are full of happy people.\n";
        assert!(!detect(prose.as_bytes()).is_table);
        assert!(detect(b"a,b\n1,2\n3,4\n").is_table);
    }
}
