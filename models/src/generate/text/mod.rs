//! Between text and tokens: the vocabulary of a file, and what happens to generated text on its way out.

pub(super) mod bytes;
pub(super) mod filter;
pub(super) mod vocabulary;

pub(super) use vocabulary::{Part, Vocabulary};
