//! What a language model must offer to answer from documents.

use serde::{Deserialize, Serialize};

use crate::cancel::CancelFlag;
use crate::engine::Usage;
use crate::error::ModelError;
use crate::schema::Schema;

/// Writes text for a conversation. Blocks; runs on a thread that may wait.
pub trait Generator: Send + Sync {
    /// Name of the engine, kept in the answer: `generate`, `remote`.
    fn engine(&self) -> &'static str;

    /// Name of the model, kept in the answer.
    fn model(&self) -> String;

    /// How much it can read and write.
    fn limits(&self) -> Limits;

    /// Tokens of a text. An estimate must not be too low: what does not fit is cut by nobody else.
    fn count_tokens(&self, text: &str) -> usize;

    /// Writes the reply to a conversation, handing over each piece as it comes. Returns [`ModelError::Cancelled`] soon after
    /// the flag is raised, and [`ModelError::Unavailable`] only when no piece was handed over.
    fn generate(
        &self,
        request: &Generation<'_>,
        cancel: &CancelFlag,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Generated, ModelError>;
}

/// One request to a [`Generator`].
#[derive(Clone, Copy, Debug)]
pub struct Generation<'a> {
    /// The conversation so far.
    pub messages: &'a [Message],
    /// Tokens after which the reply ends.
    pub max_tokens: usize,
    /// The reply must be JSON of this shape. A generator that cannot promise it tries its best; the caller validates.
    pub schema: Option<&'a Schema>,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// What the operator says.
    pub fn system(content: impl Into<String>) -> Self {
        Self {
            role: Role::System,
            content: content.into(),
        }
    }

    /// What the user says.
    pub fn user(content: impl Into<String>) -> Self {
        Self {
            role: Role::User,
            content: content.into(),
        }
    }

    /// What the model said.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self {
            role: Role::Assistant,
            content: content.into(),
        }
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator, whose word counts most.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// Sizes in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Prompt and reply together.
    pub context: usize,
    /// Passages worth showing for one question: more costs time before the first word, and small models lose the thread.
    pub passages: usize,
    /// Longest reply.
    pub reply: usize,
}

/// How a reply came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Why it ended.
    pub ended: Ended,
    /// Tokens read and written, when known.
    pub usage: Option<Usage>,
    /// How it came to its shape.
    pub shape: Shape,
}

/// What was done about the schema of a reply while it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing here: there was none, or a server was told of it, which may or may not know what to do.
    Free,
    /// Every token was chosen to fit: the reply is JSON of the schema, and nothing else stands in it.
    Held,
    /// The schema is too complex to be held to; the model was only told of it.
    TooComplex,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The model was done.
    Stop,
    /// The limit of tokens was reached.
    Length,
}
