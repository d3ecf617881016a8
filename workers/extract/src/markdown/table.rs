//! Tables in Markdown: a row a line, cells between bars.

use std::fmt::Write;

use super::escape::escaped;
use crate::document::Table;

/// The rows of a table that are kept word for word, under the names of its columns.
pub(super) fn kept_rows(table: &Table) -> String {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let width = table.sample.iter().map(|row| row.cells.len()).max();
    let width = width.unwrap_or(0).max(names.len());
    if width == 0 {
        return String::new();
    }
    let mut out = String::new();
    row(&mut out, &names, width);
    out.push_str(&"|---".repeat(width));
    out.push_str("|\n");
    for kept in &table.sample {
        row(&mut out, &kept.cells, width);
    }
    if let Some(sheet) = &table.sheet {
        out.insert_str(0, &format!("**{}**\n\n", escaped(&sheet.name)));
    }
    if table.rows_left_out > 0 {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "\n*{} of {} rows are left out*",
            table.rows_left_out, table.rows
        );
    }
    out
}

/// Rows of cells, the first as the head; all are made as long as the longest.
pub(super) fn rows_of_cells(rows: &[Vec<String>]) -> String {
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut out = String::new();
    if width == 0 {
        return out;
    }
    for (index, cells) in rows.iter().enumerate() {
        row(&mut out, cells, width);
        if index == 0 {
            out.push_str(&"|---".repeat(width));
            out.push_str("|\n");
        }
    }
    out
}

/// The same as text with tabs between the cells.
pub(super) fn plain_rows(out: &mut String, table: &Table) {
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let mut line = |cells: &[&str]| {
        let cells: Vec<String> = cells.iter().map(|cell| one_line(cell)).collect();
        out.push_str(&cells.join("\t"));
        out.push('\n');
    };
    line(&names);
    for row in &table.sample {
        let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
        line(&cells);
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A row of `width` cells; those that are missing are empty.
fn row<S: AsRef<str>>(out: &mut String, cells: &[S], width: usize) {
    for index in 0..width {
        out.push_str("| ");
        if let Some(text) = cells.get(index) {
            cell(out, text.as_ref());
        }
        out.push(' ');
    }
    out.push_str("|\n");
}

/// Lines of a cell stay lines: a renderer shows `<br>` as a break.
fn cell(out: &mut String, text: &str) {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for (index, line) in lines.enumerate() {
        if index > 0 {
            out.push_str("<br>");
        }
        out.push_str(&escaped(line).replace('|', "\\|"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Column, ColumnKind, Row};

    fn column(name: &str) -> Column {
        Column {
            name: name.to_owned(),
            kind: ColumnKind::Text,
            nulls: 0,
            distinct: 0,
            distinct_exact: true,
            min: None,
            max: None,
            mean: None,
            sum: None,
            stddev: None,
            top: vec![],
            quantiles: None,
            lengths: None,
            date_order: None,
        }
    }

    fn table() -> Table {
        let cells = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect();
        Table {
            encoding: "UTF-8".into(),
            delimiter: ',',
            quote: None,
            has_header: true,
            rows: 9,
            ragged_rows: 1,
            columns: vec![column("ship"), column("toll | crowns")],
            sample: vec![
                Row {
                    number: 1,
                    cells: cells(&["a\n\nb", "4 | 5 <b>"]),
                },
                Row {
                    number: 2,
                    cells: cells(&["hulk", "7", "paid"]),
                },
            ],
            rows_left_out: 7,
            sheet: None,
            drawn: vec![],
            parts: vec![],
        }
    }

    #[test]
    fn bars_and_line_ends_are_escaped_and_short_rows_filled() {
        assert_eq!(
            kept_rows(&table()),
            "| ship | toll \\| crowns |  |\n|---|---|---|\n| a<br>b | 4 \\| 5 \\<b> |  |\n| hulk | 7 | paid |\n\n\
             *7 of 9 rows are left out*\n"
        );
    }

    #[test]
    fn plain_rows_have_one_line_each() {
        let mut out = String::new();
        plain_rows(&mut out, &table());
        assert_eq!(out, "ship\ttoll | crowns\na b\t4 | 5 <b>\nhulk\t7\tpaid\n");
    }
}
