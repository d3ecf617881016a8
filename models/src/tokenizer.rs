//! Text to token ids, for the embedder.
//!
//! Text is data: a document that contains `[SEP]` gets the tokens of those characters, never the control token. Vocabularies of unigrams
//! have their control tokens among the pieces of text, so that `</s>` in a document becomes one: it is taken out again.

use std::collections::HashSet;
use std::path::Path;

use tokenizers::{AddedToken, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::cancel::CancelFlag;
use crate::error::ModelError;

/// How much of a text is looked at, per token of the window. English has 4 to 5 bytes per token, any script fewer than 16; a longer
/// run is white space or one unbroken string, and tokenising a whole document only to cut it would cost seconds.
const MAX_BYTES_PER_TOKEN: usize = 64;

/// Tokens that stand for any text which has no other.
const UNKNOWN: [&str; 2] = ["[UNK]", "<unk>"];

/// The tokenizer of one model.
pub(crate) struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_bytes: usize,
    /// Tokens that may stand only where the tokenizer puts them.
    controls: HashSet<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`; its own padding is dropped, its truncation replaced.
    pub(crate) fn open(path: &Path, max_tokens: usize) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(ModelError::io(path))?;
        let damaged = |error: tokenizers::Error| ModelError::damaged(path, error.to_string());
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(damaged)?;
        inner.with_padding(None);
        inner.set_encode_special_tokens(true);
        let truncation = TruncationParams {
            direction: TruncationDirection::Right,
            max_length: max_tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        };
        inner.with_truncation(Some(truncation)).map_err(damaged)?;
        let added = inner.get_added_tokens_decoder().into_iter();
        let is_control = |token: &AddedToken| token.special && !UNKNOWN.contains(&&*token.content);
        Ok(Self {
            controls: added
                .filter(|(_, token)| is_control(token))
                .map(|(id, _)| id)
                .collect(),
            inner,
            max_bytes: max_tokens * MAX_BYTES_PER_TOKEN,
        })
    }

    /// One more than the highest token id.
    pub(crate) fn vocabulary(&self) -> usize {
        let highest = self.inner.get_vocab(true).into_values().max();
        highest.map_or(0, |id| id as usize + 1)
    }

    /// The tokens of every text, with the control tokens that the model expects around it.
    pub(crate) fn encode_all(
        &self,
        texts: &[&str],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<u32>>, ModelError> {
        let encode = |text: &&str| {
            cancel.check()?;
            let head = &text[..text.floor_char_boundary(self.max_bytes)];
            let encoding = self
                .inner
                .encode_fast(head, true)
                .map_err(|error| ModelError::Inference(error.to_string()))?;
            let ids = encoding.get_ids().iter().copied();
            let ids = ids.zip(encoding.get_special_tokens_mask());
            let ids = ids.filter(|(id, placed)| **placed == 1 || !self.controls.contains(id));
            Ok(ids.map(|(id, _)| id).collect())
        };
        texts.iter().map(encode).collect()
    }
}
