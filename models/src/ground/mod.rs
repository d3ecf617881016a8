//! Answers written by a language model from what it was shown of the document, and checked against it.
//!
//! A [`Generator`] turns messages into text; where it runs, in this process or behind an address, is its own business.
//! [`Grounded`] is the engine around it: it chooses what the model reads (`extractive::select`), puts it into a prompt in
//! which every passage stands under its marker (`prompt`), lets the text through [`CitationStream`](crate::cite) and says
//! in the answer what was not read. Summaries of documents longer than the window are made of sections (`sections`).
//! Questions about tables are computed by the extractive engine first: a model that sees some rows cannot add up all.
//!
//! Not here: any trust in the model or in the document. Text of a document is shown to the model as data, in a form in which it
//! can open no role and no source of its own (`quarantine`), and nothing a model writes is ever run or fetched.

mod engine;
mod generator;
mod prompt;
mod quarantine;
mod sections;
#[cfg(test)]
mod tests;
mod thinking;
mod writer;

pub use engine::Grounded;
pub use generator::{Ended, Generated, Generation, Generator, Limits, Message, Role, Shape};
