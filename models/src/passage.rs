//! The pieces of a document that engines read, each with the place it came from.
//!
//! A passage is a block (paragraph, heading, list item) of one page, one row of a table, or a block of the text
//! in an image. Its text is a verbatim slice of the source, wrapped lines and all, so that a quote can be
//! found again by its char offset; making it pleasant to read is left to whoever shows it.
//!
//! Not here: any judgement about which passage matters. `split` says how a page falls into blocks.

mod look;
mod split;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::engine::Citation;

use split::blocks;

/// Version of how documents fall into passages and sentences, for whoever keeps what was computed from them.
pub const SPLITTING_VERSION: i32 = 1;

/// A block of text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The block exactly as it stands in the source.
    pub text: String,
    /// Where it stands.
    pub locator: Locator,
    /// What it looks like.
    pub kind: PassageKind,
}

impl Passage {
    /// A citation of a byte range of the text. `score` says how well it fits; it is kept within 0 to 1.
    pub(crate) fn cite(&self, range: Range<usize>, score: f32) -> Citation {
        let before = self.text[..range.start].chars().count() as u32;
        Citation {
            marker: self.locator.marker(),
            locator: self.locator,
            quote: self.text[range].to_owned(),
            start: self.locator.offset() + before,
            score: score.clamp(0.0, 1.0),
        }
    }
}

/// The place of a passage in its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Locator {
    /// A block on a page.
    Page {
        /// Page number, from 1.
        page: u32,
        /// Char offset of the block in the page's text.
        offset: u32,
    },
    /// A row of a table.
    Row {
        /// Data row, from 1; the header does not count.
        row: u64,
    },
    /// A block of the text found in an image.
    Image {
        /// Char offset of the block in the image's text.
        offset: u32,
    },
}

impl Locator {
    /// The marker that an answer puts behind what it took from here.
    pub fn marker(&self) -> String {
        match self {
            Self::Page { page, .. } => format!("[p. {page}]"),
            Self::Row { row } => format!("[row {row}]"),
            Self::Image { .. } => "[image]".to_owned(),
        }
    }

    /// Char offset of the passage in the text of its page, row or image.
    pub fn offset(&self) -> u32 {
        match self {
            Self::Page { offset, .. } | Self::Image { offset } => *offset,
            Self::Row { .. } => 0,
        }
    }
}

/// What a passage looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassageKind {
    /// Running text or a list item.
    Prose,
    /// A title or heading: context for what follows, seldom an answer.
    Heading,
    /// One row of a table, written by [`row_text`].
    TableRow,
}

/// The profile of a whole table, of which only some rows may be passages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Name of the table, as a reader knows it.
    pub name: String,
    /// Number of data rows in the whole table.
    pub rows: u64,
    /// The columns in order.
    pub columns: Vec<ColumnFacts>,
}

/// The profile of one column over all rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// Header of the column.
    pub name: String,
    /// `integer`, `float`, `boolean`, `date`, `text` or `empty`.
    pub kind: String,
    /// Empty cells.
    pub nulls: u64,
    /// Different values; an estimate for very large tables.
    pub distinct: u64,
    /// Smallest value, by the order of the kind.
    pub min: Option<String>,
    /// Largest value, by the order of the kind.
    pub max: Option<String>,
    /// Arithmetic mean of a number column.
    pub mean: Option<f64>,
    /// Sum of a number column.
    pub sum: Option<f64>,
    /// Standard deviation of a number column.
    pub stddev: Option<f64>,
    /// The most frequent values with their counts, most frequent first.
    pub top: Vec<(String, u64)>,
}

/// Writes a row as `column: value; column: value`. Empty cells are kept, so that positions can be found again.
pub fn row_text(columns: &[&str], cells: &[String]) -> String {
    let mut text = String::new();
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            text.push_str("; ");
        }
        match columns.get(index) {
            Some(name) => text.push_str(name),
            None => text.push_str(&["column ", &(index + 1).to_string()].concat()),
        }
        text.push_str(": ");
        text.push_str(cell);
    }
    text
}

/// The passage of one data row.
pub fn passage_from_row(row: u64, columns: &[&str], cells: &[String]) -> Passage {
    Passage {
        text: row_text(columns, cells),
        locator: Locator::Row { row },
        kind: PassageKind::TableRow,
    }
}

/// Splits the text of a page into its blocks.
pub fn passages_from_page(page: u32, text: &str) -> Vec<Passage> {
    blocks(text)
        .into_iter()
        .map(|block| Passage {
            locator: Locator::Page {
                page,
                offset: block.offset,
            },
            kind: block.kind,
            text: block.text.to_owned(),
        })
        .collect()
}

/// Splits the text found in an image into its blocks.
pub fn passages_from_image(text: &str) -> Vec<Passage> {
    blocks(text)
        .into_iter()
        .map(|block| Passage {
            locator: Locator::Image {
                offset: block.offset,
            },
            kind: block.kind,
            text: block.text.to_owned(),
        })
        .collect()
}
