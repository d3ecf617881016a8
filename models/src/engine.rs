//! The contract between the worker that holds a document and an engine that answers a prompt about it.
//!
//! An engine is synchronous and streams: it runs on a blocking thread, hands text to an [`AnswerSink`] as it
//! becomes known, and returns the whole [`Answer`] with its citations at the end. Engines get passages, never
//! files: where the text came from is the business of the extraction.
//!
//! Not here: choosing an engine, retries, timeouts. A caller that wants to stop raises the [`CancelFlag`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cancel::CancelFlag;
use crate::embed::KnownVectors;
use crate::error::ModelError;
use crate::passage::{Locator, Passage, TableFacts};
use crate::schema::Schema;
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
    /// Vectors of the document's texts that earlier requests have computed, and a place for those of this one.
    pub vectors: Option<&'a dyn KnownVectors>,
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

    /// Answers with a record that fits a schema, or says with [`ModelError::SchemaUnsupported`] that it cannot.
    fn record(
        &self,
        request: &AnswerRequest<'_>,
        schema: &Schema,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        let _ = (request, schema, cancel, sink);
        Err(ModelError::SchemaUnsupported {
            engine: self.name(),
            needs: "an engine that fills schemas",
        })
    }
}

/// A finished answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// The answer as data, when a schema was given; `text` is the same as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// Tokens that a model which writes has read and written, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A value that fits the schema it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The value.
    pub value: Value,
    /// Where its parts stand in the document, by their JSON pointers, such as `/total`. What is `null` has no place.
    pub sources: BTreeMap<String, Citation>,
}

impl Record {
    /// The value as readable JSON.
    pub fn text(&self) -> String {
        format!("{:#}", self.value)
    }
}

/// What an answer cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the reply.
    pub completion_tokens: u64,
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
