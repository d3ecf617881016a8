//! Where the table begins: lines before it, the row of names, its width.
//!
//! A row names the columns when it differs in kind from the rows below it: words above numbers, a value that does not occur again.
//! Lines before the names (a title, a period, blank rows of commas) are left out only when a row of names follows, so that data is
//! never taken for a title.

use super::column::to_text;
use super::dialect::Dialect;
use super::records::{Cell, Split, Splitter, is_empty_line};
use super::value::{self, Value};

/// Records that are looked at.
const SAMPLE_RECORDS: usize = 100;

/// Most lines that may stand before the table.
const MAX_PREAMBLE: usize = 20;

/// Longest name of a column, in characters.
const MAX_NAME: usize = 200;

/// Share of a column's cells that must have a type for the column to have one.
const TYPED_SHARE: f64 = 0.8;

/// Where the table begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Records before the table.
    pub(super) preamble: usize,
    /// Whether the first record of the table names its columns.
    pub(super) has_header: bool,
    /// Cells in most records.
    pub(super) width: usize,
}

type Row = Vec<Vec<u8>>;

/// Judges the beginning of a text.
pub(super) fn find(text: &[u8], dialect: Dialect) -> Layout {
    let rows = rows(text, dialect);
    let width = usual_width(&rows);
    let decimal_comma = dialect.delimiter == b';';
    let preamble = preamble(&rows, width);
    if preamble > 0 && is_header(&rows[preamble..], width, decimal_comma) {
        return Layout {
            preamble,
            has_header: true,
            width,
        };
    }
    Layout {
        preamble: 0,
        has_header: is_header(&rows, width, decimal_comma),
        width,
    }
}

fn rows(text: &[u8], dialect: Dialect) -> Vec<Row> {
    let (mut splitter, mut cells, mut scratch) = (Splitter::new(dialect), Vec::new(), Vec::new());
    let (mut rows, mut at): (Vec<Row>, usize) = (Vec::new(), 0);
    while at < text.len() && rows.len() < SAMPLE_RECORDS {
        let Split::Record(next) = splitter.split(text, at, true, &mut cells) else {
            break;
        };
        if !is_empty_line(&cells) {
            let mut value = |cell: &Cell| {
                cell.value(text, dialect, &mut scratch)
                    .trim_ascii()
                    .to_vec()
            };
            rows.push(cells.iter().map(&mut value).collect());
        }
        at = next;
    }
    rows
}

/// The most common width; the larger of two equally common ones.
fn usual_width(rows: &[Row]) -> usize {
    let mut widths: Vec<usize> = rows.iter().map(Vec::len).collect();
    widths.sort_unstable();
    let runs = widths
        .chunk_by(|a, b| a == b)
        .map(|run| (run.len(), run[0]));
    runs.max().map_or(1, |(_, width)| width)
}

/// Records at the beginning that have at most one filled cell or another width than the table, before one that has at least half of
/// its cells filled.
fn preamble(rows: &[Row], width: usize) -> usize {
    let filled = |row: &Row| row.iter().filter(|cell| !cell.is_empty()).count();
    let is_title = |row: &Row| width > 1 && (row.len() != width || width > 2 && filled(row) <= 1);
    let count = rows
        .iter()
        .take(MAX_PREAMBLE)
        .take_while(|row| is_title(row))
        .count();
    let table_follows = rows
        .get(count)
        .is_some_and(|row| filled(row) >= 2 && filled(row) * 2 >= width);
    if table_follows { count } else { 0 }
}

/// Whether the first of `rows` names the columns of the others.
fn is_header(rows: &[Row], width: usize, decimal_comma: bool) -> bool {
    let Some((first, data)) = rows.split_first() else {
        return false;
    };
    // A header that comes again, on every printed page or over every part, is no sign of data.
    let data: Vec<&Row> = data.iter().filter(|row| *row != first).collect();
    let is_text = |cell: &[u8]| value::classify(cell, decimal_comma) == Value::Text;
    if data.is_empty() {
        return first.iter().all(|cell| is_text(cell));
    }
    let score: f64 = (0..width.min(first.len()))
        .map(|column| {
            let cells: Vec<&[u8]> = data
                .iter()
                .filter_map(|row| row.get(column))
                .map(Vec::as_slice)
                .collect();
            evidence(&first[column], &cells, decimal_comma)
        })
        .sum();
    score > 0.0
}

