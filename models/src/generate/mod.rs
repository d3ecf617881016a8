//! Text generation: a decoder for GGUF files of the llama, qwen2 and qwen3 families, on candle's quantised tensors.
//!
//! candle's own models are not fit for documents (rotary tables in half precision, wrong results after a second turn, no batches,
//! weights held twice), so only its tensors are used. From file to text: `gguf` checks a header, `config` its numbers, `network` holds
//! the weights and computes, `kv` the cached keys and values, `text` and `template` translate, `schedule` computes for many requests at
//! once, `sample` chooses. `engine` offers it all to `ground`, which answers prompts about documents with it.
//!
//! Not here: training, experts, SentencePiece vocabularies, other processors than the CPU.

mod arch;
mod config;
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
use std::sync::Arc;

use crate::error::ModelError;
use crate::ground::Message;

use config::Config;
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

    /// Hands a request in, or refuses it at once.
    pub fn submit(&self, request: Request) -> Result<Stream, ModelError> {
        self.scheduler.submit(request)
    }
}
