//! A model of the catalog that writes, as the engines see it.

use std::path::Path;
use std::time::Duration;

use crate::cancel::CancelFlag;
use crate::catalog::{Architecture, ModelSpec};
use crate::error::ModelError;
use crate::model_dir::ModelDir;

use super::text::filter::Thoughts;
use super::{Event, Limits, Message, Model, Reason, Request, Sampling, Usage};

/// Tokens of one reply when the caller names no other limit.
const REPLY_TOKENS: usize = 768;
/// Tokens of passages worth reading for one question: more costs seconds before the first word, and small models lose the thread.
const PASSAGE_TOKENS: usize = 2000;
/// How long a reply may take. The stage above has its own, shorter or longer; this one frees the slot whatever happens there.
const REPLY_TIME: Duration = Duration::from_secs(30 * 60);
/// Extension of the file with the weights.
const WEIGHTS: &str = "gguf";

/// How a model is used.
#[derive(Clone, Copy, Debug)]
pub struct GenerateOptions {
    /// What it may take.
    pub limits: Limits,
    /// How it chooses tokens.
    pub sampling: Sampling,
    /// Longest reply, in tokens.
    pub reply_tokens: usize,
    /// Tokens of passages that are worth showing for one question.
    pub passage_tokens: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            sampling: Sampling::default(),
            reply_tokens: REPLY_TOKENS,
            passage_tokens: PASSAGE_TOKENS,
        }
    }
}

/// A reply that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Why it ended.
    pub reason: Reason,
    /// What it took.
    pub usage: Usage,
}

/// A model that writes replies to conversations.
pub struct Generate {
    id: String,
    model: Model,
    options: GenerateOptions,
}

impl Generate {
    /// Verifies the files of a model of the catalog and reads its vocabulary. The weights are loaded at the first reply.
    pub fn open(
        dir: &ModelDir,
        model: &ModelSpec,
        options: GenerateOptions,
    ) -> Result<Self, ModelError> {
        dir.verify(model)?;
        let is_weights = |name: &str| Path::new(name).extension().is_some_and(|e| e == WEIGHTS);
        let file = model.files.iter().find(|file| is_weights(&file.name));
        let (Architecture::Decoder, Some(file)) = (model.arch, file) else {
            return Err(ModelError::Unsupported {
                path: dir.folder(model),
                what: "another engine than the one that generates".to_owned(),
            });
        };
        Self::open_file(&model.id, &dir.folder(model).join(&file.name), options)
    }

    /// The same for a GGUF file that somebody vouches for.
    pub fn open_file(id: &str, path: &Path, options: GenerateOptions) -> Result<Self, ModelError> {
        Ok(Self {
            id: id.to_owned(),
            model: Model::open(path, options.limits)?,
            options,
        })
    }

    /// Id of the model.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the model is used.
    pub fn options(&self) -> &GenerateOptions {
        &self.options
    }

    /// The model itself.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Writes the reply to a conversation, handing over each piece as it comes. What a model thinks before it replies is left out.
    /// Returns [`ModelError::Cancelled`] soon after the flag is raised.
    pub fn write(
        &self,
        messages: &[Message],
        max_tokens: usize,
        cancel: &CancelFlag,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Written, ModelError> {
        let mut request = Request::new(self.model.encode_chat(messages)?, max_tokens);
        request.sampling = self.options.sampling;
        // A flag of its own: dropping the stream raises it, and the caller's may serve for more than this reply.
        request.deadline = Some(std::time::Instant::now() + REPLY_TIME);
        let stream = self.model.submit(request)?;
        let mut thoughts = Thoughts::new();
        let mut show = |text: &str| {
            if !text.is_empty() {
                piece(text);
            }
        };
        loop {
            match stream.next(cancel) {
                Event::Queued { .. } | Event::Prefill { .. } => {}
                Event::Token { text, .. } => show(&thoughts.push(&text)),
                Event::Done {
                    reason,
                    text,
                    usage,
                } => {
                    show(&thoughts.push(&text));
                    show(&thoughts.finish());
                    return Ok(Written { reason, usage });
                }
                Event::Failed(error) => return Err(error),
            }
        }
    }
}
