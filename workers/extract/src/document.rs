//! What extraction yields: pages of text, one table, or one image, each with where it came from.
//!
//! The same types cross the sandbox as JSON, are stored as the cached document, and are what answers cite from, so every page,
//! row and line keeps its place. Text never holds NUL (Postgres refuses it); [`clean_text`] is the one place that sees to that.
//! Nothing here parses or judges.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::media::MediaType;
use crate::structure::{FormField, Link, OutlineItem, PageTable, WordBox};

/// Version of the extraction output; part of the cache key, raised when the same bytes would give another document.
pub const EXTRACTOR_VERSION: u32 = 3;

/// Most data rows kept word for word in [`Table::sample`].
pub const SAMPLE_ROWS: usize = 10_000;

/// Most bytes of cell text kept in [`Table::sample`]: a job's document stays small enough to live in one database row.
pub const SAMPLE_BYTES: usize = 4 * 1024 * 1024;

/// Rows that are drawn from the whole of a table beside its first ones.
pub const DRAWN_ROWS: usize = 100;

/// Everything that was read out of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`EXTRACTOR_VERSION`] at the time of extraction.
    pub version: u32,
    /// What the file was read as.
    pub media: MediaType,
    /// Pages in order; one page for an image, none for a table.
    pub pages: Vec<Page>,
    /// The profile of a CSV or TSV file.
    pub table: Option<Table>,
    /// The properties of an image file.
    pub image: Option<ImageInfo>,
    /// Title, author and the like, as the file states them.
    pub metadata: BTreeMap<String, String>,
    /// The table of contents that the file brings, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<OutlineItem>,
    /// Places on pages that lead somewhere else, in the order of the pages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// The fields of a form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FormField>,
    /// What could not be read, or only in part.
    pub warnings: Vec<Warning>,
}

impl Document {
    /// A document of `media` with nothing in it yet.
    pub fn empty(media: MediaType) -> Self {
        Self {
            version: EXTRACTOR_VERSION,
            media,
            pages: Vec::new(),
            table: None,
            image: None,
            metadata: BTreeMap::new(),
            outline: Vec::new(),
            links: Vec::new(),
            fields: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// The text of one page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// 1-based number in the file.
    pub number: u32,
    /// Width in points; in pixels for an image.
    pub width: f32,
    /// Height in points; in pixels for an image.
    pub height: f32,
    /// The text in reading order.
    pub text: String,
    /// Who read it.
    pub engine: TextEngine,
    /// How plausible the text looks, 0 to 1.
    pub score: f32,
    /// Mean word confidence of character recognition, 0 to 1; absent for a text layer.
    pub confidence: Option<f32>,
    /// The lines of `text` with their place on the page.
    pub lines: Vec<Line>,
    /// The words of `text` with their place; empty unless [`crate::ParseRequest::word_boxes`] asked for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<WordBox>,
    /// Stretches of `text`, first and one past the last character, that were recognised in pictures beside a text layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recognised: Vec<(u32, u32)>,
    /// The tables of the page, cell by cell; their text is part of `text` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<PageTable>,
    /// Why `text` is empty, when it is.
    pub empty_reason: Option<EmptyReason>,
}

impl Page {
    /// Page `number` of `size` without anything on it.
    pub fn empty(number: u32, size: (f32, f32)) -> Self {
        Self {
            number,
            width: size.0,
            height: size.1,
            text: String::new(),
            engine: TextEngine::None,
            score: 0.0,
            confidence: None,
            lines: Vec::new(),
            words: Vec::new(),
            recognised: Vec::new(),
            tables: Vec::new(),
            empty_reason: None,
        }
    }
}

/// One line of a page.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// First character of the line in [`Page::text`], counted in characters.
    pub start: u32,
    /// One past the last character of the line.
    pub end: u32,
    /// x0, y0, x1, y1 with the origin at the top left, in the unit of [`Page::width`].
    pub bbox: [f32; 4],
    /// What the line is for.
    #[serde(default, skip_serializing_if = "LineRole::is_body")]
    pub role: LineRole,
}

impl Line {
    /// A line of the text.
    pub fn new(start: u32, end: u32, bbox: [f32; 4]) -> Self {
        Self {
            start,
            end,
            bbox,
            role: LineRole::Body,
        }
    }
}

/// What a line of a page is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineRole {
    /// Text of the document.
    #[default]
    Body,
    /// A heading in the largest type of the document's headings.
    #[serde(rename = "heading_1")]
    Heading1,
    /// A heading in the second size.
    #[serde(rename = "heading_2")]
    Heading2,
    /// A heading in any smaller size.
    #[serde(rename = "heading_3")]
    Heading3,
    /// A running head: it stands above the text of many pages.
    Header,
    /// A running foot or a page number.
    Footer,
}

