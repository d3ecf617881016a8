//! Cuts text into records and cells, without copying.
//!
//! Lenient where files differ: any of LF, CR and CRLF ends a record, blanks may stand before a quote, text may follow one. A quote that
//! is never closed is text. The splitter works on what is in memory and says when it needs more.

use super::dialect::Dialect;
use super::scan::Scanner;
use crate::limits::MAX_COLUMNS;

/// Most bytes of one cell.
pub(super) const MAX_CELL: usize = 1024 * 1024;

/// A cell of a record, by its place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    start: u32,
    end: u32,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// The cell is the text.
    Plain,
    /// The cell is the text, which stood in quotes.
    Quoted,
    /// The text begins behind an opening quote and holds quotes or escapes that are not part of the value.
    Messy,
}

impl Cell {
    fn new(start: usize, end: usize, style: Style) -> Self {
        // A buffer holds a record of at most a few megabytes and what was read behind it.
        Self {
            start: start as u32,
            end: end as u32,
            style,
        }
    }

    /// The value; `scratch` holds it when it is not a part of `text` as it stands.
    #[inline]
    pub(super) fn value<'t>(
        &self,
        text: &'t [u8],
        dialect: Dialect,
        scratch: &'t mut Vec<u8>,
    ) -> &'t [u8] {
        let raw = self.raw(text);
        if self.style != Style::Messy {
            return raw;
        }
        scratch.clear();
        unquote(raw, dialect, scratch);
        scratch
    }

    /// The text without a closer look; for scoring.
    pub(super) fn raw<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..self.end as usize]
    }

    /// Whether the cell stood in quotes.
    pub(super) fn is_quoted(&self) -> bool {
        self.style != Style::Plain
    }

    /// Whether the quotes around the cell are its borders.
    pub(super) fn is_cleanly_quoted(&self, text: &[u8], quote: Option<u8>) -> bool {
        // A messy cell that ends at its closing quote leaves that quote outside.
        self.style == Style::Quoted
            || self.style == Style::Messy && text.get(self.end as usize).copied() == quote
    }

    fn is_blank(&self) -> bool {
        self.start == self.end && self.style == Style::Plain
    }
}

/// What the splitter found at a place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// A record, and where the next one begins.
    Record(usize),
    /// The record goes on behind the text.
    Incomplete,
    /// A record with more than [`MAX_COLUMNS`] cells.
    TooWide,
    /// A cell of more than [`MAX_CELL`] bytes.
    TooLong,
}

/// Cuts records by one dialect.
pub(super) struct Splitter {
    pub(super) dialect: Dialect,
    /// Finds the bytes that end a cell.
    ends: Scanner,
    /// Quotes that were never closed, so far.
    pub(super) open_quotes: u64,
}

