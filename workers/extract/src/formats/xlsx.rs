//! Workbooks (XLSX): the sheet with the most rows is the table, with the same profile as a CSV file; the others are pages of text.
//!
//! Cells are what they show without their formatting: results of formulas, dates as ISO 8601.

use std::fmt::Write;

use calamine::{Cell, Data, DataRef, Range, Reader, Xlsx as Workbook, XlsxError};

use super::csv;
use super::flow::{CELL, Flow};
use crate::document::{Sheet, Table, Warning};
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::query::{self, QueryResult, TypedQuery};
use crate::request::ParseRequest;

/// Largest workbook; its XML is some ten times as large.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Most cells between the first and the last of a sheet, empty ones included: each takes 24 bytes, whether it holds anything or not.
const MAX_CELLS: u64 = 10_000_000;

/// Rows of a sheet that make one table on a page.
const ROWS_TOGETHER: usize = 500;

/// Reads XLSX.
#[derive(Debug)]
pub(super) struct Xlsx;

impl Format for Xlsx {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Xlsx]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let (names, mut sheets) = sheets(input, out)?;
        out.metadata("sheets", &names.join(", "));
        let Some(largest) = largest(&sheets) else {
            return Flow::new(out).finish();
        };
        let (name, range) = sheets.remove(largest);
        out.metadata("table_sheet", &name);
        let mut table = csv::profile_text(to_csv(&range), out)?;
        table.sheet = place(&name, &range, &table);
        out.table(table)?;
        if sheets.is_empty() {
            return Ok(());
        }
        out.warning(Warning::new(
            "sheets_as_text",
            format!("sheet {name:?} is the table; the other sheets are read as text"),
        ));
        let mut flow = Flow::new(out);
        for (name, range) in sheets {
            flow.heading(1, &name)?;
            for rows in range.rows().collect::<Vec<_>>().chunks(ROWS_TOGETHER) {
                flow.block(&to_block(rows))?;
            }
            flow.end_page()?;
        }
        Ok(())
    }

    fn query(
        &self,
        input: &mut Input,
        query: &TypedQuery,
        out: &mut dyn Output,
    ) -> Result<QueryResult, ParseError> {
        let (_, mut sheets) = sheets(input, out)?;
        let Some(largest) = largest(&sheets) else {
            return Err(ParseError::NotSupported(
                "queries over a workbook without rows".to_owned(),
            ));
        };
        let text = to_csv(&sheets.swap_remove(largest).1);
        drop(sheets);
        query::run(&mut Input::from_bytes(text), query, out)
    }
}

type Sheets = Vec<(String, Range<Data>)>;

/// The names of all sheets, and those that hold anything.
fn sheets(input: &mut Input, out: &mut dyn Output) -> Result<(Vec<String>, Sheets), ParseError> {
    if input.size() > MAX_BYTES {
        return Err(ParseError::LimitExceeded(format!(
            "the workbook has {} bytes, the limit is {MAX_BYTES}",
            input.size()
        )));
    }
    let mut workbook = Workbook::new(input).map_err(damaged)?;
    let names = workbook.sheet_names();
    let mut sheets = Sheets::new();
    for name in &names {
        let range = read(&mut workbook, name)?;
        if !range.is_empty() {
            sheets.push((name.clone(), range));
        }
        out.progress(sheets.len() as u32, None)?;
    }
    Ok((names, sheets))
}

/// The cells of a sheet. Not by `Workbook::worksheet_range`, which takes memory for whatever lies between two far corners before
/// anybody can refuse.
fn read(workbook: &mut Workbook<&mut Input>, name: &str) -> Result<Range<Data>, ParseError> {
    let mut reader = match workbook.worksheet_cells_reader(name) {
        Ok(reader) => reader,
        Err(XlsxError::NotAWorksheet(_)) => return Ok(Range::default()),
        Err(error) => return Err(damaged(error)),
    };
    let mut cells = Vec::new();
    let mut area = Area::default();
    while let Some(cell) = reader.next_cell().map_err(damaged)? {
        if matches!(cell.get_value(), DataRef::Empty) {
            continue;
        }
        area.extend(cell.get_position());
        if area.cells() > MAX_CELLS {
            return Err(ParseError::LimitExceeded(format!(
                "sheet {name:?} stretches over more than {MAX_CELLS} cells"
            )));
        }
        let value = Data::from(cell.get_value().clone());
        cells.push(Cell::new(cell.get_position(), value));
    }
    Ok(Range::from_sparse(cells))
}

/// The smallest rectangle around some cells, as (row, column).
#[derive(Debug, Default)]
struct Area {
    corners: Option<((u32, u32), (u32, u32))>,
}

impl Area {
    fn extend(&mut self, (row, column): (u32, u32)) {
        let (first, last) = self.corners.unwrap_or(((row, column), (row, column)));
        self.corners = Some((
            (first.0.min(row), first.1.min(column)),
            (last.0.max(row), last.1.max(column)),
        ));
    }

    fn cells(&self) -> u64 {
        self.corners.map_or(0, |(first, last)| {
            let side = |first: u32, last: u32| u64::from(last - first) + 1;
            side(first.0, last.0).saturating_mul(side(first.1, last.1))
        })
    }
}

