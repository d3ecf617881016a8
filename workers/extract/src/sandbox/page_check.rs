//! Whether a page that a child sent can be one.
//!
//! Everything that points into a text must point inside it, every number must be one, and nothing may be more than a page has.

use crate::document::{Line, Page};
use crate::limits::{
    MAX_PAGE_CELLS, MAX_PAGE_LINES, MAX_PAGE_TABLES, MAX_PAGE_TEXT, MAX_PAGE_WORDS,
};
use crate::structure::{PageTable, WordBox};

/// Bytes that a page takes in memory, for the job's budget.
pub(super) fn size_of_page(page: &Page) -> usize {
    let cells = page
        .tables
        .iter()
        .flat_map(|table| table.rows.iter().flatten());
    let cells: usize = cells.map(|cell| size_of::<String>() + cell.len()).sum();
    let lines = page.lines.len() * size_of::<Line>();
    let words = page.words.len() * size_of::<WordBox>();
    page.text.len() + lines + words + cells
}

/// Whether nothing on the page contradicts itself or the limits.
pub(super) fn is_plausible(page: &Page) -> bool {
    let characters = page.text.chars().count() as u32;
    has_plausible_numbers(page)
        && page.text.len() <= MAX_PAGE_TEXT
        && page.lines.len() <= MAX_PAGE_LINES
        && page.words.len() <= MAX_PAGE_WORDS
        && page.tables.len() <= MAX_PAGE_TABLES
        && cells(page) <= MAX_PAGE_CELLS
        && page
            .lines
            .iter()
            .all(|line| is_inside(line.start, line.end, &line.bbox, characters))
        && page
            .words
            .iter()
            .all(|word| is_inside(word.start, word.end, &word.bbox, characters))
        && page.tables.iter().all(|table| is_table(table, characters))
}

fn has_plausible_numbers(page: &Page) -> bool {
    let shares = [Some(page.score), page.confidence];
    let sizes = [page.width, page.height];
    shares
        .iter()
        .flatten()
        .all(|share| (0.0..=1.0).contains(share))
        && sizes.iter().all(|size| size.is_finite() && *size >= 0.0)
}

fn cells(page: &Page) -> usize {
    let rows = page.tables.iter().flat_map(|table| &table.rows);
    rows.map(Vec::len).sum()
}

fn is_inside(start: u32, end: u32, bbox: &[f32; 4], characters: u32) -> bool {
    start <= end && end <= characters && bbox.iter().all(|edge| edge.is_finite())
}

fn is_table(table: &PageTable, characters: u32) -> bool {
    let columns = table.rows.first().map_or(0, Vec::len);
    let is_covered = |first: u32, count: u32, of: usize| {
        count > 0
            && first
                .checked_add(count)
                .is_some_and(|end| end as usize <= of)
    };
    is_inside(
        table.start,
        table.end,
        &table.bbox.unwrap_or_default(),
        characters,
    ) && columns > 0
        && table.rows.iter().all(|row| row.len() == columns)
        && table.spans.len() <= MAX_PAGE_CELLS
        && table.spans.iter().all(|span| {
            is_covered(span.row, span.rows, table.rows.len())
                && is_covered(span.column, span.columns, columns)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::CellSpan;

    fn page() -> Page {
        Page {
            text: "éa b".to_owned(),
            ..Page::empty(1, (10.0, 10.0))
        }
    }

    fn table() -> PageTable {
        PageTable {
            start: 0,
            end: 4,
            bbox: Some([0.0; 4]),
            rows: vec![vec!["éa".to_owned(), "b".to_owned()]],
            spans: vec![],
        }
    }

    #[test]
    fn lines_and_words_stand_inside_the_text() {
        for (start, end, is_good) in [(0, 4, true), (0, 5, false), (2, 1, false)] {
            let bbox = [0.0; 4];
            let lines = vec![Line::new(start, end, bbox)];
            assert_eq!(is_plausible(&Page { lines, ..page() }), is_good);
            let words = vec![WordBox { start, end, bbox }];
            assert_eq!(is_plausible(&Page { words, ..page() }), is_good);
        }
        let words = vec![WordBox {
            start: 0,
            end: 1,
            bbox: [0.0, f32::NAN, 0.0, 0.0],
        }];
        assert!(!is_plausible(&Page { words, ..page() }));
    }

    #[test]
    fn tables_are_rectangular_and_spans_lie_in_them() {
        let with = |table| Page {
            tables: vec![table],
            ..page()
        };
        let span = |row, columns| CellSpan {
            row,
            column: 0,
            rows: 1,
            columns,
        };
        assert!(is_plausible(&with(table())));
        assert!(is_plausible(&with(PageTable {
            spans: vec![span(0, 2)],
            ..table()
        })));
        for bad in [
            PageTable { end: 5, ..table() },
            PageTable {
                rows: vec![],
                ..table()
            },
            PageTable {
                rows: vec![vec![String::new()], vec![]],
                ..table()
            },
            PageTable {
                spans: vec![span(0, 3)],
                ..table()
            },
            PageTable {
                spans: vec![span(1, 1)],
                ..table()
            },
            PageTable {
                spans: vec![span(0, 0)],
                ..table()
            },
            PageTable {
                spans: vec![span(u32::MAX, 1)],
                ..table()
            },
        ] {
            assert!(!is_plausible(&with(bad.clone())), "{bad:?}");
        }
    }

    #[test]
    fn what_is_counted_is_limited() {
        let tables = vec![table(); MAX_PAGE_TABLES + 1];
        assert!(!is_plausible(&Page { tables, ..page() }));
        let many = PageTable {
            rows: vec![vec![String::new()]; MAX_PAGE_CELLS + 1],
            ..table()
        };
        assert!(!is_plausible(&Page {
            tables: vec![many],
            ..page()
        }));
        assert_eq!(size_of_page(&page()), 5);
    }
}
