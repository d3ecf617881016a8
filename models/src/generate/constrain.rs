//! Holds what a model writes to a JSON schema: before each choice, the tokens are taken out that the text may not go on with.
//!
//! The grammar and the walk over the vocabulary are `llguidance`'s, and so are the bounds of what one mask may cost: 0.14 ms at the median
//! and 5 ms at the most in `what_a_mask_costs_with_a_large_vocabulary`. A schema beyond its bounds is not held to, and the caller validates
//! instead.
//!
//! Not here: tokens that steer a model. No grammar can choose one, except the end of the turn where the text may end.

use std::fmt;
use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};

use crate::error::ModelError;
use crate::schema::Schema;

use super::text::Vocabulary;

/// Bytes of the longest token that is used under a grammar. A real one is shorter; a hostile file could make every walk long.
const LONGEST_TOKEN: usize = 256;

/// A vocabulary in the order in which grammars walk it.
pub(super) struct Constraints {
    factory: ParserFactory,
}

impl Constraints {
    /// Sorts a vocabulary. None when `llguidance` does not take it.
    pub(super) fn new(vocabulary: &Vocabulary) -> Option<Self> {
        let ids = 0..vocabulary.len() as u32;
        let words: Vec<Vec<u8>> = ids.map(|id| word(vocabulary, id)).collect();
        Self::of_words(&words, vocabulary.stops())
    }

    fn of_words(words: &[Vec<u8>], stops: &[u32]) -> Option<Self> {
        let info = TokRxInfo::new(words.len() as u32, *stops.first()?);
        let trie = TokTrie::from(&info, words).with_eos_tokens(stops);
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new_simple(&env)
            .inspect_err(|error| tracing::error!(%error, "replies cannot be held to schemas"))
            .ok()?;
        // Its messages would show what is being written.
        factory.quiet().limits_mut().verbose_errors = false;
        Some(Self { factory })
    }

    /// A reply's state before its first token. None when the schema is beyond the bounds of a grammar.
    pub(super) fn hold_to(&self, schema: &Schema) -> Option<Constraint> {
        let grammar = TopLevelGrammar::from_json_schema(schema.narrowed());
        let matcher = Matcher::new(self.factory.create_parser(grammar));
        if matcher.is_error() {
            tracing::warn!("a schema is too complex to hold a reply to it");
            return None;
        }
        Some(Constraint { matcher })
    }
}

/// The bytes of a token as text; none for what must not be chosen as text. 0xff is no UTF-8, and marks special tokens in `toktrie`.
fn word(vocabulary: &Vocabulary, id: u32) -> Vec<u8> {
    let bytes = vocabulary.bytes(id);
    let is_text = !vocabulary.is_stop(id) && bytes.len() <= LONGEST_TOKEN && !bytes.contains(&0xff);
    if is_text { bytes.to_vec() } else { Vec::new() }
}

/// How far a reply is in its schema.
#[derive(Clone)]
pub struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// Takes the tokens out of the choice that may not come next.
    pub(super) fn mask(&mut self, scores: &mut [f32]) -> Result<(), ModelError> {
        let allowed = self.matcher.compute_mask().map_err(|_| beyond())?;
        for (id, score) in scores.iter_mut().enumerate() {
            // Rows of the network beyond the vocabulary are padding.
            if id >= allowed.len() || !allowed.get(id) {
                *score = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Goes on by a token. True when the reply is complete and nothing may follow.
    pub(super) fn accept(&mut self, token: u32) -> Result<bool, ModelError> {
        self.matcher.consume_token(token).map_err(|_| beyond())?;
        Ok(self.matcher.is_stopped())
    }
}

/// What `llguidance` says may hold the reply, and is not passed on.
fn beyond() -> ModelError {
    ModelError::Schema("the schema became too complex while the reply was written".to_owned())
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
