//! The result of a completed job as data: the answer with its sources, and what was read out of the file.
//!
//! The rows of a table are not repeated here, only its profile: they are the file's own bytes, up to 4 MiB of them.

use std::collections::BTreeMap;

use quire_extract::{
    Column, Document, EmptyReason, ImageInfo, Line, MediaType, Page, Table, TextEngine, Warning,
};
use quire_models::{Answer, Citation, Locator, Record, Usage};
use quire_store::Job;
use serde::Serialize;
use utoipa::ToSchema;

/// `{success, data}` around a result.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultReply {
    /// Always true.
    pub success: bool,
    /// The result.
    pub data: ResultView,
}

/// A completed job's answer and document.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultView {
    /// The job's id.
    #[schema(example = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11")]
    pub job_id: String,
    /// Name of the uploaded file.
    #[schema(example = "document.pdf")]
    pub file_name: String,
    /// What the file was read as.
    #[schema(example = "pdf")]
    pub media: String,
    /// The answer, the same text as `ai_response`.
    pub answer: String,
    /// False when the document does not seem to answer the prompt.
    pub answered: bool,
    /// The places that the answer quotes, in its order.
    pub citations: Vec<CitationView>,
    /// What answered.
    #[schema(example = "extractive")]
    pub engine: String,
    /// The model it used; null when it compared words only.
    #[schema(example = "all-MiniLM-L6-v2", required = true)]
    pub model: Option<String>,
    /// What to know about how the answer came about.
    pub notes: Vec<String>,
    /// The answer as data, when the upload had a schema; null otherwise.
    #[schema(required = true)]
    pub record: Option<RecordView>,
    /// Tokens that a language model has read and written; null when none was asked or it did not say.
    #[schema(required = true, value_type = Option<Object>)]
    pub usage: Option<Usage>,
    /// The pages; empty for a table.
    pub pages: Vec<PageView>,
    /// The profile of a table; null for other files.
    #[schema(required = true)]
    pub table: Option<TableView>,
    /// The properties of an image; null for other files.
    #[schema(required = true, value_type = Option<Object>)]
    pub image: Option<ImageInfo>,
    /// Title, author and the like, as the file states them.
    pub metadata: BTreeMap<String, String>,
    /// What could not be read, or only in part.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Vec<Warning>,
}

/// The answer as data.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordView {
    /// The value, which fits the schema.
    #[schema(value_type = Object)]
    pub value: serde_json::Value,
    /// Where its parts stand in the document, by JSON pointer such as `/total`. What was not found has no place.
    pub sources: BTreeMap<String, CitationView>,
}

/// One place that the answer quotes.
#[derive(Debug, Serialize, ToSchema)]
pub struct CitationView {
    /// The marker in the answer.
    #[schema(example = "[p. 2]")]
    pub marker: String,
    /// The page, from 1; null when the place is not on a page.
    #[schema(required = true)]
    pub page: Option<u32>,
    /// The data row, from 1; null when the place is not in a table.
    #[schema(required = true)]
    pub row: Option<u64>,
    /// The document's own characters.
    pub quote: String,
    /// Where the quote begins in the text of its page or row, in characters.
    pub start: u32,
    /// The lines of the page that hold the quote, each as x0, y0, x1, y1 from the top left in the unit of the page's `width`; empty
    /// when the place is not on a page.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub boxes: Vec<[f32; 4]>,
    /// How well it fits the prompt; comparable within one answer only.
    pub score: f32,
}

/// The text of one page.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageView {
    /// From 1.
    pub number: u32,
    /// The text in reading order.
    pub text: String,
    /// Who read it.
    #[schema(value_type = String, example = "pdf_extract")]
    pub engine: TextEngine,
    /// How plausible the text looks, 0 to 1.
    pub score: f32,
    /// Mean word confidence of character recognition; null for a text layer.
    #[schema(required = true)]
    pub confidence: Option<f32>,
    /// Width in points; in pixels for an image.
    pub width: f32,
    /// Height in points; in pixels for an image.
    pub height: f32,
    /// `start` and `end` of each line in `text`, in characters, and its `bbox` x0, y0, x1, y1 from the top left.
    #[schema(value_type = Vec<Object>)]
    pub lines: Vec<Line>,
    /// Why `text` is empty; null when it is not.
    #[schema(value_type = Option<String>, required = true, example = "ocr_unavailable")]
    pub empty_reason: Option<EmptyReason>,
}

