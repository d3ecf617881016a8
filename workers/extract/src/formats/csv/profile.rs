//! One pass over a table: every cell into its column, the first rows word for word.

use super::column::{Profile, Shared, to_text};
use super::dialect::{self, Dialect};
use super::hash::Hasher;
use super::header::{self, Layout};
use super::parts::Parts;
use super::reader::{Reader, Record};
use super::reservoir::Reservoir;
use super::sketch::Sketch;
use crate::document::{Column, Row, SAMPLE_BYTES, SAMPLE_ROWS, Table, TablePart, Warning};
use crate::error::ParseError;
use crate::formats::encoding::TextSource;
use crate::formats::{Input, Output};
use crate::limits::MAX_COLUMNS;

/// Text that is looked at before the pass.
const HEAD: usize = 64 * 1024;

/// Bytes that all columns together may take for their different values, beside their sketches.
const DISTINCT_BUDGET: usize = 128 * 1024 * 1024;

/// Bytes of one cell that are kept in the sample.
pub(crate) const SAMPLE_CELL: usize = 32 * 1024;

/// Records between two looks at how far the pass is.
const RECORDS_PER_LOOK: u64 = 4096;

/// Bytes between two reports of progress.
const BYTES_PER_REPORT: u64 = 4 * MEGABYTE;

/// Columns whose stray cells are told of.
const MAX_STRAY_WARNINGS: usize = 10;

/// Tables of one file that are named in a warning.
const MAX_PARTS_NAMED: usize = 5;

const MEGABYTE: u64 = 1_000_000;

/// Profiles the table in `input`.
pub(super) fn run(input: &mut Input, out: &mut dyn Output) -> Result<Table, ParseError> {
    let mut opened = Opened::new(input)?;
    let mut pass = Pass::new(opened.names.len(), opened.dialect);
    pass.over(&mut opened.reader, out)?;
    opened.warn(out);
    Ok(pass.into_table(opened, out))
}

/// A table whose beginning was understood; its reader stands before the first data row.
pub(crate) struct Opened<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) dialect: Dialect,
    layout: Layout,
    /// Names of the columns.
    pub(crate) names: Vec<String>,
}

impl<'a> Opened<'a> {
    /// Opens the table in `input`.
    pub(crate) fn new(input: &'a mut Input) -> Result<Self, ParseError> {
        let mut reader = Reader::new(TextSource::new(input)?);
        let head = reader.peek(HEAD)?;
        let head = &head[..head.len().min(HEAD)];
        if head.trim_ascii().is_empty() {
            return Err(ParseError::Damaged("the file holds no text".to_owned()));
        }
        let dialect = dialect::detect(head).dialect;
        let layout = header::find(head, dialect);
        reader.set_dialect(dialect);
        let names = skip_to_data(&mut reader, layout)?;
        Ok(Self {
            reader,
            dialect,
            layout,
            names,
        })
    }

    /// Whether `1,5` is a number in this file: only where the comma is not the delimiter.
    pub(crate) fn decimal_comma(&self) -> bool {
        decimal_comma(self.dialect)
    }

    fn warn(&self, out: &mut dyn Output) {
        if self.layout.preamble > 0 {
            let message = format!(
                "the first {} lines stand before the table and are left out",
                self.layout.preamble
            );
            out.warning(Warning::new("preamble_left_out", message));
        }
        if self.reader.open_quotes() > 0 {
            let message = format!(
                "{} quotes are never closed and are read as text",
                self.reader.open_quotes()
            );
            out.warning(Warning::new("open_quote", message));
        }
    }
}

fn decimal_comma(dialect: Dialect) -> bool {
    dialect.delimiter == b';'
}

/// Passes what stands before the data and gives the names of the columns.
fn skip_to_data(reader: &mut Reader<'_>, layout: Layout) -> Result<Vec<String>, ParseError> {
    for _ in 0..layout.preamble {
        reader.next()?;
    }
    let mut header = Vec::new();
    if layout.has_header
        && let Some(record) = reader.next()?
    {
        header = record.values();
    }
    // Trailing empty names are those of trailing delimiters, unless the rows below have cells there.
    let named = header
        .iter()
        .rposition(|name| !name.trim_ascii().is_empty())
        .map_or(0, |last| last + 1);
    Ok(header::names(
        &header,
        named.max(layout.width).min(MAX_COLUMNS),
    ))
}

struct Pass {
    columns: Vec<Profile>,
    shared: Shared,
    rows: u64,
    ragged_rows: u64,
    sample: Vec<Row>,
    sample_bytes: usize,
    /// Whether the sample still takes rows.
    sampling: bool,
    drawn: Reservoir,
    parts: Parts,
}

impl Pass {
    fn new(columns: usize, dialect: Dialect) -> Self {
        let sketches = columns * Sketch::BYTES;
        Self {
            columns: (0..columns).map(|_| Profile::default()).collect(),
            shared: Shared {
                decimal_comma: decimal_comma(dialect),
                hasher: Hasher::new(),
                budget: DISTINCT_BUDGET.saturating_sub(sketches),
            },
            rows: 0,
            ragged_rows: 0,
            sample: Vec::new(),
            sample_bytes: 0,
            sampling: true,
            drawn: Reservoir::new(),
            parts: Parts::new(decimal_comma(dialect)),
        }
    }

