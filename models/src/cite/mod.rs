//! Checks the citations of generated text while it streams: what a model says it found is shown only where it can be
//! found.
//!
//! A model is shown passages, each under its marker (`[p. 3]`, `[row 7]`, `[Sheet1!B4]`), and asked to put markers
//! behind its claims. [`CitationStream`] takes the model's text in pieces of any size and gives back what a reader may
//! see: a marker that names nothing shown is taken out, a valid one becomes a [`Citation`] with the document's own
//! bytes, and text in quotation marks keeps them only when the cited passage says exactly that. Only what may still
//! turn out to be a marker or a quote is held back.
//!
//! Not here: whether a claim follows from the place it cites. A citation says where to look, and [`Citation::score`]
//! how many of the claim's words stand there.

mod marker;
mod quote;
mod sources;
mod stream;
mod support;
#[cfg(test)]
mod tests;

pub use sources::Sources;
pub use stream::CitationStream;

use crate::engine::Citation;

/// What became of the markers and quotes of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cited {
    /// One for each marker that was kept, in the order of the text.
    pub citations: Vec<Citation>,
    /// Markers that named nothing shown, and were taken out.
    pub removed_markers: u32,
    /// Texts in quotation marks that the cited passage does not hold; they lost their quotation marks.
    pub false_quotes: u32,
}

impl Cited {
    /// What the reader should know, in sentences.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.removed_markers > 0 {
            notes.push(format!(
                "{} removed that named no passage the model had seen",
                count(self.removed_markers, "citation was", "citations were")
            ));
        }
        if self.false_quotes > 0 {
            notes.push(format!(
                "{} shown without quotation marks because the document does not say exactly that",
                count(self.false_quotes, "quote is", "quotes are")
            ));
        }
        notes
    }
}

fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