/// The profile of a table, over all of its rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableView {
    /// Name of the text encoding.
    #[schema(example = "UTF-8")]
    pub encoding: String,
    /// Character between cells.
    #[schema(value_type = String, example = ",")]
    pub delimiter: char,
    /// Whether the first row names the columns.
    pub has_header: bool,
    /// Data rows.
    pub rows: u64,
    /// Data rows with more or fewer cells than there are columns.
    pub ragged_rows: u64,
    /// Name, kind and statistics of each column.
    #[schema(value_type = Vec<Object>)]
    pub columns: Vec<Column>,
}

impl ResultView {
    /// Puts a completed job together with what was stored about it. Parts that are no longer stored are empty.
    pub fn new(job: Job, answer: Option<Answer>, document: Option<Document>) -> Self {
        let text = job.answer.unwrap_or_default();
        let answer = answer.unwrap_or_else(|| Answer {
            text: text.clone(),
            answered: !text.is_empty(),
            engine: "unknown".to_owned(),
            ..Answer::default()
        });
        let media = MediaType::from_name(&job.media).unwrap_or(MediaType::Pdf);
        let document = document.unwrap_or_else(|| Document::empty(media));
        Self {
            job_id: job.id.to_string(),
            file_name: job.file_name,
            media: job.media,
            answer: text,
            answered: answer.answered,
            citations: answer
                .citations
                .into_iter()
                .map(|citation| CitationView::new(citation, &document.pages))
                .collect(),
            engine: answer.engine,
            model: answer.model,
            notes: answer.notes,
            record: answer
                .record
                .map(|record| RecordView::new(record, &document.pages)),
            usage: answer.usage,
            pages: document.pages.into_iter().map(PageView::from).collect(),
            table: document.table.map(TableView::from),
            image: document.image,
            metadata: document.metadata,
            warnings: document.warnings,
        }
    }
}

impl RecordView {
    fn new(record: Record, pages: &[Page]) -> Self {
        let view = |(pointer, citation)| (pointer, CitationView::new(citation, pages));
        Self {
            value: record.value,
            sources: record.sources.into_iter().map(view).collect(),
        }
    }
}

impl CitationView {
    fn new(citation: Citation, pages: &[Page]) -> Self {
        let (page, row) = match citation.locator {
            Locator::Page { page, .. } => (Some(page), None),
            Locator::Row { row } => (None, Some(row)),
            Locator::Image { .. } => (None, None),
        };
        let on = match citation.locator {
            Locator::Page { page, .. } => pages.iter().find(|p| p.number == page),
            Locator::Row { .. } => None,
            Locator::Image { .. } => pages.first(),
        };
        let boxes = on.map_or_else(Vec::new, |page| boxes(page, &citation));
        let Citation {
            marker,
            quote,
            start,
            score,
            ..
        } = citation;
        Self {
            marker,
            page,
            row,
            quote,
            start,
            boxes,
            score,
        }
    }
}

/// The boxes of the lines that share characters with the quote.
fn boxes(page: &Page, citation: &Citation) -> Vec<[f32; 4]> {
    let length = u32::try_from(citation.quote.chars().count()).unwrap_or(u32::MAX);
    let end = citation.start.saturating_add(length);
    page.lines
        .iter()
        .filter(|line| line.start < end && line.end > citation.start)
        // Files that nobody has laid out have headings, and no places.
        .filter(|_| page.width > 0.0)
        .map(|line| line.bbox)
        .collect()
}

impl From<Page> for PageView {
    fn from(page: Page) -> Self {
        let Page {
            number,
            width,
            height,
            text,
            engine,
            score,
            confidence,
            lines,
            empty_reason,
            ..
        } = page;
        Self {
            number,
            text,
            engine,
            score,
            confidence,
            width,
            height,
            lines,
            empty_reason,
        }
    }
}

impl From<Table> for TableView {
    fn from(table: Table) -> Self {
        let Table {
            encoding,
            delimiter,
            has_header,
            rows,
            ragged_rows,
            columns,
            ..
        } = table;
        Self {
            encoding,
            delimiter,
            has_header,
            rows,
            ragged_rows,
            columns,
        }
    }
}
