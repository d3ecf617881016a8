//! What an answering engine may read of an extracted document, each passage with its place.

use quire_extract::{Column, Document, EmptyReason, ImageInfo, Page, Table};
use quire_models::{
    ColumnFacts, Passage, TableFacts,
    passage::{passage_from_row, passages_from_image, passages_from_page},
};

/// The readable parts of one document.
pub(crate) struct Material {
    /// Text with its page, row or image position.
    pub(crate) passages: Vec<Passage>,
    /// The profile of a CSV file.
    pub(crate) table: Option<TableFacts>,
    /// What an image is, in one line.
    pub(crate) image: Option<String>,
    /// What could not be read, in one sentence.
    pub(crate) left_out: Option<String>,
}

impl Material {
    /// Collects the passages of `document`.
    pub(crate) fn of(document: &Document) -> Self {
        let is_image = document.image.is_some();
        let mut passages: Vec<Passage> = document
            .pages
            .iter()
            .flat_map(|page| page_passages(page, is_image))
            .collect();
        passages.extend(document.table.iter().flat_map(row_passages));
        Self {
            passages,
            table: document.table.as_ref().map(facts),
            image: document.image.as_ref().map(image_line),
            left_out: left_out(document),
        }
    }
}

fn image_line(image: &ImageInfo) -> String {
    let mut line = format!(
        "{} image, {} x {} pixels, {}",
        image.format.to_uppercase(),
        image.width,
        image.height,
        image.color
    );
    if let Some(caption) = &image.caption {
        // Said as what it is: a guess that no place in the file can be cited for.
        line.push_str("; it seems to show: ");
        line.push_str(&caption.text);
    }
    line
}

fn page_passages(page: &Page, is_image: bool) -> Vec<Passage> {
    if is_image {
        passages_from_image(&page.text)
    } else {
        passages_from_page(page.number, &page.text)
    }
}

fn row_passages(table: &Table) -> impl Iterator<Item = Passage> {
    let names: Vec<&str> = table
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    table
        .sample
        .iter()
        .map(move |row| passage_from_row(row.number, &names, &row.cells))
}

fn facts(table: &Table) -> TableFacts {
    TableFacts {
        name: "table".into(),
        rows: table.rows,
        columns: table.columns.iter().map(column_facts).collect(),
    }
}

fn column_facts(column: &Column) -> ColumnFacts {
    ColumnFacts {
        name: column.name.clone(),
        kind: format!("{:?}", column.kind).to_lowercase(),
        nulls: column.nulls,
        distinct: column.distinct,
        min: column.min.clone(),
        max: column.max.clone(),
        mean: column.mean,
        sum: column.sum,
        stddev: column.stddev,
        top: column.top.clone(),
    }
}

fn left_out(document: &Document) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(table) = document.table.as_ref().filter(|t| t.rows_left_out > 0) {
        parts.push(format!(
            "rows after row {} were counted and measured but not searched",
            table.sample.len()
        ));
    }
    let unread: Vec<&Page> = document
        .pages
        .iter()
        .filter(|p| p.empty_reason.is_some_and(|r| r != EmptyReason::Blank))
        .collect();
    if let Some(first) = unread.first() {
        let reason = first.empty_reason.map_or("", in_words);
        parts.push(match unread.len() {
            1 => format!("page {} could not be read: {reason}", first.number),
            n => format!(
                "{n} pages could not be read, the first is page {}: {reason}",
                first.number
            ),
        });
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Why a page has no text, as the end of a sentence.
fn in_words(reason: EmptyReason) -> &'static str {
    match reason {
        EmptyReason::NoTextLayer => "it has no text and could not be rendered",
        EmptyReason::OcrUnavailable => "it is a picture and Tesseract is not installed",
        EmptyReason::OcrFailed => "it is a picture and no text was recognised in it",
        EmptyReason::Limit => "a limit was reached before it",
        EmptyReason::Blank => "it is blank",
    }
}
