//! Text generation: a decoder for GGUF files of the llama, qwen2 and qwen3 families, on candle's quantised tensors.
//!
//! candle's own models are not fit for documents (rotary tables in half precision, wrong results after a second turn, no batches,
//! weights held twice), so only its tensors are used. From file to text: `gguf` checks a header, `config` its numbers, `network` holds
//! the weights and computes, `kv` the cached keys and values, `text` and `template` translate, `schedule` computes for many requests at
//! once, `sample` chooses, `constrain` holds the choice to a JSON schema. `engine` offers it all to `ground`, which answers prompts about documents with it.
//!
//! Not here: training, experts, SentencePiece vocabularies, other processors than the CPU.

mod arch;
mod config;
mod constrain;
mod engine;
mod gguf;
mod kv;
mod network;
mod rope;
mod sample;
mod schedule;
mod template;
#[cfg(test)]
#[path = "../../tests/support/gguf.rs"]
mod testing;
mod text;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::ModelError;
use crate::ground::Message;
use crate::schema::Schema;

use config::Config;
use constrain::{Constraint, Constraints};
use gguf::Gguf;
use schedule::Scheduler;
use template::Template;
use text::Vocabulary;

pub use engine::{Generate, GenerateOptions};
pub use sample::Sampling;
pub use schedule::{Event, Limits, Reason, Request, Stream, Usage};

/// A generative model: its tokens, its template, and the thread that computes.
pub struct Model {
    vocabulary: Arc<Vocabulary>,
    template: Template,
    scheduler: Scheduler,
    limits: Limits,
    /// Built for the first schema; it takes a part of a second for a large vocabulary.
    constraints: OnceLock<Option<Constraints>>,
}

impl Model {
    /// Checks a GGUF file and reads its vocabulary and template. The weights are loaded at the first request.
    pub fn open(path: &Path, limits: Limits) -> Result<Self, ModelError> {
        let file = Gguf::open(path)?;
        let config = Config::read(&file)?;
        let vocabulary = Vocabulary::read(&file, config.family, config.vocabulary)?;
        let own = file.text("tokenizer.chat_template")?;
        let template = Template::new(own, config.family.template, vocabulary.border_names());
        let limits = Limits {
            context: limits.context.min(config.context),
            ..limits
        };
        let vocabulary = Arc::new(vocabulary);
        Ok(Self {
            scheduler: Scheduler::start(path, Arc::clone(&vocabulary), limits)?,
            vocabulary,
            template,
            limits,
            constraints: OnceLock::new(),
        })
    }

    /// The tokens of a conversation, up to where the model's turn begins. Texts are data: no word in them is a control token.
    pub fn encode_chat(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.vocabulary
            .encode(&self.template.render(messages)?.parts())
    }

    /// Number of tokens of a text.
    pub fn count(&self, text: &str) -> Result<usize, ModelError> {
        self.vocabulary.count(text)
    }

    /// Tokens that a prompt and its answer may have together.
    pub fn context(&self) -> usize {
        self.limits.context
    }

    /// What holds a reply to a schema; none when this schema cannot be held to with these tokens.
    pub fn constrain(&self, schema: &Schema) -> Option<Constraint> {
        let constraints = self
            .constraints
            .get_or_init(|| Constraints::new(&self.vocabulary));
        constraints.as_ref()?.hold_to(schema)
    }

    /// Hands a request in, or refuses it at once.
    pub fn submit(&self, request: Request) -> Result<Stream, ModelError> {
        self.scheduler.submit(request)
    }
}