impl LineRole {
    /// Whether it is plain text, which is not written down.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature is serde's"
    )]
    fn is_body(&self) -> bool {
        *self == Self::Body
    }
}

/// Who read the text of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextEngine {
    /// The text layer, read by pdf-extract.
    PdfExtract,
    /// The text layer, read by our device over hayro-interpret.
    Hayro,
    /// The file itself, which holds its text as text.
    Text,
    /// Character recognition.
    Tesseract,
    /// Nobody: the page has no text.
    None,
}

/// Why a page has no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmptyReason {
    /// The page has no usable text layer and no image of it could be made.
    NoTextLayer,
    /// Character recognition is not installed here.
    OcrUnavailable,
    /// Character recognition failed or ran out of time.
    OcrFailed,
    /// A limit was reached before this page.
    Limit,
    /// There is nothing on the page.
    Blank,
}

/// The profile of a delimited text file, taken over all of its rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Name of the encoding that the bytes were decoded with.
    pub encoding: String,
    /// Character between cells.
    pub delimiter: char,
    /// Character around cells that hold the delimiter, when the file uses one.
    pub quote: Option<char>,
    /// Whether the first row names the columns.
    pub has_header: bool,
    /// Data rows, without the header.
    pub rows: u64,
    /// Data rows with more or fewer cells than there are columns.
    pub ragged_rows: u64,
    /// One profile per column, in order.
    pub columns: Vec<Column>,
    /// The first rows, up to [`SAMPLE_ROWS`] and [`SAMPLE_BYTES`].
    pub sample: Vec<Row>,
    /// Data rows that are profiled but not in `sample`.
    pub rows_left_out: u64,
    /// Where in a workbook the table stands; none for a file that is one table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sheet: Option<Sheet>,
    /// Rows drawn evenly from the whole file, up to [`DRAWN_ROWS`], in order; none when `sample` holds them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<Row>,
    /// Where each table is, when the file holds several; the profile speaks of all of them together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<TablePart>,
}

/// The place of a table in a workbook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sheet {
    /// Name of the sheet.
    pub name: String,
    /// Row of the sheet, from 1, in which the first data row stands; the others follow without a gap.
    pub first_row: u32,
    /// Column of the sheet, from 1, in which the first column stands.
    pub first_column: u32,
}

impl Sheet {
    /// The name of a cell as people write it, such as `B7`: of the data row with this number (from 1), in this column (from 0).
    pub fn cell(&self, row: u64, column: usize) -> String {
        format!(
            "{}{}",
            column_letters(u64::from(self.first_column) + column as u64),
            u64::from(self.first_row) + row.saturating_sub(1)
        )
    }
}

/// A, B, .. Z, AA, AB, ..: digits from 1 to 26.
fn column_letters(mut column: u64) -> String {
    let mut letters = Vec::new();
    while column > 0 {
        column -= 1;
        letters.push(char::from(b'A' + (column % 26) as u8));
        column /= 26;
    }
    letters.iter().rev().collect()
}

/// One of several tables in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// Data row of the file at which it begins, from 1; its names when it has any of its own.
    pub first_row: u64,
    /// Data row at which it ends.
    pub last_row: u64,
    /// Its width.
    pub columns: u32,
    /// Names of its columns, as far as they are known.
    pub names: Vec<String>,
}

