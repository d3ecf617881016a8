//! Delimited text: CSV, TSV and their relatives.
//!
//! One pass over the file, in bounded memory: the bytes are decoded, cut into records (`records`) as the detected
//! dialect says (`dialect`, `header`), and every cell is counted into its column's profile (`column`, `distinct`, `value`).
//! The first rows are kept word for word. Nothing is repaired: a row with too many or too few cells is counted as such.

pub(crate) mod column;
pub(crate) mod date;
mod dialect;
mod distinct;
mod figures;
pub(crate) mod fold;
pub(crate) mod hash;
mod header;
pub(crate) mod moments;
pub(crate) mod number;
mod parts;
pub(crate) mod profile;
mod quantiles;
pub(crate) mod reader;
mod records;
mod reservoir;
mod scan;
mod sketch;
pub(crate) mod value;

use crate::document::Table;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output, encoding};
use crate::media::{MediaType, SNIFF_BYTES};
use crate::query::{self, QueryResult, TypedQuery};
use crate::request::ParseRequest;

/// Reads delimited text.
#[derive(Debug)]
pub struct Csv;

impl Format for Csv {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Csv, MediaType::Tsv]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let table = profile::run(input, out)?;
        out.table(table)
    }

    fn query(
        &self,
        input: &mut Input,
        query: &TypedQuery,
        out: &mut dyn Output,
    ) -> Result<QueryResult, ParseError> {
        query::run(input, query, out)
    }
}

/// Profiles a table that was taken out of another file.
pub(super) fn profile_text(text: Vec<u8>, out: &mut dyn Output) -> Result<Table, ParseError> {
    profile::run(&mut Input::from_bytes(text), out)
}

/// What the beginning of a text looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// The delimiter; `None` when there is but one column.
    pub delimiter: Option<char>,
    /// Whether the rows agree so well that this is a table whatever the file is called.
    pub is_table: bool,
}

/// Judges the beginning of a file; `None` when it is not text.
pub fn guess(head: &[u8]) -> Option<Guess> {
    let text = encoding::decode_head(head, head.len() >= SNIFF_BYTES)?;
    let found = dialect::detect(&text);
    let delimiter = found
        .columns
        .is_some()
        .then_some(char::from(found.dialect.delimiter));
    Some(Guess {
        delimiter,
        is_table: found.is_table && !is_markup(&text),
    })
}

/// JSON, XML and HTML agree on commas often enough to look like tables.
fn is_markup(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'[' | b'<'))
}
