//! Whether a gutter separates columns of text or cells of a table.
//!
//! Columns are read down, tables across, and both look like text left and right of white space. Two things tell them apart: columns
//! of running text have long lines that fill their width, and columns that do not belong together rarely share baselines.

use std::ops::Range;

use super::gutters::best_gutter_within;
use super::order::{Line, median};
use super::words::{Word, is_written_without_spaces};

/// Fewest lines of a column.
const LEAST_LINES: usize = 3;

/// Letters that two lines have on average to be a column all the same: the end of an article, set in columns of equal height.
const LETTERS_OF_TWO_LINES: f32 = 26.0;

/// Letters that a line of running text has: a column of a newspaper has 30, a cell of a table rarely 15.
const LEAST_LETTERS: f32 = 16.0;

/// Letters that the lines of a column with baselines of its own have on average.
const LEAST_LETTERS_APART: f32 = 3.0;

/// What stands on one side of a gutter: one entry per row of the band, empty where the side has no text.
pub(super) struct Side<'w> {
    rows: Vec<&'w [Word]>,
    /// How many gutters were found around it.
    depth: usize,
}

impl<'w> Side<'w> {
    /// The words of each row on this side.
    pub(super) fn new(rows: Vec<&'w [Word]>, depth: usize) -> Self {
        Self { rows, depth }
    }

    fn lines(&self) -> impl Iterator<Item = &'w [Word]> {
        self.rows.iter().copied().filter(|row| !row.is_empty())
    }

    fn count(&self) -> usize {
        self.lines().count()
    }

    fn letters_per_line(&self) -> f32 {
        let letters: f32 = self.lines().flatten().map(|word| letters(&word.text)).sum();
        letters / self.count().max(1) as f32
    }

    /// Whether the lines read as running text.
    fn is_running_text(&self, gutter: f32) -> bool {
        /// Share of lines that reach (nearly) the right end of the column.
        const LEAST_FILLED: f32 = 0.4;
        let (left, right) = self.extent();
        let filled = self
            .lines()
            .filter(|line| end(line) - left > 0.75 * (right - left))
            .count();
        let with_cells = self.lines().filter(|line| has_cells(line, gutter)).count();
        let count = self.count();
        self.letters_per_line() >= LEAST_LETTERS
            && filled as f32 >= LEAST_FILLED * count as f32
            && with_cells * 2 <= count
    }

    /// Whether the side reads as running text, or is made of columns that do.
    fn reads_down(&self, gutter: f32) -> bool {
        self.is_running_text(gutter) || self.is_columns(gutter)
    }

    /// Whether it can be cut into columns in turn. Rows of a table seldom have as many letters.
    fn is_columns(&self, gutter: f32) -> bool {
        /// Pages with more columns than four are lists and tables.
        const DEEPEST: usize = 2;
        let with_cells = self.lines().filter(|line| has_cells(line, gutter)).count();
        if self.depth >= DEEPEST
            || self.letters_per_line() < 2.0 * LEAST_LETTERS
            || with_cells * 2 <= self.count()
        {
            return false;
        }
        let rows: Vec<&[Word]> = self.lines().collect();
        best_gutter_within(&rows, self.depth + 1)
            .is_some_and(|inner| inner.rows.len() * 2 > rows.len())
    }

    /// Whether a paragraph stands on this side: lines one below the other that fill its width. Around it may be tables and figures.
    fn holds_paragraph(&self, gutter: f32) -> bool {
        /// Rows of a table are as long as this by chance, but not so many in a row.
        const LEAST_LINES: usize = 4;
        /// Share of the width that a line fills; set flush left, lines end up to a long word before the edge.
        const LEAST_FILLED: f32 = 0.85;
        let (left, right) = self.extent();
        let mut stretch = 0;
        self.lines().any(|line| {
            let full = end(line) - line[0].u0 > LEAST_FILLED * (right - left);
            let text: f32 = line.iter().map(|word| letters(&word.text)).sum();
            let is_prose = full && text >= LEAST_LETTERS && !has_cells(line, gutter);
            stretch = if is_prose { stretch + 1 } else { 0 };
            stretch >= LEAST_LINES
        })
    }

    fn extent(&self) -> (f32, f32) {
        let left = self
            .lines()
            .map(|line| line[0].u0)
            .fold(f32::INFINITY, f32::min);
        let right = self.lines().map(end).fold(f32::NEG_INFINITY, f32::max);
        (left, right)
    }
}

