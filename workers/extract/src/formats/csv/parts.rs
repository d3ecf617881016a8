//! Several tables in one file: below each other, with empty lines between.
//!
//! A gap alone parts nothing, as people leave empty lines within a table. A new table begins behind a gap where the rows have another
//! width, or where a row of names stands above rows with values again. The profile speaks of all rows together; the parts say
//! where each table is, so that a reader knows what the figures mix.

use super::column::to_text;
use super::reader::Record;
use super::value::{Value, classify, is_typed};
use crate::document::TablePart;
use crate::limits::truncate;

/// Most parts that are told apart; a file with more is broken up by something else.
const MAX_PARTS: usize = 100;

/// Rows below which what stands between two gaps is a title or a note.
const MIN_ROWS: u64 = 2;

/// Most bytes of a name that is kept.
const MAX_NAME: usize = 100;

/// Follows the rows of a file.
#[derive(Debug, Default)]
pub(super) struct Parts {
    found: Vec<Part>,
    /// Whether the row before had nothing in it.
    blank: bool,
    decimal_comma: bool,
}

#[derive(Debug)]
struct Part {
    first_row: u64,
    rows: u64,
    width: usize,
    first: Vec<Vec<u8>>,
    /// Whether the first row is all words and the second is not.
    has_names: bool,
}

impl Parts {
    /// Nothing yet; `decimal_comma` as for the cells of the file.
    pub(super) fn new(decimal_comma: bool) -> Self {
        Self {
            decimal_comma,
            ..Self::default()
        }
    }

    /// Takes in data row `number`.
    #[inline]
    pub(super) fn observe(&mut self, record: &Record<'_>, number: u64) {
        let settled = !record.behind_gap && !self.blank;
        match self.found.last_mut() {
            Some(part) if settled && part.rows >= MIN_ROWS => part.rows += 1,
            _ => self.observe_border(record, number),
        }
        // Only a row that begins with nothing can be blank, and few do.
        if record.begins_blank() {
            self.blank = record.is_blank();
        }
    }

    fn observe_border(&mut self, record: &Record<'_>, number: u64) {
        if record.is_blank() {
            self.blank = true;
            return;
        }
        let behind_gap = record.behind_gap || self.blank;
        self.blank = false;
        let cells = record.values();
        match self.found.last_mut() {
            Some(part) if !behind_gap => {
                if part.rows == 1 {
                    part.has_names = are_names(&part.first, &cells, self.decimal_comma);
                    part.width = part.width.max(filled_width(&cells));
                }
                part.rows += 1;
            }
            _ => self.begin(cells, number),
        }
    }

    fn begin(&mut self, cells: Vec<Vec<u8>>, number: u64) {
        if self.found.len() <= MAX_PARTS {
            self.found.push(Part {
                first_row: number,
                rows: 1,
                width: filled_width(&cells),
                first: cells,
                has_names: false,
            });
        }
    }

    /// The tables of a file that has `names`; none when it is one.
    pub(super) fn finish(self, names: &[String]) -> Vec<TablePart> {
        if self.found.len() > MAX_PARTS {
            return Vec::new();
        }
        let mut tables: Vec<TablePart> = Vec::new();
        let mut width = 0;
        for part in self.found.into_iter().filter(|part| part.rows >= MIN_ROWS) {
            match tables.last_mut() {
                Some(table) if !part.has_names && part.width == width => {
                    table.last_row = part.first_row + part.rows - 1;
                }
                _ => {
                    width = part.width;
                    tables.push(part.into_table(if tables.is_empty() { names } else { &[] }));
                }
            }
        }
        if tables.len() > 1 { tables } else { Vec::new() }
    }
}

impl Part {
    /// The part as a table of its own; `names` are those of the file, which stand above its first row.
    fn into_table(self, names: &[String]) -> TablePart {
        let own = self.first.iter().take(self.width);
        TablePart {
            first_row: self.first_row,
            last_row: self.first_row + self.rows - 1,
            columns: self.width as u32,
            names: if self.has_names {
                own.map(|cell| truncate(&to_text(cell.trim_ascii()), MAX_NAME).to_owned())
                    .collect()
            } else {
                names.to_vec()
            },
        }
    }
}

/// Cells up to the last that is filled.
fn filled_width(cells: &[Vec<u8>]) -> usize {
    let last = cells.iter().rposition(|cell| !cell.trim_ascii().is_empty());
    last.map_or(0, |last| last + 1)
}

/// Whether `first` is words throughout and `second` has a value below one of them.
fn are_names(first: &[Vec<u8>], second: &[Vec<u8>], decimal_comma: bool) -> bool {
    let is_word = |cell: &Vec<u8>| classify(cell.trim_ascii(), decimal_comma) == Value::Text;
    let is_value = |cell: &Vec<u8>| {
        let cell = cell.trim_ascii();
        !cell.is_empty() && is_typed(cell, decimal_comma)
    };
    let named = &first[..filled_width(first)];
    named.len() > 1 && named.iter().all(is_word) && second.iter().any(is_value)
}
