//! In which form a document or a result is wanted: the query decides, else the `Accept` header.

use axum::response::Response;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, VARY},
};
use quire_extract::{ChunkOptions, Document, chunks, export::to_csv};

use super::conditional;
use crate::error::ApiError;

/// The type of lines of JSON.
pub const JSON_LINES: &str = "application/x-ndjson";

/// How a document or a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{success, data}`.
    Json,
    /// Markdown.
    Markdown,
    /// Text alone.
    Text,
    /// The rows that are kept of a table.
    Csv,
    /// The document in pieces for retrieval, as JSON lines.
    Chunks,
}

impl Format {
    /// The format that `asked` names, or without a name the first in `Accept` that is one of ours, or JSON.
    pub fn choose(asked: Option<&str>, headers: &HeaderMap) -> Result<Self, ApiError> {
        match asked {
            None => Ok(Self::accepted(headers)),
            Some("json") => Ok(Self::Json),
            Some("md" | "markdown") => Ok(Self::Markdown),
            Some("text" | "txt") => Ok(Self::Text),
            Some("csv") => Ok(Self::Csv),
            Some("chunks" | "jsonl") => Ok(Self::Chunks),
            Some(_) => Err(ApiError::field(
                "format",
                "unknown",
                "is not one of json, md, text, csv, chunks",
            )),
        }
    }

    fn accepted(headers: &HeaderMap) -> Self {
        let known = conditional::accepted(headers, |name| match name {
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "text/markdown" => Some(Self::Markdown),
            "text/plain" | "text/*" => Some(Self::Text),
            "text/csv" => Some(Self::Csv),
            JSON_LINES => Some(Self::Chunks),
            _ => None,
        });
        known.unwrap_or(Self::Json)
    }

    /// The reply with a body of this format, or 304 to a client that has it.
    pub fn reply(self, request: &HeaderMap, body: Bytes) -> Response {
        let content_type = match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Chunks => JSON_LINES,
        };
        let mut response = conditional::reply(request, content_type, body);
        response
            .headers_mut()
            .append(VARY, HeaderValue::from_name(ACCEPT));
        response
    }
}

/// The rows that are kept of the document's table, as CSV that no spreadsheet runs as formulas.
pub fn csv_rows(document: Document) -> Result<Bytes, ApiError> {
    let table = document.table.ok_or_else(|| {
        ApiError::field("format", "no_table", "is csv, and the file holds no table")
    })?;
    Ok(to_csv(&table).into())
}

/// The pieces of a document as lines of JSON.
pub fn chunk_lines(document: &Document, options: ChunkOptions) -> Result<Bytes, ApiError> {
    let mut lines = Vec::new();
    for chunk in chunks(document, options) {
        serde_json::to_writer(&mut lines, &chunk).map_err(ApiError::internal)?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: Option<&str>) -> Format {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        Format::choose(None, &headers).unwrap()
    }

    #[test]
    fn accept_decides_when_the_query_does_not() {
        for (accept, format) in [
            (None, Format::Json),
            (Some("*/*"), Format::Json),
            (
                Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
                Format::Json,
            ),
            (Some("text/markdown"), Format::Markdown),
            (
                Some("text/html, Text/Markdown;q=0.9, */*"),
                Format::Markdown,
            ),
            (Some("text/plain; charset=utf-8"), Format::Text),
            (Some("text/csv"), Format::Csv),
            (
                Some("text/html, application/x-ndjson;q=0.5"),
                Format::Chunks,
            ),
        ] {
            assert_eq!(accepted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn the_query_wins() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/plain"));
        for (asked, format) in [
            ("json", Format::Json),
            ("md", Format::Markdown),
            ("text", Format::Text),
            ("csv", Format::Csv),
            ("chunks", Format::Chunks),
        ] {
            let chosen = Format::choose(Some(asked), &headers).unwrap();
            assert_eq!(chosen, format, "{asked}");
        }
        assert!(matches!(
            Format::choose(Some("docx"), &headers),
            Err(ApiError::Validation(_))
        ));
    }
}
