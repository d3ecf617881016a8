//! Splits the text of one page into blocks: paragraphs, headings, list items and lines of a table.
//!
//! Text that came out of a PDF has hard line ends and often no blank lines, so a block ends at a blank line and
//! also where the layout says so: a list marker, a numbered or capital heading, a short last line. Every block is
//! a slice of the input; nothing is joined or cleaned here, because its char offset must stay true.
//!
//! Not here: reading order, columns, hyphens (the extraction), running heads (they need more than one page).

use super::PassageKind;
use super::look::{
    ends_sentence, fits_heading, is_capitals, is_cells, is_marked_heading, is_title_case,
    starts_item,
};

/// A line shorter than this share of the page's widest line ends its paragraph when it closes a sentence.
const SHORT_LINE: f32 = 0.75;
/// A slice of the page and what it looks like.
pub(super) struct Block<'a> {
    pub(super) text: &'a str,
    /// Char offset of `text` in the page.
    pub(super) offset: u32,
    pub(super) kind: PassageKind,
}

/// Splits a page into blocks in order; whitespace and rules between them belong to none.
pub(super) fn blocks(page: &str) -> Vec<Block<'_>> {
    let lines = lines(page);
    let widest = lines
        .iter()
        .map(|line| line.trimmed.chars().count())
        .max()
        .unwrap_or(0);
    let mut out = Vec::new();
    let mut chars = CharCounter {
        page,
        byte: 0,
        chars: 0,
    };
    let mut first = 0;
    while first < lines.len() {
        if lines[first].is_blank() {
            first += 1;
            continue;
        }
        let mut last = first;
        while last + 1 < lines.len() && !breaks_after(&lines, last, widest) {
            last += 1;
        }
        let start = lines[first].start;
        let end = lines[last].start + lines[last].trimmed.len();
        let kind = if is_heading(&lines, first, last) {
            PassageKind::Heading
        } else {
            PassageKind::Prose
        };
        out.push(Block {
            text: &page[start..end],
            offset: chars.at(start),
            kind,
        });
        first = last + 1;
    }
    out
}

/// Turns increasing byte positions into char positions in one pass over the page.
struct CharCounter<'a> {
    page: &'a str,
    byte: usize,
    chars: u32,
}

impl CharCounter<'_> {
    fn at(&mut self, byte: usize) -> u32 {
        self.chars += self.page[self.byte..byte].chars().count() as u32;
        self.byte = byte;
        self.chars
    }
}

struct Line<'a> {
    /// The line without the whitespace around it.
    trimmed: &'a str,
    /// Byte offset of `trimmed` in the page.
    start: usize,
    /// Leading whitespace, in chars.
    indent: usize,
}

impl Line<'_> {
    /// Nothing to read: empty, or a rule such as `-----`.
    fn is_blank(&self) -> bool {
        !self.trimmed.contains(char::is_alphanumeric)
    }
}

fn lines(page: &str) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    let mut start = 0;
    for raw in page.split_inclusive(['\n', '\u{c}']) {
        let body = raw.trim_start();
        let lead = raw.len() - body.len();
        out.push(Line {
            trimmed: body.trim_end(),
            start: start + lead,
            indent: raw[..lead].chars().count(),
        });
        start += raw.len();
    }
    out
}