fn end(line: &[Word]) -> f32 {
    line[line.len() - 1].u1
}

/// Whether a line has a gap as wide as a gutter in it, as rows of a table do.
fn has_cells(line: &[Word], gutter: f32) -> bool {
    line.windows(2)
        .any(|pair| pair[1].u0 - pair[0].u1 > gutter.min(2.0 * pair[0].size))
}

/// Letters of a word, a Chinese character counting as two: it says as much and is twice as wide.
fn letters(word: &str) -> f32 {
    word.chars()
        .filter(|c| c.is_alphabetic())
        .map(|c| {
            if is_written_without_spaces(c) {
                2.0
            } else {
                1.0
            }
        })
        .sum()
}

/// Whether two sides of a gutter are columns of their own.
pub(super) fn are_columns(left: &Side<'_>, right: &Side<'_>, gutter: f32) -> bool {
    let fewest = left.count().min(right.count());
    let is_long_enough =
        |side: &&Side<'_>| side.count() > 1 && side.letters_per_line() >= LETTERS_OF_TWO_LINES;
    if fewest < LEAST_LINES && ![left, right].iter().all(is_long_enough) {
        return false;
    }
    let shared = left
        .rows
        .iter()
        .zip(&right.rows)
        .filter(|(left, right)| !left.is_empty() && !right.is_empty())
        .count();
    if shared * 2 < fewest {
        // Columns that share few baselines are set apart from each other. So are the numbers in tall cells of a table.
        return [left, right]
            .iter()
            .all(|side| side.letters_per_line() >= LEAST_LETTERS_APART);
    }
    [left, right].iter().all(|side| side.reads_down(gutter))
        || [left, right]
            .iter()
            .all(|side| side.holds_paragraph(gutter))
}

