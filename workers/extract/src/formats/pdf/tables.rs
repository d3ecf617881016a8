//! Tables with borders: the words between the rulings, cell by cell.
//!
//! A table is taken out of the rows of a page before their order is looked for, and each of its rows put back as one piece: a cell of
//! several lines is read as a whole, and no gap between cells is mistaken for one between columns of text. Borders around other things
//! (charts, boxes, forms of a whole page) do not make a table.

use std::mem;

use super::bidi::is_mostly_right_to_left;
use super::compose::{joined_lines, reading_text};
use super::geometry::{Frame, Rect};
use super::grid::{Grid, Span, grids};
use super::order::Line;
use super::rulings::Rulings;
use super::words::Word;
use crate::structure::{CellSpan, PageTable};

/// A row of a table, as a piece of a line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableRow {
    /// Which table of the page it belongs to.
    pub(super) table: usize,
    /// Its words, in the order of the cells.
    pub(super) words: Vec<Word>,
}

/// Takes the tables within `rulings` out of `rows` and leaves their rows in their places. The tables still lack their place in the
/// text. `first` is the number of the first of them on the page.
pub(super) fn take_tables(
    rows: &mut Vec<Line>,
    rulings: &Rulings,
    frame: Frame,
    first: usize,
) -> Vec<PageTable> {
    let mut tables = Vec::new();
    for grid in grids(rulings) {
        let cells = cells(rows, &grid);
        if !is_table(&grid, &cells) {
            continue;
        }
        let number = first + tables.len();
        remove_words(rows, &grid);
        let is_turned =
            is_mostly_right_to_left(&cells.iter().map(Cell::letters).collect::<String>());
        put_rows(rows, &grid, &cells, number, is_turned);
        tables.push(page_table(&grid, &cells, frame, is_turned));
    }
    tables
}

/// What stands in a cell.
struct Cell {
    span: Span,
    lines: Vec<Line>,
}

impl Cell {
    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    fn words(&self) -> usize {
        self.lines.iter().map(Vec::len).sum()
    }

    fn letters(&self) -> String {
        self.lines
            .iter()
            .flatten()
            .map(|word| word.text.as_str())
            .collect()
    }

    fn text(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(reading_text).collect();
        joined_lines(&lines)
    }
}

fn cells(rows: &[Line], grid: &Grid) -> Vec<Cell> {
    let mut at_place = vec![0; grid.rows() * grid.columns()];
    for (index, span) in grid.cells.iter().enumerate() {
        for row in span.row..span.row + span.rows {
            for column in span.column..span.column + span.columns {
                at_place[row * grid.columns() + column] = index;
            }
        }
    }
    let mut cells: Vec<Cell> = grid
        .cells
        .iter()
        .map(|&span| Cell {
            span,
            lines: Vec::new(),
        })
        .collect();
    for word in rows.iter().flatten() {
        let Some((row, column)) = place(grid, word) else {
            continue;
        };
        let cell = &mut cells[at_place[row * grid.columns() + column]];
        // A cell has one line for each baseline that has words in it.
        match cell.lines.last_mut() {
            Some(line) if (line[0].v - word.v).abs() < f32::EPSILON => line.push(word.clone()),
            _ => cell.lines.push(vec![word.clone()]),
        }
    }
    cells
}

/// The place of a word: that of its middle, a little above its baseline.
fn place(grid: &Grid, word: &Word) -> Option<(usize, usize)> {
    /// Share of the font size at which small letters have their middle.
    const MIDDLE: f32 = 0.25;
    grid.place(f32::midpoint(word.u0, word.u1), word.v - MIDDLE * word.size)
}

