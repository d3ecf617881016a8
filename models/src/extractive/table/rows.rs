//! The rows that were read, cut back into cells.
//!
//! A row passage is written as `column: value; column: value`. Values may hold the same signs, so a cell ends only
//! where the name of the next column follows.

use crate::passage::{Locator, Passage, TableFacts};

use super::number;

/// Between two cells, as `passage::row_text` writes it.
const SEPARATOR: &str = "; ";

/// The rows of a table in the order they were read.
pub(super) struct Rows<'a> {
    pub(super) passages: &'a [Passage],
    rows: Vec<Row<'a>>,
}

/// One row.
pub(super) struct Row<'a> {
    /// Index of its passage.
    pub(super) passage: usize,
    /// Its number in the table, from 1.
    pub(super) number: u64,
    cells: Vec<&'a str>,
}

impl<'a> Rows<'a> {
    pub(super) fn read(facts: &TableFacts, passages: &'a [Passage]) -> Self {
        let prefixes: Vec<String> = facts
            .columns
            .iter()
            .map(|column| format!("{}: ", column.name))
            .collect();
        let row = |(index, passage): (usize, &'a Passage)| match passage.locator {
            Locator::Row { row } => Some(Row {
                passage: index,
                number: row,
                cells: cells(&passage.text, &prefixes),
            }),
            Locator::Page { .. } | Locator::Image { .. } => None,
        };
        let rows = passages.iter().enumerate().filter_map(row).collect();
        Self { passages, rows }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Row<'a>> {
        self.rows.iter()
    }
}

impl<'a> Row<'a> {
    /// The value in a column; empty when the row is too short.
    pub(super) fn cell(&self, column: usize) -> &'a str {
        self.cells.get(column).copied().unwrap_or_default()
    }

    pub(super) fn number(&self, column: usize) -> Option<f64> {
        number::parse(self.cell(column))
    }
}

fn cells<'a>(text: &'a str, prefixes: &[String]) -> Vec<&'a str> {
    let mut out = Vec::with_capacity(prefixes.len());
    let mut rest = text;
    for (index, prefix) in prefixes.iter().enumerate() {
        let Some(value) = rest.strip_prefix(prefix.as_str()) else {
            break;
        };
        let next = prefixes
            .get(index + 1)
            .and_then(|next| value.find(&format!("{SEPARATOR}{next}")));
        let end = next.unwrap_or(value.len());
        out.push(value[..end].trim());
        rest = value.get(end + SEPARATOR.len()..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passage::{ColumnFacts, passage_from_row};

    #[test]
    fn cells_come_back_whole() {
        let names = ["name", "note", "age"];
        let columns = names
            .map(|name| ColumnFacts {
                name: name.to_owned(),
                ..ColumnFacts::default()
            })
            .to_vec();
        let facts = TableFacts {
            name: "t".to_owned(),
            rows: 2,
            columns,
        };
        let full = ["Ada".to_owned(), "a; b: c; d".to_owned(), "36".to_owned()];
        let short = ["Bob".to_owned(), String::new()];
        let passages = [
            passage_from_row(1, &names, &full),
            passage_from_row(2, &names, &short),
        ];
        let rows = Rows::read(&facts, &passages);
        let read: Vec<[&str; 3]> = rows
            .iter()
            .map(|row| [row.cell(0), row.cell(1), row.cell(2)])
            .collect();
        assert_eq!(read, [["Ada", "a; b: c; d", "36"], ["Bob", "", ""]]);
        assert_eq!(rows.iter().next().unwrap().number(2), Some(36.0));
    }
}