impl Splitter {
    /// A splitter for `dialect`.
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            ends: Scanner::new([dialect.delimiter, b'\n', b'\r']),
            open_quotes: 0,
        }
    }

    /// Says that the next text is another one, or the same with other content.
    pub(super) fn forget(&mut self) {
        self.ends.forget();
    }

    /// Cuts the record at `start` of `text` into `cells`. `last` says that nothing follows the text.
    pub(super) fn split(
        &mut self,
        text: &[u8],
        start: usize,
        last: bool,
        cells: &mut Vec<Cell>,
    ) -> Split {
        cells.clear();
        let mut at = start;
        loop {
            let cell = match self.cell(text, at, last) {
                Ok(cell) => cell,
                Err(split) => return split,
            };
            if cells.len() == MAX_COLUMNS {
                return Split::TooWide;
            }
            cells.push(cell.0);
            at = cell.1;
            match text.get(at) {
                None if last => return Split::Record(at),
                None => return Split::Incomplete,
                Some(&byte) if byte == self.dialect.delimiter => at += 1,
                Some(b'\r') => return Self::after_return(text, at, last),
                Some(_) => return Split::Record(at + 1),
            }
        }
    }

    /// A carriage return may be followed by the line feed that belongs to it.
    fn after_return(text: &[u8], at: usize, last: bool) -> Split {
        match text.get(at + 1) {
            Some(b'\n') => Split::Record(at + 2),
            Some(_) => Split::Record(at + 1),
            None if last => Split::Record(at + 1),
            None => Split::Incomplete,
        }
    }

    /// The cell at `at` and where it ends: at a delimiter, at a newline or at the end of the text.
    #[inline]
    fn cell(&mut self, text: &[u8], at: usize, last: bool) -> Result<(Cell, usize), Split> {
        let may_be_quoted = |byte: &u8| {
            Some(*byte) == self.dialect.quote || *byte == b' ' && self.dialect.quote.is_some()
        };
        if text.get(at).is_some_and(may_be_quoted)
            && let Some(outcome) = self.quoted_cell(text, at, last)
        {
            return outcome;
        }
        let end = self.ends.next(text, at);
        if end - at > MAX_CELL {
            return Err(Split::TooLong);
        }
        Ok((Cell::new(at, end, Style::Plain), end))
    }

    /// The same for a cell in quotes; `None` when it is none.
    fn quoted_cell(
        &mut self,
        text: &[u8],
        at: usize,
        last: bool,
    ) -> Option<Result<(Cell, usize), Split>> {
        let quote = self.dialect.quote?;
        let start = self.skip_blanks(text, at);
        if text.get(start) != Some(&quote) {
            return None;
        }
        match self.quoted(text, start + 1, quote, last) {
            Err(Split::TooLong) => {
                self.open_quotes += 1;
                None
            }
            outcome => Some(outcome),
        }
    }

    fn skip_blanks(&self, text: &[u8], at: usize) -> usize {
        let blanks = text[at..]
            .iter()
            .take_while(|&&byte| byte == b' ' && self.dialect.delimiter != b' ')
            .count();
        at + blanks
    }

    /// The cell whose opening quote stands before `start`. `TooLong` when the quote is never closed, or too late.
    fn quoted(
        &mut self,
        text: &[u8],
        start: usize,
        quote: u8,
        last: bool,
    ) -> Result<(Cell, usize), Split> {
        let mut style = Style::Quoted;
        let mut at = start;
        loop {
            let rest = &text[at..];
            let special = match self.dialect.escape {
                None => memchr::memchr(quote, rest),
                Some(escape) => memchr::memchr2(quote, escape, rest),
            };
            let Some(offset) = special else {
                let unclosed = last || text.len() - start > MAX_CELL;
                return Err(if unclosed {
                    Split::TooLong
                } else {
                    Split::Incomplete
                });
            };
            at += offset;
            if at - start > MAX_CELL {
                return Err(Split::TooLong);
            }
            let next = text.get(at + 1);
            if next.is_none() && !last {
                return Err(Split::Incomplete);
            }
            let escapes = text[at] != quote;
            if escapes || next == Some(&quote) {
                style = Style::Messy;
                at = (at + 2).min(text.len());
                continue;
            }
            return self.after_quote(text, start, at, style);
        }
    }

    /// The end of a quoted cell whose closing quote stands at `close`: at once, or behind text that does not belong there.
    fn after_quote(
        &mut self,
        text: &[u8],
        start: usize,
        close: usize,
        style: Style,
    ) -> Result<(Cell, usize), Split> {
        let end = self.ends.next(text, close + 1);
        let extra = &text[close + 1..end];
        if extra.is_empty() {
            return Ok((Cell::new(start, close, style), end));
        }
        if end - 1 - start > MAX_CELL {
            return Err(Split::TooLong);
        }
        if extra.iter().all(|&byte| byte == b' ') {
            return Ok((Cell::new(start, close, style), end));
        }
        Ok((Cell::new(start, end, Style::Messy), end))
    }
}

/// Whether a record is an empty line.
pub(super) fn is_empty_line(cells: &[Cell]) -> bool {
    matches!(cells, [cell] if cell.is_blank())
}