/// The groups of rows of a band that is a table whose cells hold several lines each; `None` for columns.
///
/// Such a table has white space across all of its columns after every few lines. Columns of running text have their paragraphs end
/// where they end.
pub(super) fn cell_groups<'r, F>(band: &'r [Line], split: F) -> Option<Vec<Range<usize>>>
where
    F: Fn(&'r [Word]) -> (&'r [Word], &'r [Word]),
{
    /// White space between rows of cells, in line distances of a column.
    const APART: f32 = 1.3;
    /// A cell with more lines than this on average is a column.
    const MOST_LINES: usize = 6;
    /// Fewer rows of cells than this may be chance.
    const LEAST_GROUPS: usize = 3;

    let left: Vec<f32> = band
        .iter()
        .filter(|row| !split(row).0.is_empty())
        .map(|row| row[0].v)
        .collect();
    let right: Vec<f32> = band
        .iter()
        .filter(|row| !split(row).1.is_empty())
        .map(|row| row[0].v)
        .collect();
    let pitch =
        |baselines: &[f32]| median(baselines.windows(2).map(|pair| pair[1] - pair[0]).collect());
    let pitch = pitch(&left).min(pitch(&right));

    let mut groups = Vec::new();
    let mut start = 0;
    for (index, pair) in band.windows(2).enumerate() {
        if pair[1][0].v - pair[0][0].v > APART * pitch {
            groups.push(start..index + 1);
            start = index + 1;
        }
    }
    groups.push(start..band.len());
    let lines = |group: &Range<usize>| {
        let of_sides = band[group.clone()].iter().map(|row| split(row));
        of_sides.fold((0, 0), |(left, right), row| {
            (
                left + usize::from(!row.0.is_empty()),
                right + usize::from(!row.1.is_empty()),
            )
        })
    };
    let starts_together = |group: &Range<usize>| {
        let (left, right) = split(&band[group.start]);
        !left.is_empty() && !right.is_empty()
    };
    // Paragraphs of two columns that end on the same lines have the same heights; cells rarely do.
    let uneven = groups
        .iter()
        .map(lines)
        .filter(|(left, right)| left != right)
        .count();
    let is_table = groups.len() >= LEAST_GROUPS
        && band.len() <= MOST_LINES * groups.len()
        && uneven * 2 >= groups.len()
        && groups.iter().all(starts_together);
    is_table.then_some(groups)
}

#[cfg(test)]
mod tests {
    use super::super::testing::words;
    use super::*;

    fn side(lines: &[&str]) -> Vec<Vec<Word>> {
        lines
            .iter()
            .enumerate()
            .map(|(n, text)| words(text, 50.0, 100.0 + 12.0 * n as f32, 10.0))
            .collect()
    }

    fn view(rows: &[Vec<Word>]) -> Side<'_> {
        Side::new(rows.iter().map(Vec::as_slice).collect(), 0)
    }

    #[test]
    fn prose_on_both_sides_is_columns() {
        let left = side(&[
            "a line of running text here",
            "goes on to the right side",
            "and to the next line too",
        ]);
        let right = side(&[
            "other words that fill up",
            "their own column to its end",
            "without any tables in it",
        ]);
        assert!(are_columns(&view(&left), &view(&right), 20.0));
    }

    #[test]
    fn numbers_in_the_middle_of_tall_cells_are_a_table() {
        let labels = side(&[
            "Premature mortality, in years",
            "",
            "of life lost before age 75",
            "",
            "Between-state inequality",
            "",
        ]);
        let numbers = side(&["", "7108 6960 6920", "", "", "0.0762 0.0785", ""]);
        let text = side(&["", "short lines", "", "of a side note", "", "beside them"]);
        let blank = |rows: Vec<Vec<Word>>| -> Vec<Vec<Word>> {
            rows.into_iter()
                .map(|row| {
                    row.into_iter()
                        .filter(|word| !word.text.is_empty())
                        .collect()
                })
                .collect()
        };
        let (labels, numbers, text) = (blank(labels), blank(numbers), blank(text));
        assert!(!are_columns(&view(&labels), &view(&numbers), 20.0));
        assert!(are_columns(&view(&labels), &view(&text), 20.0));
    }

    #[test]
    fn a_table_inside_a_column_of_text_does_not_make_the_page_a_table() {
        let prose = [
            "a line of running text here",
            "goes on to the right side",
            "and to the next line too",
            "until the paragraph ends",
        ];
        let table = [
            "files open      12",
            "naming         60",
            "files cached   24",
            "shared locks    0",
            "directories     8",
        ];
        let left = side(&[&prose[..], &table[..]].concat());
        let right = side(&["other words that fill up it"; 9]);
        let left: Vec<Vec<Word>> = left
            .into_iter()
            .map(|row| {
                row.into_iter()
                    .filter(|word| !word.text.is_empty())
                    .collect()
            })
            .collect();
        assert!(are_columns(&view(&left), &view(&right), 15.0));
        assert!(!are_columns(&view(&left[4..]), &view(&right[4..]), 15.0));
    }

    #[test]
    fn short_cells_beside_prose_are_a_table() {
        let left = side(&["1926", "1929", "1932"]);
        let right = side(&[
            "a line of running text here",
            "goes on to the right side",
            "and to the next line too",
        ]);
        assert!(!are_columns(&view(&left), &view(&right), 20.0));
    }

    fn band(cells: &[(usize, usize)]) -> Vec<Line> {
        let mut band = Vec::new();
        let mut y = 100.0;
        for &(left, right) in cells {
            for n in 0..left.max(right) {
                let mut row = Line::new();
                if n < left {
                    row.extend(words("text of a cell", 50.0, y, 10.0));
                }
                if n < right {
                    row.extend(words("text of another", 250.0, y, 10.0));
                }
                band.push(row);
                y += 12.0;
            }
            y += 12.0;
        }
        band
    }

    fn groups(band: &[Line]) -> Option<Vec<Range<usize>>> {
        cell_groups(band, |row| {
            row.split_at(row.iter().take_while(|word| word.u0 < 200.0).count())
        })
    }

    #[test]
    fn cells_of_several_lines_are_grouped_by_the_white_space_between_them() {
        assert_eq!(
            groups(&band(&[(2, 1), (1, 3), (2, 2)])),
            Some(vec![0..2, 2..5, 5..7])
        );
    }

    #[test]
    fn paragraphs_that_happen_to_end_together_are_not_cells() {
        assert_eq!(groups(&band(&[(4, 4), (5, 5), (2, 2)])), None);
    }

    #[test]
    fn columns_with_paragraphs_in_different_places_are_not_grouped() {
        let mut band: Vec<Line> = Vec::new();
        for n in 0..12 {
            let y = 100.0 + 12.0 * n as f32;
            let mut row = if n == 4 {
                Vec::new()
            } else {
                words("text of a column", 50.0, y, 10.0)
            };
            row.extend(if n == 7 {
                Vec::new()
            } else {
                words("text of another", 250.0, y, 10.0)
            });
            band.push(row);
        }
        assert_eq!(groups(&band), None);
    }
}