/// How much `name` looks like a name above `cells`, from -1 to 1.
fn evidence(name: &[u8], cells: &[&[u8]], decimal_comma: bool) -> f64 {
    let filled: Vec<&[u8]> = cells
        .iter()
        .copied()
        .filter(|cell| !cell.is_empty())
        .collect();
    let typed = filled
        .iter()
        .filter(|cell| value::is_typed(cell, decimal_comma))
        .count();
    let column_is_typed = typed as f64 >= filled.len() as f64 * TYPED_SHARE && !filled.is_empty();
    if name.is_empty() {
        return -0.1;
    }
    if value::is_typed(name, decimal_comma) {
        // A year may well name a column.
        return if is_year(name) && !filled.iter().all(|cell| is_year(cell)) {
            0.1
        } else {
            -1.0
        };
    }
    if column_is_typed {
        return 1.0;
    }
    if filled.contains(&name) {
        return -1.0;
    }
    if name.len() > MAX_NAME { -0.2 } else { 0.2 }
}

fn is_year(cell: &[u8]) -> bool {
    cell.len() == 4
        && (cell.starts_with(b"19") || cell.starts_with(b"20"))
        && cell.iter().all(u8::is_ascii_digit)
}

/// Names for `width` columns out of the row of names: on one line, never empty, never twice the same.
pub(super) fn names(header: &[Vec<u8>], width: usize) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    (0..width)
        .map(|index| {
            let given = header.get(index).map(|cell| tidy(cell)).unwrap_or_default();
            let base = if given.is_empty() {
                format!("column_{}", index + 1)
            } else {
                given
            };
            let numbered = (2..).map(|number| format!("{base}_{number}"));
            let mut candidates = std::iter::once(base.clone()).chain(numbered);
            let name = candidates
                .find(|name| !taken.contains(name))
                .expect("there is always one more number");
            taken.insert(name.clone());
            name
        })
        .collect()
}

fn tidy(cell: &[u8]) -> String {
    let text = to_text(cell);
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ").chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(text: &str) -> (usize, bool, usize) {
        let Layout {
            preamble,
            has_header,
            width,
        } = find(text.as_bytes(), Dialect::default());
        (preamble, has_header, width)
    }

    #[test]
    fn words_above_numbers_are_names() {
        assert_eq!(layout("name,age\nanna,31\nbert,45\n"), (0, true, 2));
        assert_eq!(
            layout("city,country\nRome,Italy\nOslo,Norway\n"),
            (0, true, 2)
        );
        assert_eq!(layout("item,2011,2012\nx,1,2\ny,3,4\n"), (0, true, 3));
    }

    #[test]
    fn rows_alike_have_no_names() {
        assert_eq!(layout("1,2\n3,4\n"), (0, false, 2));
        assert_eq!(layout("anna,31\nbert,45\nanna,12\n"), (0, false, 2));
        assert_eq!(layout("1,a.wav,x\n2,b.wav,x\n3,a.wav,x\n"), (0, false, 3));
    }

    #[test]
    fn titles_before_the_names_are_left_out() {
        assert_eq!(
            layout("Report of May\nname,age\nanna,31\nbert,45\n"),
            (1, true, 2)
        );
        assert_eq!(layout("Report,,\n,,\na,b,c\n1,2,3\n4,5,6\n"), (2, true, 3));
    }

    #[test]
    fn sparse_data_is_no_title() {
        assert_eq!(layout("5,,\n6,1,2\n7,3,4\n8,5,6\n"), (0, false, 3));
    }

    #[test]
    fn a_single_row_of_words_is_a_row_of_names() {
        assert_eq!(layout("a,b,c\n"), (0, true, 3));
        assert_eq!(layout("1,b,c\n"), (0, false, 3));
        assert_eq!(layout(""), (0, false, 1));
    }

    #[test]
    fn names_are_unique_and_never_empty() {
        let header: Vec<Vec<u8>> = ["a", "", "a", " two\nlines ", "a_2"]
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        assert_eq!(
            names(&header, 6),
            ["a", "column_2", "a_2", "two lines", "a_2_2", "column_6"]
        );
    }
}