/// The sheet that is the table: the first of those with the most rows.
fn largest(sheets: &Sheets) -> Option<usize> {
    (0..sheets.len())
        .rev()
        .max_by_key(|at| sheets[*at].1.height())
}

/// Rows as a block of a flow. A sheet that is but one column is text.
fn to_block(rows: &[&[Data]]) -> String {
    let mut block = String::new();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                block.push(CELL);
            }
            let words = shown(cell);
            let words: Vec<&str> = words.split_whitespace().collect();
            block.push_str(&words.join(" "));
        }
        block.push('\n');
    }
    block
}

/// Where the data of `table` stands in its sheet, below a preamble and the names. None where rows were left out between: the only ones
/// are the empty rows of a single column.
fn place(name: &str, range: &Range<Data>, table: &Table) -> Option<Sheet> {
    let has_gap = range.width() == 1 && range.rows().any(|row| shown(&row[0]).trim().is_empty());
    if has_gap {
        return None;
    }
    let (first_row, first_column) = range.start()?;
    let before = (range.height() as u64).checked_sub(table.rows)?;
    Some(Sheet {
        name: name.to_owned(),
        first_row: u32::try_from(u64::from(first_row) + before + 1).ok()?,
        first_column: first_column + 1,
    })
}

/// The sheet as delimited text, every cell in quotes so that the dialect is beyond doubt.
fn to_csv(range: &Range<Data>) -> Vec<u8> {
    let mut text = String::new();
    for row in range.rows() {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            // Writing to a string cannot fail.
            let _ = write!(text, "\"{}\"", shown(cell).replace('"', "\"\""));
        }
        text.push('\n');
    }
    text.into_bytes()
}

fn shown(cell: &Data) -> String {
    match cell {
        Data::DateTime(when) if when.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = when.to_ymd_hms_milli();
            if (hour, minute, second) == (0, 0, 0) {
                format!("{year:04}-{month:02}-{day:02}")
            } else {
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
            }
        }
        Data::Error(error) => error.to_string(),
        other => other.to_string(),
    }
}

fn damaged(error: XlsxError) -> ParseError {
    match error {
        XlsxError::Password => ParseError::PasswordNeeded,
        error => ParseError::Damaged(format!("the workbook cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use crate::error::ParseError;
    use crate::formats::parts::container;
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    fn sheet(rows: &str) -> String {
        format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>"
        )
    }

    fn workbook(first: &str, second: &str) -> Vec<u8> {
        container(&[
            ("_rels/.rels", b"<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>"),
            ("xl/workbook.xml", b"<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"Notes\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"Tolls\" sheetId=\"2\" r:id=\"rId2\"/></sheets></workbook>"),
            ("xl/_rels/workbook.xml.rels", b"<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"rId2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet2.xml\"/></Relationships>"),
            ("xl/worksheets/sheet1.xml", first.as_bytes()),
            ("xl/worksheets/sheet2.xml", second.as_bytes()),
        ])
    }

    #[test]
    fn the_largest_sheet_is_the_table_and_the_others_are_text() {
        let text = |at: &str, value: &str| {
            format!("<c r=\"{at}\" t=\"inlineStr\"><is><t>{value}</t></is></c>")
        };
        let first = sheet(&format!("<row r=\"1\">{}</row>", text("A1", "read me")));
        let second = sheet(&format!(
            "<row r=\"1\">{}{}</row><row r=\"2\">{}<c r=\"B2\"><v>4</v></c></row><row r=\"3\">{}<c r=\"B3\"><v>7.5</v></c></row>",
            text("A1", "ship"),
            text("B1", "toll"),
            text("A2", "cog, small"),
            text("A3", "hulk")
        ));
        let out = Collected::of(MediaType::Xlsx, &workbook(&first, &second));
        let table = out.table.as_ref().unwrap();
        assert_eq!(table.rows, 2);
        assert_eq!(table.columns[0].name, "ship");
        assert_eq!(table.columns[1].max.as_deref(), Some("7.5"));
        assert_eq!(table.sample[0].cells, ["cog, small", "4"]);
        let sheet = table.sheet.as_ref().unwrap();
        assert_eq!(
            (sheet.name.as_str(), sheet.cell(2, 1)),
            ("Tolls", "B3".to_owned())
        );
        assert_eq!(out.texts(), ["Notes\n\nread me"]);
        assert_eq!(out.codes(), ["sheets_as_text"]);
    }

    #[test]
    fn two_cells_in_far_corners_are_a_limit_and_no_memory() {
        let cell = |at: &str| format!("<c r=\"{at}\"><v>1</v></c>");
        let far = sheet(&format!(
            "<row r=\"1\">{}</row><row r=\"1048576\">{}</row>",
            cell("A1"),
            cell("XFD1048576")
        ));
        let file = workbook(&sheet(""), &far);
        let error = Collected::try_of(MediaType::Xlsx, &file).unwrap_err();
        assert!(matches!(error, ParseError::LimitExceeded(_)), "{error}");
    }
}