fn breaks_after(lines: &[Line<'_>], at: usize, widest: usize) -> bool {
    let (this, next) = (&lines[at], &lines[at + 1]);
    if next.is_blank() || starts_item(next.trimmed) {
        return true;
    }
    if is_capitals(this.trimmed) && is_capitals(next.trimmed) {
        return false;
    }
    if is_marked_heading(next.trimmed) {
        return true;
    }
    if is_marked_heading(this.trimmed) || is_cells(this.trimmed) || is_cells(next.trimmed) {
        return true;
    }
    let width = this.trimmed.chars().count();
    let short = (width as f32) < SHORT_LINE * widest as f32;
    let opens = next
        .trimmed
        .chars()
        .next()
        .is_some_and(|c| !c.is_lowercase());
    if !opens {
        return false;
    }
    if ends_sentence(this.trimmed) {
        return short || next.indent > this.indent + 1;
    }
    // A short line in title case before a full one: a heading that has no blank line around it.
    short
        && width < widest / 2
        && is_title_case(this.trimmed)
        && next.trimmed.chars().count() > width * 2
}

fn is_heading(lines: &[Line<'_>], first: usize, last: usize) -> bool {
    let text = lines[first].trimmed;
    if last == first + 1 && is_capitals(text) && is_capitals(lines[last].trimmed) {
        return fits_heading(text) && fits_heading(lines[last].trimmed);
    }
    if first != last || is_cells(text) {
        return false;
    }
    is_marked_heading(text)
        || (fits_heading(text) && (is_title_case(text) || stands_alone(lines, first)))
}

/// A short line between blank lines that opens with a capital or a number, or is a single word, as the terms of a
/// glossary are.
fn stands_alone(lines: &[Line<'_>], at: usize) -> bool {
    let blank = |line: Option<&Line<'_>>| line.is_none_or(Line::is_blank);
    let text = lines[at].trimmed;
    let opens = text.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
        || !text.contains(char::is_whitespace);
    opens
        && blank(at.checked_sub(1).and_then(|before| lines.get(before)))
        && blank(lines.get(at + 1))
        && at + 1 < lines.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PassageKind::{self, Heading, Prose};
    use super::super::passages_from_page;

    fn texts(page: &str) -> Vec<(PassageKind, String)> {
        passages_from_page(1, page)
            .into_iter()
            .map(|p| (p.kind, p.text))
            .collect()
    }

    #[test]
    fn wrapped_lines_stay_one_paragraph() {
        let page = "The bridge was opened\nin 1932 by the mayor.\n\nIt is 300 m long.";
        assert_eq!(
            texts(page),
            [
                (
                    PassageKind::Prose,
                    "The bridge was opened\nin 1932 by the mayor.".to_owned()
                ),
                (PassageKind::Prose, "It is 300 m long.".to_owned()),
            ]
        );
    }

    #[test]
    fn headings_are_told_from_text_without_blank_lines() {
        let page = "3.1 Scope of Delivery\n\
            The supplier delivers twelve pumps and their spare parts to the site.\n\
            TERMINATION\n\
            Either side may end the contract with notice.";
        let kinds: Vec<_> = texts(page).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Heading, Prose, Heading, Prose]);
    }

    #[test]
    fn underlined_headings_lose_their_rule() {
        let page = "Aborting a connection\n~~~~~~~~~~~~~~~~~~~~~\n\nIt is possible.\n\nwww-data\n\nThe web server.";
        let kinds: Vec<_> = texts(page).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [Heading, Prose, Heading, Prose]);
    }

    #[test]
    fn list_items_and_table_lines_stand_alone() {
        let page = "You need:\n- a pump,\n- a hose that is\n  long enough\nName    Age    Town\nAda     36     London";
        let found: Vec<_> = texts(page).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            found,
            [
                "You need:",
                "- a pump,",
                "- a hose that is\n  long enough",
                "Name    Age    Town",
                "Ada     36     London"
            ]
        );
    }

    #[test]
    fn a_short_last_line_ends_the_paragraph() {
        let page = "A long first line that fills the whole measure of the page here\nand ends early.\n\
            A second paragraph starts here and fills the measure again, yes\nto its end.";
        assert_eq!(texts(page).len(), 2);
    }

    proptest! {
        #[test]
        fn every_block_is_a_slice_at_its_offset(page in "[ \\n\\t\\PC]{0,300}") {
            let chars: Vec<char> = page.chars().collect();
            let mut end = 0;
            let mut kept = 0;
            for passage in passages_from_page(1, &page) {
                let start = passage.locator.offset() as usize;
                let len = passage.text.chars().count();
                prop_assert!(start >= end);
                prop_assert_eq!(chars[start..start + len].iter().collect::<String>(), passage.text.clone());
                end = start + len;
                kept += passage.text.chars().filter(|c| c.is_alphanumeric()).count();
            }
            prop_assert_eq!(kept, page.chars().filter(|c| c.is_alphanumeric()).count());
        }
    }
}
