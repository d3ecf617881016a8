//! Runs a generator and lets only checked text through.

use crate::cancel::CancelFlag;
use crate::cite::{CitationStream, Cited, Sources};
use crate::engine::Usage;
use crate::error::ModelError;
use crate::passage::Passage;

use super::generator::{Ended, Generation, Generator, Message};
use super::thinking::Thinking;

/// A reply as it may be shown.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) cited: Cited,
    pub(super) ended: Ended,
    pub(super) usage: Option<Usage>,
}

/// Has `messages` answered; `shown` is what they show of the document. `emit` gets the text as it becomes certain.
pub(super) fn write(
    generator: &dyn Generator,
    messages: &[Message],
    shown: &[Passage],
    cancel: &CancelFlag,
    emit: &mut dyn FnMut(&str),
) -> Result<Written, ModelError> {
    let sources = Sources::new(shown);
    let mut gate = Gate {
        thinking: Thinking::default(),
        citations: CitationStream::new(&sources),
        text: String::new(),
        emit,
    };
    let request = Generation {
        messages,
        max_tokens: generator.limits().reply,
        schema: None,
    };
    let generated = generator.generate(&request, cancel, &mut |piece| gate.push(piece))?;
    let (text, cited) = gate.finish();
    Ok(Written {
        text,
        cited,
        ended: generated.ended,
        usage: generated.usage,
    })
}

/// Where the model's text becomes the reader's.
struct Gate<'a> {
    thinking: Thinking,
    citations: CitationStream<'a>,
    text: String,
    emit: &'a mut dyn FnMut(&str),
}

impl Gate<'_> {
    fn push(&mut self, piece: &str) {
        let answer = self.thinking.push(piece);
        let checked = self.citations.push(&answer);
        self.show(&checked);
    }

    fn show(&mut self, text: &str) {
        // A reply often begins with line breaks, the more so when its thinking was taken out.
        let text = if self.text.is_empty() {
            text.trim_start()
        } else {
            text
        };
        if !text.is_empty() {
            self.text.push_str(text);
            (self.emit)(text);
        }
    }

    fn finish(mut self) -> (String, Cited) {
        let rest = std::mem::take(&mut self.thinking).finish();
        let checked = self.citations.push(&rest);
        self.show(&checked);
        let Self {
            citations,
            mut text,
            emit,
            ..
        } = self;
        let (last, cited) = citations.finish();
        let last = if text.is_empty() {
            last.trim_start()
        } else {
            &last
        };
        if !last.is_empty() {
            text.push_str(last);
            emit(last);
        }
        (text, cited)
    }
}
