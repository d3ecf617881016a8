//! Text that was never laid out on paper, put into pages.
//!
//! Paragraphs come one after another and are parted by an empty line. A page ends where the file says so; text that never says so
//! is cut between paragraphs, so that no page outgrows its limit.

use crate::document::{EmptyReason, Line, LineRole, Page, TextEngine, clean_text};
use crate::error::ParseError;
use crate::formats::Output;
use crate::limits::{MAX_PAGES, truncate};
use crate::structure::PageTable;

/// Bytes from which a page is ended at the next paragraph: about a hundred printed pages.
const LONG_PAGE: usize = 256 * 1024;

/// Most bytes of one paragraph; a file without any break is cut into pieces of this size.
const MAX_PARAGRAPH: usize = 1024 * 1024;

/// Stands between the cells of a row in a [`Flow::block`].
pub(super) const CELL: char = '\u{1f}';

/// Longest heading, in bytes; what is longer is text in large type.
const MAX_HEADING: usize = 500;

/// Puts paragraphs into pages.
pub(super) struct Flow<'o> {
    out: &'o mut dyn Output,
    /// Of the page that is being filled.
    number: u32,
    text: String,
    /// Characters of `text`.
    characters: u32,
    /// Headings of the page.
    headings: Vec<Line>,
    tables: Vec<PageTable>,
}

impl<'o> Flow<'o> {
    /// Begins with page 1.
    pub(super) fn new(out: &'o mut dyn Output) -> Self {
        Self {
            out,
            number: 1,
            text: String::new(),
            characters: 0,
            headings: Vec::new(),
            tables: Vec::new(),
        }
    }

    /// Where facts and warnings go.
    pub(super) fn out(&mut self) -> &mut dyn Output {
        self.out
    }

    /// Adds a paragraph; its lines stay lines. Empty ones are passed over.
    pub(super) fn paragraph(&mut self, text: &str) -> Result<(), ParseError> {
        let mut rest = text.trim_end().trim_matches(['\n', '\r']);
        while !rest.trim().is_empty() {
            let piece = truncate(rest, MAX_PARAGRAPH);
            if !self.text.is_empty() && self.text.len() + piece.len() > LONG_PAGE {
                self.end_page()?;
            }
            self.put(&clean_text(piece));
            rest = &rest[piece.len()..];
        }
        Ok(())
    }

    /// Adds a heading: 1 is the largest.
    pub(super) fn heading(&mut self, level: u8, text: &str) -> Result<(), ParseError> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() || text.len() > MAX_HEADING {
            return self.paragraph(&text);
        }
        self.paragraph(&text)?;
        let role = match level {
            0 | 1 => LineRole::Heading1,
            2 => LineRole::Heading2,
            _ => LineRole::Heading3,
        };
        // No place: nobody has laid the page out.
        let start = self.characters - text.chars().count() as u32;
        self.headings.push(Line {
            role,
            ..Line::new(start, self.characters, [0.0; 4])
        });
        Ok(())
    }

    /// Adds a paragraph, or a table: lines whose cells are parted by [`CELL`].
    pub(super) fn block(&mut self, text: &str) -> Result<(), ParseError> {
        let text = text.trim_matches(['\n', '\r']);
        if !text.contains(CELL) {
            return self.paragraph(text);
        }
        let cells = |line: &str| -> Vec<String> {
            let cells = line.split(CELL).map(|cell| clean_text(cell.trim()));
            cells.map(Into::into).collect()
        };
        let mut rows: Vec<Vec<String>> = text.lines().map(cells).collect();
        rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
        let lines: Vec<String> = rows.iter().map(|row| row.join(" | ")).collect();
        let shown = lines.join("\n");
        self.paragraph(&shown)?;
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        // A table that may have been cut is text alone.
        if columns == 0 || shown.len() > LONG_PAGE {
            return Ok(());
        }
        let length = shown.trim_end().chars().count() as u32;
        for row in &mut rows {
            row.resize(columns, String::new());
        }
        self.tables.push(PageTable {
            start: self.characters - length,
            end: self.characters,
            bbox: None,
            rows,
            spans: Vec::new(),
        });
        Ok(())
    }

    fn put(&mut self, text: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\n\n");
            self.characters += 2;
        }
        self.text.push_str(text);
        self.characters += text.chars().count() as u32;
    }

    /// Ends the page, also one without text: the file says that there is one.
    pub(super) fn end_page(&mut self) -> Result<(), ParseError> {
        if self.number > MAX_PAGES {
            return Err(ParseError::LimitExceeded(format!(
                "more than {MAX_PAGES} pages"
            )));
        }
        let text = std::mem::take(&mut self.text);
        let is_empty = text.is_empty();
        self.characters = 0;
        let lines = std::mem::take(&mut self.headings);
        let tables = std::mem::take(&mut self.tables);
        self.out.page(Page {
            text,
            engine: if is_empty {
                TextEngine::None
            } else {
                TextEngine::Text
            },
            score: if is_empty { 0.0 } else { 1.0 },
            lines,
            tables,
            empty_reason: is_empty.then_some(EmptyReason::Blank),
            ..Page::empty(self.number, (0.0, 0.0))
        })?;
        self.out.progress(self.number, None)?;
        self.number += 1;
        Ok(())
    }

    /// Pages that have ended.
    pub(super) fn pages(&self) -> u32 {
        self.number - 1
    }

    /// Ends the page if it has any text.
    pub(super) fn break_page(&mut self) -> Result<(), ParseError> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.end_page()
    }

    /// Ends the last page. A document without any text has one blank page.
    pub(super) fn finish(mut self) -> Result<(), ParseError> {
        if !self.text.is_empty() || self.number == 1 {
            self.end_page()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::testing::Collected;

    #[test]
    fn headings_and_tables_point_at_their_text() {
        let mut out = Collected::default();
        let mut flow = Flow::new(&mut out);
        flow.paragraph("é first").unwrap();
        flow.heading(2, " Of\nships ").unwrap();
        flow.block("ship\u{1f}toll\ncög\u{1f} \n\u{1f}\nraft")
            .unwrap();
        flow.end_page().unwrap();
        flow.block("a\u{1f}b").unwrap();
        flow.finish().unwrap();
        let slice = |page: &Page, start: u32, end: u32| -> String {
            let chars = page.text.chars().skip(start as usize);
            chars.take((end - start) as usize).collect()
        };
        let page = &out.pages[0];
        assert_eq!(
            page.text,
            "é first\n\nOf ships\n\nship | toll\ncög | \nraft"
        );
        let heading = page.lines[0];
        assert_eq!(heading.role, LineRole::Heading2);
        assert_eq!(slice(page, heading.start, heading.end), "Of ships");
        let table = &page.tables[0];
        assert_eq!(
            slice(page, table.start, table.end),
            "ship | toll\ncög | \nraft"
        );
        assert_eq!(table.rows, [["ship", "toll"], ["cög", ""], ["raft", ""]]);
        let second = &out.pages[1].tables[0];
        assert_eq!((second.start, second.end), (0, 5));
    }
}
