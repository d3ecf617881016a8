//! Records of a whole file, one after another, through one buffer.

use super::dialect::Dialect;
use super::records::{Cell, MAX_CELL, Split, Splitter, is_empty_line};
use crate::error::ParseError;
use crate::formats::encoding::TextSource;
use crate::limits::MAX_COLUMNS;

/// Most bytes of one record: room for a few of the longest cells.
const MAX_RECORD: usize = 8 * MAX_CELL;

/// Reads records.
pub(crate) struct Reader<'a> {
    source: TextSource<'a>,
    splitter: Splitter,
    text: Vec<u8>,
    /// Where the next record begins in `text`.
    start: usize,
    /// Whether the file is read to its end.
    complete: bool,
    cells: Vec<Cell>,
    /// Records so far, the current one included.
    records: u64,
}

/// One record.
pub(crate) struct Record<'r> {
    text: &'r [u8],
    cells: &'r [Cell],
    dialect: Dialect,
    /// Whether empty lines stand before it.
    pub(crate) behind_gap: bool,
}

impl Record<'_> {
    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The value of a cell; `scratch` may hold it.
    #[inline]
    pub(crate) fn cell<'s>(&'s self, index: usize, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        self.cells[index].value(self.text, self.dialect, scratch)
    }

    /// Whether the first cell holds nothing.
    #[inline]
    pub(crate) fn begins_blank(&self) -> bool {
        self.cells
            .first()
            .is_none_or(|cell| cell.raw(self.text).trim_ascii().is_empty())
    }

    /// Whether no cell holds anything.
    pub(crate) fn is_blank(&self) -> bool {
        let is_blank = |cell: &Cell| cell.raw(self.text).trim_ascii().is_empty();
        self.cells.iter().all(is_blank)
    }

    /// All values, for the rows that are kept.
    pub(crate) fn values(&self) -> Vec<Vec<u8>> {
        let mut scratch = Vec::new();
        (0..self.len())
            .map(|index| self.cell(index, &mut scratch).to_vec())
            .collect()
    }
}

impl<'a> Reader<'a> {
    /// Reads `source` from its beginning; the dialect is [`Dialect::default`] until [`Reader::set_dialect`].
    pub(super) fn new(source: TextSource<'a>) -> Self {
        let splitter = Splitter::new(Dialect::default());
        Self {
            source,
            splitter,
            text: Vec::new(),
            start: 0,
            complete: false,
            cells: Vec::new(),
            records: 0,
        }
    }

    /// The first bytes of the text, at least `wanted` unless the file is shorter; they will be read again as records.
    pub(crate) fn peek(&mut self, wanted: usize) -> Result<&[u8], ParseError> {
        while self.text.len() < wanted && !self.complete {
            self.read_more()?;
        }
        Ok(&self.text)
    }

    /// Cuts by `dialect` from here on.
    pub(crate) fn set_dialect(&mut self, dialect: Dialect) {
        self.splitter = Splitter::new(dialect);
    }

    /// The next record that is not an empty line.
    pub(crate) fn next(&mut self) -> Result<Option<Record<'_>>, ParseError> {
        let mut behind_gap = false;
        loop {
            let rest = self.text.len() - self.start;
            if rest == 0 && self.complete {
                return Ok(None);
            }
            let split = self
                .splitter
                .split(&self.text, self.start, self.complete, &mut self.cells);
            match split {
                Split::Record(next) => {
                    self.start = next;
                    self.records += 1;
                    if is_empty_line(&self.cells) {
                        behind_gap = true;
                        continue;
                    }
                    return Ok(Some(Record {
                        text: &self.text,
                        cells: &self.cells,
                        dialect: self.splitter.dialect,
                        behind_gap,
                    }));
                }
                Split::Incomplete if rest > MAX_RECORD => {
                    return Err(self.refuse("is longer than 8 MiB"));
                }
                Split::Incomplete => self.read_more()?,
                Split::TooWide => {
                    return Err(self.refuse(&format!("has more than {MAX_COLUMNS} cells")));
                }
                Split::TooLong => return Err(self.refuse("has a cell of more than 1 MiB")),
            }
        }
    }

    fn refuse(&self, what: &str) -> ParseError {
        ParseError::LimitExceeded(format!("record {} {what}", self.records + 1))
    }

    fn read_more(&mut self) -> Result<(), ParseError> {
        self.text.drain(..self.start);
        self.start = 0;
        self.splitter.forget();
        self.complete = !self.source.read_into(&mut self.text)?;
        Ok(())
    }

    /// Name of the encoding, as far as it is known by now.
    pub(crate) fn encoding(&self) -> &'static str {
        self.source.encoding()
    }

    /// Bytes of the file that were read, and bytes in all.
    pub(crate) fn position(&mut self) -> (u64, u64) {
        self.source.position()
    }

    /// Quotes that were never closed.
    pub(crate) fn open_quotes(&self) -> u64 {
        self.splitter.open_quotes
    }
}
