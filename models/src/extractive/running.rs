//! Finds running heads and feet: first or last lines that return page after page.
//!
//! Numbers are compared as one sign, so `Page 3 of 40` equals `Page 4 of 40`. Such lines are cut off before
//! sentences are looked for; left in, they would split sentences and fill summaries.

use std::collections::HashMap;
use std::ops::Range;

use crate::passage::{Locator, Passage};

use super::fold::fold;

/// Lines looked at from each end of a page.
const EDGE_LINES: usize = 2;
/// A line must return on at least this many pages.
const MIN_PAGES: usize = 3;
/// A line must return on at least this share of the pages between its first and last one.
const MIN_SHARE: f32 = 0.3;
/// A longer line is text.
const MAX_BYTES: usize = 150;

/// Byte range of the text of each passage that is left without running heads and feet.
pub(super) fn without_running_lines(passages: &[Passage]) -> Vec<Range<usize>> {
    let mut kept: Vec<_> = passages
        .iter()
        .map(|passage| 0..passage.text.len())
        .collect();
    let edges = edges(passages);
    let mut seen: HashMap<&str, Seen> = HashMap::new();
    for edge in &edges {
        seen.entry(&edge.key)
            .and_modify(|seen| seen.add(edge.page))
            .or_insert_with(|| Seen::new(edge.page));
    }
    // Only lines outside of any other text are cut, so the first line that stays ends its page's head or foot.
    let mut closed = None;
    for edge in &edges {
        let side = (edge.page, edge.at_top);
        let running = edge.len() <= MAX_BYTES && seen[edge.key.as_str()].is_running();
        if running && closed != Some(side) {
            edge.cut(&mut kept[edge.passage]);
        } else {
            closed = Some(side);
        }
    }
    keep_whole_pages(passages, &mut kept);
    kept
}

/// A page of nothing but lines that return (a form, a certificate) is read as it is.
fn keep_whole_pages(passages: &[Passage], kept: &mut [Range<usize>]) {
    let mut first = 0;
    while let Some(page) = passages.get(first).map(page_of) {
        let end = first
            + passages[first..]
                .iter()
                .take_while(|passage| page_of(passage) == page)
                .count();
        let is_empty =
            |at: usize| !passages[at].text[kept[at].clone()].contains(char::is_alphanumeric);
        if (first..end).all(is_empty) {
            (first..end).for_each(|at| kept[at] = 0..passages[at].text.len());
        }
        first = end;
    }
}

/// A line near the top or bottom of its page.
struct Edge {
    passage: usize,
    page: u32,
    at_top: bool,
    /// Byte range in the passage's text.
    start: usize,
    end: usize,
    key: String,
}

impl Edge {
    fn len(&self) -> usize {
        self.end - self.start
    }

    /// Cuts the line off the part of its passage that is kept.
    fn cut(&self, kept: &mut Range<usize>) {
        if self.at_top {
            kept.start = kept.start.max(self.end).min(kept.end);
        } else {
            kept.end = kept.end.min(self.start).max(kept.start);
        }
    }
}

/// The pages on which one line was seen.
struct Seen {
    first: u32,
    last: u32,
    pages: usize,
}

impl Seen {
    fn new(page: u32) -> Self {
        Self {
            first: page,
            last: page,
            pages: 1,
        }
    }

    fn add(&mut self, page: u32) {
        self.pages += usize::from(page != self.last);
        self.last = page;
    }

    fn is_running(&self) -> bool {
        let spread = (self.last.saturating_sub(self.first)) as f32 + 1.0;
        self.pages >= MIN_PAGES && self.pages as f32 >= MIN_SHARE * spread
    }
}

fn edges(passages: &[Passage]) -> Vec<Edge> {
    let mut out = Vec::new();
    let mut first = 0;
    while let Some(page) = passages.get(first).map(page_of) {
        let count = passages[first..]
            .iter()
            .take_while(|passage| page_of(passage) == page)
            .count();
        if let Some(number) = page {
            page_edges(passages, first..first + count, number, &mut out);
        }
        first += count;
    }
    out
}

fn page_of(passage: &Passage) -> Option<u32> {
    match passage.locator {
        Locator::Page { page, .. } => Some(page),
        Locator::Row { .. } | Locator::Image { .. } => None,
    }
}

fn page_edges(passages: &[Passage], range: Range<usize>, page: u32, out: &mut Vec<Edge>) {
    let edge = |at_top: bool| {
        move |(passage, start, line): (usize, usize, &str)| {
            let end = start + line.len();
            Edge {
                passage,
                page,
                at_top,
                start,
                end,
                key: key(line, at_top),
            }
        }
    };
    let top = range
        .clone()
        .flat_map(|at| lines(&passages[at].text).map(move |(s, line)| (at, s, line)));
    out.extend(top.take(EDGE_LINES).map(edge(true)));
    let bottom = range
        .rev()
        .flat_map(|at| lines_from_end(&passages[at].text).map(move |(s, line)| (at, s, line)));
    out.extend(bottom.take(EDGE_LINES).map(edge(false)));
}

/// The lines of a text with their byte offsets, line ends included.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some((start, line))
    })
}

fn lines_from_end(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_inclusive('\n')
        .rev()
        .scan(text.len(), |end, line| {
            *end -= line.len();
            Some((*end, line))
        })
}

/// What all appearances of one running line have in common.
fn key(line: &str, at_top: bool) -> String {
    let mut out = String::from(if at_top { "t" } else { "b" });
    let mut in_number = false;
    for c in fold(line.trim()).chars() {
        let digit = c.is_ascii_digit();
        if !(digit && in_number) {
            out.push(if digit { '#' } else { c });
        }
        in_number = digit;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passage::passages_from_page;

    fn kept(pages: &[String]) -> Vec<String> {
        let passages: Vec<_> = (1..)
            .zip(pages)
            .flat_map(|(number, text)| passages_from_page(number, text))
            .collect();
        let ranges = without_running_lines(&passages);
        passages
            .iter()
            .zip(ranges)
            .map(|(passage, range)| passage.text[range].trim().to_owned())
            .collect()
    }

    #[test]
    fn heads_and_page_numbers_that_return_are_cut_off() {
        let bodies = [
            "Pumps move water.",
            "Valves stop it.",
            "Pipes carry it.",
            "Tanks keep it.",
        ];
        let pages: Vec<_> = (1..)
            .zip(bodies)
            .map(|(n, body)| {
                format!("Water works handbook\nand this line {body}\nit ends here.\nPage {n} of 4")
            })
            .collect();
        let left = kept(&pages).concat();
        assert!(
            !left.contains("handbook") && !left.contains("Page"),
            "{left}"
        );
        assert!(bodies.iter().all(|body| left.contains(body)), "{left}");
    }

    #[test]
    fn text_outside_of_a_returning_line_and_pages_of_nothing_else_stay() {
        let pages: Vec<_> = ["Alpha works", "Beta rests", "Gamma sings"]
            .iter()
            .map(|name| {
                format!("{name} here.\n\nSigned and sealed by the board.\n\nIt is so {name}.")
            })
            .collect();
        assert!(kept(&pages).concat().contains("Signed and sealed"));
        let forms: Vec<_> = (1..5).map(|n| format!("Certificate number {n}")).collect();
        assert_eq!(kept(&forms), forms);
    }

    #[test]
    fn lines_that_do_not_return_stay() {
        let pages: Vec<_> = [
            "One thing.",
            "Another thing.",
            "A third thing.",
            "The last.",
        ]
        .map(str::to_owned)
        .into();
        assert_eq!(kept(&pages), pages);
    }
}
