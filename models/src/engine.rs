//! The contract between the worker that holds a document and an engine that answers a prompt about it.
//!
//! An engine is synchronous and streams: it runs on a blocking thread, hands text to an [`AnswerSink`] as it
//! becomes known, and returns the whole [`Answer`] with its citations at the end. Engines get passages, never
//! files: where the text came from is the business of the extraction.
//!
//! Not here: choosing an engine, retries, timeouts. A caller that wants to stop raises the [`CancelFlag`].

use serde::{Deserialize, Serialize};

use crate::cancel::CancelFlag;
use crate::error::ModelError;
use crate::passage::{Locator, Passage, TableFacts};
use crate::table_query::QueryTable;

/// One prompt over one document.
#[derive(Clone, Copy, Debug)]
pub struct AnswerRequest<'a> {
    /// What the user asked, as typed.
    pub prompt: &'a str,
    /// The document's text in reading order; for a table one passage per sampled row.
    pub passages: &'a [Passage],
    /// The profile of the whole table when the document is one.
    pub table: Option<&'a TableFacts>,
    /// One line about the picture when the document is one, such as `PNG, 640 x 480, RGB`.
    pub image: Option<&'a str>,
    /// What the extraction could not read or left out, as a phrase a person can read.
    pub left_out: Option<&'a str>,
    /// Computes over every row of the table, where only some of them are passages.
    pub query: Option<&'a dyn QueryTable>,
}

/// Receives an answer while it is being made.
pub trait AnswerSink {
    /// `done` of `total` units of work are finished; the unit is the engine's own.
    fn progress(&mut self, done: u32, total: u32);
    /// The next piece of the answer. The pieces put together are [`Answer::text`].
    fn chunk(&mut self, text: &str);
}

/// Something that answers prompts about documents.
pub trait AnswerEngine: Send + Sync {
    /// Stable name, kept in the answer.
    fn name(&self) -> &'static str;
    /// Answers one request. Returns [`ModelError::Cancelled`] soon after the flag is raised.
    fn answer(
        &self,
        request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError>;
}

/// A finished answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The text as shown, markers included.
    pub text: String,
    /// False when the document does not seem to answer the prompt.
    pub answered: bool,
    /// What the text rests on, in the order of the text.
    pub citations: Vec<Citation>,
    /// Name of the engine.
    pub engine: String,
    /// Name of the model that ranked or wrote; none when only words were compared.
    pub model: Option<String>,
    /// What the reader should know about how the answer came about.
    pub notes: Vec<String>,
}

/// One place of the document that the answer quotes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The marker in the text, such as `[p. 2]`.
    pub marker: String,
    /// Where the quoted passage stands.
    pub locator: Locator,
    /// The document's own characters, line breaks included.
    pub quote: String,
    /// Char offset of the quote in the text of its page, row or image.
    pub start: u32,
    /// How well it fits the prompt, about 0 to 1; comparable only within one answer.
    pub score: f32,
}