    fn over(&mut self, reader: &mut Reader<'_>, out: &mut dyn Output) -> Result<(), ParseError> {
        let mut scratch = Vec::new();
        let mut reports = Reports::default();
        while let Some(record) = reader.next()? {
            self.row(&record, &mut scratch);
            reports.after(self.rows, reader, out)?;
        }
        Ok(())
    }

    fn row(&mut self, record: &Record<'_>, scratch: &mut Vec<u8>) {
        self.rows += 1;
        self.ragged_rows += u64::from(record.len() != self.columns.len());
        for (index, column) in self.columns.iter_mut().enumerate() {
            if index < record.len() {
                column.observe(record.cell(index, scratch), &mut self.shared);
            } else {
                column.observe_missing();
            }
        }
        self.parts.observe(record, self.rows);
        if self.sampling {
            self.keep(record, scratch);
        }
        if self.drawn.draws(self.rows) {
            self.drawn.put(Row {
                number: self.rows,
                cells: texts(record, scratch),
            });
        }
    }

    fn keep(&mut self, record: &Record<'_>, scratch: &mut Vec<u8>) {
        let cells = texts(record, scratch);
        self.sample_bytes += cells.iter().map(String::len).sum::<usize>();
        if self.sample_bytes > SAMPLE_BYTES {
            self.sampling = false;
            return;
        }
        self.sample.push(Row {
            number: self.rows,
            cells,
        });
        self.sampling = self.sample.len() < SAMPLE_ROWS;
    }

    fn into_table(self, opened: Opened<'_>, out: &mut dyn Output) -> Table {
        let parts = self.parts.finish(&opened.names);
        warn_of_parts(&parts, out);
        let decimal_comma = self.shared.decimal_comma;
        let mut columns = Vec::with_capacity(self.columns.len());
        let mut strays = Vec::new();
        for (column, name) in self.columns.into_iter().zip(opened.names) {
            let (column, stray) = column.finish(name, decimal_comma);
            strays.push(stray);
            columns.push(column);
        }
        warn_of_strays(&columns, &strays, out);
        let rows_left_out = self.rows - self.sample.len() as u64;
        let drawn = if rows_left_out > 0 {
            self.drawn.into_rows()
        } else {
            Vec::new()
        };
        Table {
            encoding: opened.reader.encoding().to_owned(),
            delimiter: char::from(opened.dialect.delimiter),
            quote: opened.dialect.quote.map(char::from),
            has_header: opened.layout.has_header,
            rows: self.rows,
            ragged_rows: self.ragged_rows,
            columns,
            sample: self.sample,
            rows_left_out,
            sheet: None,
            drawn,
            parts,
        }
    }
}

/// Reports of how far a pass is, in megabytes.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    reported: u64,
}

impl Reports {
    /// Reports after `rows` rows, when it is time.
    #[inline]
    pub(crate) fn after(
        &mut self,
        rows: u64,
        reader: &mut Reader<'_>,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        if !rows.is_multiple_of(RECORDS_PER_LOOK) {
            return Ok(());
        }
        let (read, size) = reader.position();
        if read - self.reported < BYTES_PER_REPORT {
            return Ok(());
        }
        self.reported = read;
        out.progress(
            (read / MEGABYTE) as u32,
            Some(size.div_ceil(MEGABYTE) as u32),
        )
    }
}

/// The cells of a row as text.
fn texts(record: &Record<'_>, scratch: &mut Vec<u8>) -> Vec<String> {
    let text = |index| {
        let cell = record.cell(index, scratch);
        to_text(&cell[..cell.len().min(SAMPLE_CELL)])
    };
    (0..record.len()).map(text).collect()
}

fn warn_of_strays(columns: &[Column], strays: &[u64], out: &mut dyn Output) {
    let some = columns.iter().zip(strays).filter(|(_, count)| **count > 0);
    for (column, count) in some.take(MAX_STRAY_WARNINGS) {
        let message = format!(
            "{count} cells of column {} are not of its kind and not in its figures",
            column.name
        );
        out.warning(Warning::new("stray_cells", message));
    }
}

fn warn_of_parts(parts: &[TablePart], out: &mut dyn Output) {
    if parts.is_empty() {
        return;
    }
    let places: Vec<String> = parts
        .iter()
        .take(MAX_PARTS_NAMED)
        .map(|part| {
            format!(
                "rows {}-{} with {} columns",
                part.first_row, part.last_row, part.columns
            )
        })
        .collect();
    let more = if parts.len() > MAX_PARTS_NAMED {
        " and so on"
    } else {
        ""
    };
    let message = format!(
        "the file holds {} tables, which are profiled as one: {}{more}",
        parts.len(),
        places.join(", ")
    );
    out.warning(Warning::new("several_tables", message));
}
