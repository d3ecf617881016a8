//! Tables as CSV that a spreadsheet can open without running anything.
//!
//! A spreadsheet takes a cell for a formula by its first character, also where the cell came from a stranger's file. Such cells get an
//! apostrophe in front, which spreadsheets take for "this is text" (OWASP, "CSV Injection"); numbers stay numbers.

use crate::document::Table;
use crate::formats::csv::number;

/// Characters that begin a formula, or hide that one follows.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The names of the columns and the rows that are kept of `table`, with commas between the cells (RFC 4180).
pub fn to_csv(table: &Table) -> String {
    let decimal_comma = table.delimiter == ';';
    let mut text = String::new();
    let names = table.columns.iter().map(|column| column.name.as_str());
    push_row(&mut text, names, decimal_comma);
    for row in &table.sample {
        push_row(
            &mut text,
            row.cells.iter().map(String::as_str),
            decimal_comma,
        );
    }
    text
}

/// Appends one row. `decimal_comma` says whether `-1,5` is a number.
pub fn push_row<'c>(text: &mut String, cells: impl Iterator<Item = &'c str>, decimal_comma: bool) {
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_cell(text, cell, decimal_comma);
    }
    text.push_str("\r\n");
}

fn push_cell(text: &mut String, cell: &str, decimal_comma: bool) {
    let is_guarded = is_formula(cell, decimal_comma);
    if !is_guarded && !cell.contains([',', '"', '\n', '\r']) {
        text.push_str(cell);
        return;
    }
    text.push('"');
    if is_guarded {
        text.push('\'');
    }
    text.push_str(&cell.replace('"', "\"\""));
    text.push('"');
}

/// Whether a spreadsheet would compute the cell. Blanks before it do not stop all of them.
fn is_formula(cell: &str, decimal_comma: bool) -> bool {
    let begins = |text: &str| text.starts_with(FORMULA);
    let trimmed = cell.trim();
    (begins(cell) || begins(trimmed)) && number::parse(trimmed.as_bytes(), decimal_comma).is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(cells: &[&str]) -> String {
        let mut text = String::new();
        push_row(&mut text, cells.iter().copied(), false);
        text
    }

    #[test]
    fn formulas_become_text_and_numbers_stay() {
        for (cell, written) in [
            ("=1+1", "\"'=1+1\""),
            ("+49 170", "\"'+49 170\""),
            ("-1+1", "\"'-1+1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("\r=1", "\"'\r=1\""),
            (" =1", "\"' =1\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("-5", "-5"),
            ("+7.25", "+7.25"),
            ("-1e3", "-1e3"),
            ("-1,234", "\"-1,234\""),
            ("a=b", "a=b"),
            ("", ""),
        ] {
            assert_eq!(row(&[cell]), format!("{written}\r\n"), "{cell:?}");
        }
        assert_eq!(row(&["a", "b,c", "d"]), "a,\"b,c\",d\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_but_for_the_guard(cells in prop::collection::vec("[a=+@,\"\n -]{0,6}x?", 2..5)) {
            let text = row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let read = reader.records().next().unwrap().unwrap();
            for (cell, back) in cells.iter().zip(&read) {
                prop_assert_eq!(back.strip_prefix('\'').unwrap_or(back), cell);
                prop_assert!(!back.trim().starts_with(['=', '+', '@']) , "{:?}", back);
            }
        }
    }
}