/// Appends the value of a messy cell, whose opening quote is already gone.
fn unquote(raw: &[u8], dialect: Dialect, value: &mut Vec<u8>) {
    let mut inside = true;
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if inside && Some(byte) == dialect.escape {
            value.extend(bytes.next());
        } else if inside && Some(byte) == dialect.quote {
            if bytes.next_if_eq(&byte).is_some() {
                value.push(byte);
            } else {
                inside = false;
            }
        } else {
            value.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &[u8], dialect: Dialect) -> Vec<Vec<String>> {
        let (mut splitter, mut cells, mut rows, mut scratch) =
            (Splitter::new(dialect), vec![], vec![], vec![]);
        let mut at = 0;
        while at < text.len() {
            let Split::Record(next) = splitter.split(text, at, true, &mut cells) else {
                panic!("{:?}", &text[at..])
            };
            let value = |cell: &Cell| {
                String::from_utf8(cell.value(text, dialect, &mut scratch.clone()).to_vec()).unwrap()
            };
            if !is_empty_line(&cells) {
                rows.push(cells.iter().map(value).collect());
            }
            scratch.clear();
            at = next;
        }
        rows
    }

    fn comma(text: &str) -> Vec<Vec<String>> {
        all(text.as_bytes(), Dialect::default())
    }

    #[test]
    fn every_line_end_ends_a_record() {
        for text in [
            "a,b\nc,d\n",
            "a,b\r\nc,d\r\n",
            "a,b\rc,d\r",
            "a,b\n\nc,d",
            "\na,b\r\n\r\nc,d\n\n",
        ] {
            assert_eq!(comma(text), [["a", "b"], ["c", "d"]], "{text:?}");
        }
    }

    #[test]
    fn quotes_hold_delimiters_newlines_and_quotes() {
        assert_eq!(
            comma("\"a,1\",\"b\r\n2\",\"say \"\"hi\"\"\"\n"),
            [["a,1", "b\r\n2", "say \"hi\""]]
        );
        assert_eq!(comma("\"\",\"\"\"\"\n"), [["", "\""]]);
        assert_eq!(comma("a, \"b, c\" ,d\n"), [["a", "b, c", "d"]]);
        assert_eq!(comma("a\"b\",c\n"), [["a\"b\"", "c"]]);
        assert_eq!(comma("\"a\"b,c\n"), [["ab", "c"]]);
    }

    #[test]
    fn backslashes_escape_where_the_dialect_says_so() {
        let dialect = Dialect {
            escape: Some(b'\\'),
            ..Dialect::default()
        };
        assert_eq!(all(br#""a\"b",c\d"#, dialect), [["a\"b", "c\\d"]]);
    }

    #[test]
    fn an_unclosed_quote_is_text() {
        assert_eq!(comma("\"a,b\nc,d\n"), [["\"a", "b"], ["c", "d"]]);
        let long = format!("\"{}\nc,d\n", "x,".repeat(MAX_CELL));
        let mut splitter = Splitter::new(Dialect::default());
        let split = splitter.split(long.as_bytes(), 0, false, &mut vec![]);
        assert_eq!((split, splitter.open_quotes), (Split::TooWide, 1));
    }

    #[test]
    fn more_text_is_asked_for_where_a_record_may_go_on() {
        let mut splitter = Splitter::new(Dialect::default());
        for text in ["", "a", "a,", "a,b\r", "\"a", "\"a\"", "\"a\"\""] {
            splitter.forget();
            assert_eq!(
                splitter.split(text.as_bytes(), 0, false, &mut vec![]),
                Split::Incomplete,
                "{text:?}"
            );
        }
        splitter.forget();
        assert_eq!(
            splitter.split(b"a\nb", 0, false, &mut vec![]),
            Split::Record(2)
        );
    }

    #[test]
    fn limits_are_kept() {
        let mut splitter = Splitter::new(Dialect::default());
        let wide = ",".repeat(MAX_COLUMNS);
        assert_eq!(
            splitter.split(wide.as_bytes(), 0, true, &mut vec![]),
            Split::TooWide
        );
        splitter.forget();
        let long = "x".repeat(MAX_CELL + 1);
        assert_eq!(
            splitter.split(long.as_bytes(), 0, false, &mut vec![]),
            Split::TooLong
        );
    }

    proptest! {
        #[test]
        fn what_the_csv_crate_writes_is_read_back(rows in prop::collection::vec(prop::collection::vec("[a-c,\"\n\r ]{0,6}", 2..5), 1..6)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(vec![]);
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            prop_assert_eq!(all(&writer.into_inner().unwrap(), Dialect::default()), rows);
        }

        #[test]
        fn any_bytes_are_split_to_the_end(text in prop::collection::vec(prop::sample::select(b"ab,\"\\\n\r ;".to_vec()), 0..60)) {
            for escape in [None, Some(b'\\')] {
                let (mut splitter, mut cells) = (Splitter::new(Dialect { escape, ..Dialect::default() }), vec![]);
                let mut at = 0;
                while at < text.len() {
                    let split = splitter.split(&text, at, true, &mut cells);
                    let Split::Record(next) = split else { panic!("{split:?} at {at}") };
                    prop_assert!(next > at);
                    prop_assert!(cells.iter().all(|cell| cell.start <= cell.end && cell.end as usize <= next));
                    at = next;
                }
            }
        }
    }
}