/// Whether what stands between the lines is a table.
fn is_table(grid: &Grid, cells: &[Cell]) -> bool {
    /// Fewer cells with text are a box with a caption.
    const LEAST_CELLS: usize = 4;
    /// Share of cells with text; the squares behind a curve have none.
    const LEAST_SHARE: f32 = 0.2;
    /// A cell with more words is a page inside a frame.
    const MOST_WORDS: usize = 250;
    if grid.rows() < 2 || grid.columns() < 2 {
        return false;
    }
    let full: Vec<&Cell> = cells.iter().filter(|cell| !cell.is_empty()).collect();
    let differ =
        |of: fn(&Span) -> usize| full.iter().any(|cell| of(&cell.span) != of(&full[0].span));
    full.len() >= LEAST_CELLS
        && full.len() as f32 >= LEAST_SHARE * cells.len() as f32
        && full.iter().all(|cell| cell.words() <= MOST_WORDS)
        && differ(|span| span.row)
        && differ(|span| span.column)
}

fn remove_words(rows: &mut Vec<Line>, grid: &Grid) {
    for row in rows.iter_mut() {
        row.retain(|word| word.table.is_some() || place(grid, word).is_none());
    }
    rows.retain(|row| !row.is_empty());
}

/// Puts the rows of a table where its words were.
fn put_rows(rows: &mut Vec<Line>, grid: &Grid, cells: &[Cell], table: usize, is_turned: bool) {
    /// Baselines closer than this share of the font size are one.
    const SAME_BASELINE: f32 = 0.3;
    for index in 0..grid.rows() {
        let in_row = cells
            .iter()
            .filter(|cell| cell.span.row == index && !cell.is_empty());
        let Some(piece) = row_piece(in_row, table, is_turned, grid) else {
            continue;
        };
        let reach = SAME_BASELINE * piece.size;
        match rows.iter_mut().find(|row| {
            (row[0].v - piece.v).abs() < reach
                && row
                    .iter()
                    .all(|word| word.u1 <= piece.u0 || word.u0 >= piece.u1)
        }) {
            Some(row) => {
                let at = row.partition_point(|word| word.u0 < piece.u0);
                row.insert(at, piece);
            }
            None => rows.push(vec![piece]),
        }
    }
    rows.sort_by(|a, b| a[0].v.total_cmp(&b[0].v));
}

/// A row of cells as one word as wide as the table.
fn row_piece<'c>(
    cells: impl Iterator<Item = &'c Cell>,
    table: usize,
    is_turned: bool,
    grid: &Grid,
) -> Option<Word> {
    let mut cells: Vec<&Cell> = cells.collect();
    if is_turned {
        cells.reverse();
    }
    let texts: Vec<String> = cells.iter().map(|cell| cell.text()).collect();
    let words: Vec<Word> = cells
        .iter()
        .flat_map(|cell| cell.lines.iter().flatten().cloned())
        .collect();
    let first = words.iter().min_by(|a, b| a.v.total_cmp(&b.v))?;
    let bounds = grid.bounds();
    Some(Word {
        text: texts.join(" "),
        u0: bounds.x0,
        u1: bounds.x1,
        v: first.v,
        size: first.size,
        table: Some(Box::new(TableRow { table, words })),
    })
}

fn page_table(grid: &Grid, cells: &[Cell], frame: Frame, is_turned: bool) -> PageTable {
    let columns = grid.columns();
    let mut rows = vec![vec![String::new(); columns]; grid.rows()];
    let mut spans = Vec::new();
    for cell in cells {
        let Span {
            row,
            column,
            rows: height,
            columns: width,
        } = cell.span;
        // In a table that is read from the right the first column is the right one.
        let column = if is_turned {
            columns - column - width
        } else {
            column
        };
        rows[row][column] = cell.text();
        if height * width > 1 {
            spans.push(CellSpan {
                row: row as u32,
                column: column as u32,
                rows: height as u32,
                columns: width as u32,
            });
        }
    }
    let Rect { x0, y0, x1, y1 } = frame.rect_out(grid.bounds());
    let mut table = PageTable {
        start: 0,
        end: 0,
        bbox: Some([x0, y0, x1, y1]),
        rows,
        spans,
    };
    without_empty_edges(&mut table);
    table
}

