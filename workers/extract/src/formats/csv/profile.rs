//! One pass over a table: every cell into its column, the first rows word for word.

use super::column::{Profile, Shared, to_text};
use super::dialect::{self, Dialect};
use super::distinct::Hasher;
use super::header::{self, Layout};
use super::reader::{Reader, Record};
use super::sketch::Sketch;
use crate::document::{Row, SAMPLE_BYTES, SAMPLE_ROWS, Table, Warning};
use crate::error::ParseError;
use crate::formats::encoding::TextSource;
use crate::formats::{Input, Output};
use crate::limits::MAX_COLUMNS;

/// Text that is looked at before the pass.
const HEAD: usize = 64 * 1024;

/// Bytes that all columns together may take for their different values, beside their sketches.
const DISTINCT_BUDGET: usize = 128 * 1024 * 1024;

/// Bytes of one cell that are kept in the sample.
const SAMPLE_CELL: usize = 32 * 1024;

/// Records between two looks at how far the pass is.
const RECORDS_PER_LOOK: u64 = 4096;

/// Bytes between two reports of progress.
const BYTES_PER_REPORT: u64 = 4 * MEGABYTE;

/// Columns whose stray cells are told of.
const MAX_STRAY_WARNINGS: usize = 10;

const MEGABYTE: u64 = 1_000_000;

/// Profiles the table in `input`.
pub(super) fn run(input: &mut Input, out: &mut dyn Output) -> Result<Table, ParseError> {
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
    let mut pass = Pass::new(names.len(), dialect);
    pass.over(&mut reader, out)?;
    if layout.preamble > 0 {
        let message = format!(
            "the first {} lines stand before the table and are left out",
            layout.preamble
        );
        out.warning(Warning::new("preamble_left_out", message));
    }
    if reader.open_quotes() > 0 {
        let message = format!(
            "{} quotes are never closed and are read as text",
            reader.open_quotes()
        );
        out.warning(Warning::new("open_quote", message));
    }
    pass.warn_of_strays(&names, out);
    let encoding = reader.encoding();
    Ok(pass.into_table(names, dialect, layout.has_header, encoding))
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
}

impl Pass {
    fn new(columns: usize, dialect: Dialect) -> Self {
        let sketches = columns * Sketch::BYTES;
        Self {
            columns: (0..columns).map(|_| Profile::default()).collect(),
            shared: Shared {
                decimal_comma: dialect.delimiter == b';',
                hasher: Hasher::random(),
                budget: DISTINCT_BUDGET.saturating_sub(sketches),
            },
            rows: 0,
            ragged_rows: 0,
            sample: Vec::new(),
            sample_bytes: 0,
            sampling: true,
        }
    }

    fn over(&mut self, reader: &mut Reader<'_>, out: &mut dyn Output) -> Result<(), ParseError> {
        let mut scratch = Vec::new();
        let mut reported = 0;
        while let Some(record) = reader.next()? {
            self.row(&record, &mut scratch);
            if self.rows.is_multiple_of(RECORDS_PER_LOOK) {
                let (read, size) = reader.position();
                if read - reported >= BYTES_PER_REPORT {
                    reported = read;
                    out.progress(
                        (read / MEGABYTE) as u32,
                        Some(size.div_ceil(MEGABYTE) as u32),
                    )?;
                }
            }
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
        if self.sampling {
            self.keep(record, scratch);
        }
    }

    fn keep(&mut self, record: &Record<'_>, scratch: &mut Vec<u8>) {
        let cells: Vec<String> = (0..record.len())
            .map(|index| {
                let cell = record.cell(index, scratch);
                to_text(&cell[..cell.len().min(SAMPLE_CELL)])
            })
            .collect();
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

    fn warn_of_strays(&self, names: &[String], out: &mut dyn Output) {
        let strays = self
            .columns
            .iter()
            .zip(names)
            .map(|(column, name)| (column.strays(), name));
        for (count, name) in strays
            .filter(|(count, _)| *count > 0)
            .take(MAX_STRAY_WARNINGS)
        {
            let message = format!(
                "{count} cells of column {name} are not of its kind and not in its figures"
            );
            out.warning(Warning::new("stray_cells", message));
        }
    }

    fn into_table(
        self,
        names: Vec<String>,
        dialect: Dialect,
        has_header: bool,
        encoding: &str,
    ) -> Table {
        let columns = self
            .columns
            .into_iter()
            .zip(names)
            .map(|(column, name)| column.finish(name))
            .collect();
        let rows_left_out = self.rows - self.sample.len() as u64;
        Table {
            encoding: encoding.to_owned(),
            delimiter: char::from(dialect.delimiter),
            quote: dialect.quote.map(char::from),
            has_header,
            rows: self.rows,
            ragged_rows: self.ragged_rows,
            columns,
            sample: self.sample,
            rows_left_out,
            sheet: None,
        }
    }
}