/// One data row, word for word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// 1-based number among the data rows.
    pub number: u64,
    /// The cells as they stand in the file.
    pub cells: Vec<String>,
}

/// What is known of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name from the header, made unique; `column_3` when there is none.
    pub name: String,
    /// The narrowest type that fits the cells that are not null; a stray one in twenty is forgiven, with a warning.
    pub kind: ColumnKind,
    /// Cells that are empty or spell out that there is no value.
    pub nulls: u64,
    /// Different values, without null.
    pub distinct: u64,
    /// Whether `distinct` was counted; otherwise it is an estimate.
    pub distinct_exact: bool,
    /// Smallest value: by number, by date or by bytes, as `kind` says.
    pub min: Option<String>,
    /// Largest value.
    pub max: Option<String>,
    /// Mean of a numeric column.
    pub mean: Option<f64>,
    /// Sum of a numeric column.
    pub sum: Option<f64>,
    /// Standard deviation (of a sample, n - 1) of a numeric column.
    pub stddev: Option<f64>,
    /// The most frequent values with their counts, most frequent first; empty when nearly all values differ.
    pub top: Vec<(String, u64)>,
    /// Quantiles of a numeric column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantiles: Option<Quantiles>,
    /// How long the values are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lengths: Option<Lengths>,
    /// How the dates of a date column are written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_order: Option<DateOrder>,
}

/// Values below which a share of a column's numbers lies, between two numbers by their distance (R type 7).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Five of a hundred are below.
    pub p05: f64,
    /// The first quartile.
    pub p25: f64,
    /// The median.
    pub p50: f64,
    /// The third quartile.
    pub p75: f64,
    /// Ninety-five of a hundred are below.
    pub p95: f64,
    /// Whether they were counted; otherwise their ranks are off by some tenths of a percent.
    pub exact: bool,
}

/// Lengths of a column's values, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// The shortest.
    pub min: u64,
    /// The longest.
    pub max: u64,
    /// Their mean.
    pub mean: f64,
}

/// What comes first in a date that is written with a number for its month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateOrder {
    /// The day, or the year: `31/01/2024`, `2024-01-31`.
    DayFirst,
    /// The month: `01/31/2024`.
    MonthFirst,
}

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// true/false, yes/no.
    Boolean,
    /// Dates, with or without a time of day.
    Date,
    /// Anything else.
    Text,
    /// No value at all.
    Empty,
}

/// Properties of an image file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// Width in pixels, after orientation.
    pub width: u32,
    /// Height in pixels, after orientation.
    pub height: u32,
    /// Container, as [`MediaType::name`].
    pub format: String,
    /// Colour model and depth, such as `rgb8`.
    pub color: String,
    /// EXIF orientation, 1 to 8; 1 when the file states none.
    pub orientation: u8,
    /// Frames of an animation, pages of a TIFF; 1 otherwise.
    pub frames: u32,
    /// EXIF fields without any position on earth.
    pub exif: BTreeMap<String, String>,
    /// Name of the colour profile (ICC) in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_profile: Option<String>,
    /// Fingerprint of the upright picture, 16 hexadecimal digits (dHash): pictures that look alike differ in few of its 64 bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference_hash: Option<String>,
    /// What a model takes the picture to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<Caption>,
}

/// What a model says of a picture: a guess, and no text of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caption {
    /// One line.
    pub text: String,
    /// Id of the model.
    pub model: String,
}

/// Something a reader of the document should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable, `snake_case`.
    pub code: String,
    /// For a person.
    pub message: String,
    /// The page it is about.
    pub page: Option<u32>,
}

impl Warning {
    /// A warning about the whole document.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            page: None,
        }
    }

    /// A warning about one page.
    pub fn on_page(code: &str, page: u32, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            page: Some(page),
        }
    }
}

/// `text` without NUL, which Postgres text refuses.
pub fn clean_text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests;