/// Leaves out rows and columns that nothing stands in and no merged cell reaches: double borders make them.
fn without_empty_edges(table: &mut PageTable) {
    if !table.spans.is_empty() {
        return;
    }
    table
        .rows
        .retain(|row| row.iter().any(|cell| !cell.is_empty()));
    let columns = table.rows.first().map_or(0, Vec::len);
    let is_full: Vec<bool> = (0..columns)
        .map(|column| table.rows.iter().any(|row| !row[column].is_empty()))
        .collect();
    for row in &mut table.rows {
        *row = mem::take(row)
            .into_iter()
            .zip(&is_full)
            .filter_map(|(cell, is_full)| is_full.then_some(cell))
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::super::geometry::Angle;
    use super::super::rulings::Ruling;
    use super::super::testing::words;
    use super::*;

    fn line(at: f32, from: f32, to: f32) -> Ruling {
        Ruling { at, from, to }
    }

    /// Three rows and two columns, 100 points wide and 30 high each.
    fn rulings() -> Rulings {
        Rulings {
            across: [100.0, 130.0, 160.0, 190.0]
                .map(|at| line(at, 50.0, 250.0))
                .to_vec(),
            down: [50.0, 150.0, 250.0]
                .map(|at| line(at, 100.0, 190.0))
                .to_vec(),
        }
    }

    fn taken(rows: &mut Vec<Line>) -> Vec<PageTable> {
        take_tables(rows, &rulings(), Frame::of(Angle::UPRIGHT), 0)
    }

    fn row(cells: &[(&str, f32)], y: f32) -> Line {
        cells
            .iter()
            .flat_map(|(text, x)| words(text, *x, y, 10.0))
            .collect()
    }

    #[test]
    fn cells_are_read_as_wholes_and_rows_keep_their_place() {
        let mut rows = vec![
            row(&[("before", 50.0)], 80.0),
            row(&[("Item", 55.0), ("Price", 155.0)], 115.0),
            row(
                &[("a long", 55.0), ("12.50", 155.0), ("beside", 300.0)],
                142.0,
            ),
            row(&[("name", 55.0)], 154.0),
            row(&[("nails", 55.0), ("3.00", 155.0)], 175.0),
            row(&[("after", 50.0)], 220.0),
        ];
        let tables = taken(&mut rows);
        assert_eq!(
            tables[0].rows,
            [
                ["Item", "Price"],
                ["a long name", "12.50"],
                ["nails", "3.00"]
            ]
        );
        assert_eq!(tables[0].bbox, Some([50.0, 100.0, 250.0, 190.0]));
        let texts: Vec<String> = rows
            .iter()
            .map(|row| {
                row.iter()
                    .map(|word| word.text.as_str())
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect();
        assert_eq!(
            texts,
            [
                "before",
                "Item Price",
                "a long name 12.50|beside",
                "nails 3.00",
                "after"
            ]
        );
    }

    #[test]
    fn a_table_that_is_read_from_the_right_begins_at_the_right() {
        let mut rows = vec![
            row(
                &[("\u{5D1}\u{5D0}", 55.0), ("\u{5D3}\u{5D2}", 155.0)],
                115.0,
            ),
            row(&[("1", 55.0), ("\u{5D5}\u{5D4}", 155.0)], 145.0),
        ];
        let tables = taken(&mut rows);
        assert_eq!(tables[0].rows[1], ["\u{5D4}\u{5D5}", "1"]);
        assert_eq!(rows[1][0].text, "\u{5D4}\u{5D5} 1");
    }

    #[test]
    fn the_squares_behind_a_curve_are_no_table() {
        let mut rows = vec![
            row(&[("1", 30.0), ("label", 60.0)], 115.0),
            row(&[("2", 30.0)], 145.0),
        ];
        let before = rows.clone();
        assert!(taken(&mut rows).is_empty());
        assert_eq!(rows, before);
    }
}
