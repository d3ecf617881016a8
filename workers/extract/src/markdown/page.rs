//! One page in Markdown: headings, paragraphs, lists and tables; running heads and feet as comments.

use super::comment;
use super::escape::{escaped, paragraph_line};
use super::table::rows_of_cells;
use crate::document::{Line, LineRole, Page};
use crate::structure::PageTable;

/// The text of `page`, which has some.
pub(super) fn body(page: &Page) -> String {
    let mut writer = Writer::default();
    let mut tables = in_text(page).into_iter().peekable();
    let mut covered = 0;
    let mut start = 0;
    for line in page.text.split_inclusive('\n') {
        let end = start + line.chars().count() as u32;
        if let Some(table) = tables.next_if(|table| table.start <= start) {
            writer.block(&rows_of_cells(&table.rows));
            covered = table.end;
        }
        if start >= covered {
            writer.line(line, role(&page.lines, (start, end)));
        }
        start = end;
    }
    for table in tables.chain(beside_text(page)) {
        writer.block(&rows_of_cells(&table.rows));
    }
    writer.finish()
}

/// Tables whose text is part of the page's, in its order.
fn in_text(page: &Page) -> Vec<&PageTable> {
    let mut tables: Vec<_> = page.tables.iter().filter(|t| t.start < t.end).collect();
    tables.sort_by_key(|table| table.start);
    tables
}

/// Tables of a page whose text came from another engine.
fn beside_text(page: &Page) -> impl Iterator<Item = &PageTable> {
    page.tables.iter().filter(|table| table.start >= table.end)
}

/// What the line of text in `start..end` is for, as the line of the layout says that begins in it.
fn role(lines: &[Line], (start, end): (u32, u32)) -> LineRole {
    let first = lines.partition_point(|line| line.start < start);
    let found = lines[first..].first().filter(|line| line.start < end);
    found.map_or(LineRole::Body, |line| line.role)
}

fn marker(role: LineRole) -> Option<&'static str> {
    match role {
        LineRole::Heading1 => Some("# "),
        LineRole::Heading2 => Some("## "),
        LineRole::Heading3 => Some("### "),
        LineRole::Body | LineRole::Header | LineRole::Footer => None,
    }
}

/// Puts blocks behind one another, an empty line between them.
#[derive(Default)]
struct Writer {
    out: String,
    /// The heading that the last line was of: its next line belongs to it.
    heading: Option<LineRole>,
    /// Whether the last line is parted from what follows.
    parted: bool,
}

impl Writer {
    fn line(&mut self, line: &str, role: LineRole) {
        let text = line.trim();
        if text.is_empty() {
            self.part();
            return;
        }
        if let Some(marker) = marker(role) {
            if self.heading == Some(role) {
                self.out.truncate(self.out.trim_end().len());
                self.out.push(' ');
            } else {
                self.part();
                self.out.push_str(marker);
            }
            self.out.push_str(&escaped(text));
            self.out.push('\n');
            (self.heading, self.parted) = (Some(role), false);
        } else if role == LineRole::Body {
            if self.heading.is_some() {
                self.part();
            }
            // What stands behind a line of a table or a comment does not belong to it.
            paragraph_line(&mut self.out, line.trim_end());
            self.out.push('\n');
            self.parted = false;
        } else {
            let kind = if role == LineRole::Header {
                "header"
            } else {
                "footer"
            };
            self.block(&format!("<!-- {kind}: {} -->", comment(text)));
        }
    }

    fn block(&mut self, text: &str) {
        self.part();
        self.out.push_str(text.trim_end());
        self.out.push('\n');
        self.parted = false;
        self.part();
    }

    /// Ends a block.
    fn part(&mut self) {
        self.heading = None;
        if !self.parted && !self.out.is_empty() {
            self.out.push('\n');
        }
        self.parted = true;
    }

    fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of lines with their roles, and a table in lines `first..last`.
    fn page(lines: &[(&str, LineRole)], table: Option<(usize, usize)>) -> Page {
        let mut page = Page::empty(1, (595.0, 842.0));
        let mut starts = Vec::new();
        for (text, role) in lines {
            let start = page.text.chars().count() as u32;
            starts.push(start);
            page.text.push_str(text);
            page.lines.push(Line {
                role: *role,
                ..Line::new(start, start + text.chars().count() as u32, [0.0; 4])
            });
            page.text.push('\n');
        }
        starts.push(page.text.chars().count() as u32);
        if let Some((first, last)) = table {
            page.tables.push(PageTable {
                start: starts[first],
                end: starts[last] - 1,
                bbox: None,
                rows: vec![
                    vec!["ship".into(), "to|ll".into()],
                    vec!["cög".into(), "4\n5".into()],
                ],
                spans: vec![],
            });
        }
        page
    }

    #[test]
    fn headings_tables_and_running_heads() {
        let page = page(
            &[
                ("Tolls 2024", LineRole::Header),
                ("Of ships", LineRole::Heading1),
                ("and bridges", LineRole::Heading1),
                ("Every ship pays.", LineRole::Body),
                ("ship to|ll", LineRole::Body),
                ("cög 4 5", LineRole::Body),
                ("Rafts", LineRole::Heading3),
                ("pay nothing.", LineRole::Body),
                ("7", LineRole::Footer),
            ],
            Some((4, 6)),
        );
        assert_eq!(
            body(&page),
            "<!-- header: Tolls 2024 -->\n\n# Of ships and bridges\n\nEvery ship pays.\n\n| ship | to\\|ll |\n|---|---|\n| cög | 4<br>5 |\n\n\
             ### Rafts\n\npay nothing.\n\n<!-- footer: 7 -->\n\n"
        );
    }

    #[test]
    fn a_table_beside_the_text_follows_it() {
        let mut page = page(&[("Text of another engine.", LineRole::Body)], Some((0, 1)));
        page.tables[0].end = page.tables[0].start;
        assert_eq!(
            body(&page),
            "Text of another engine.\n\n| ship | to\\|ll |\n|---|---|\n| cög | 4<br>5 |\n\n"
        );
    }
}
