//! Builds an answer piece by piece and streams it.
//!
//! Everything that reaches the reader goes through [`Reply::say`], so the chunks put together are the text by
//! construction; and every quote goes through [`Reply::quote`], which cuts it out of its passage, so it is verbatim
//! by construction.

use std::ops::Range;

use crate::engine::{Answer, AnswerSink, Citation};
use crate::passage::Passage;

/// Name of the engine in its answers.
pub(super) const ENGINE: &str = "extractive";

/// An answer in the making.
pub(super) struct Reply<'a> {
    sink: &'a mut dyn AnswerSink,
    text: String,
    citations: Vec<Citation>,
    notes: Vec<String>,
    answered: bool,
    /// Whether the answer rests on everything there is, also on what was not read beforehand.
    rests_on_all: bool,
}

impl<'a> Reply<'a> {
    pub(super) fn new(sink: &'a mut dyn AnswerSink) -> Self {
        Self {
            sink,
            text: String::new(),
            citations: Vec::new(),
            notes: Vec::new(),
            answered: true,
            rests_on_all: false,
        }
    }

    /// Adds text of the engine's own, or a quote as it is shown.
    pub(super) fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        self.sink.chunk(text);
    }

    /// Cites a byte range of a passage and shows it as `shown`, with the marker behind it.
    pub(super) fn quote(
        &mut self,
        passage: &Passage,
        range: Range<usize>,
        shown: &str,
        score: f32,
    ) {
        let citation = passage.cite(range, score);
        self.say(&format!("{shown} {}", citation.marker));
        self.citations.push(citation);
    }

    /// Starts a new paragraph unless the text is still empty.
    pub(super) fn paragraph(&mut self) {
        if !self.text.is_empty() {
            self.say("\n\n");
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Something the reader should know that is no part of the answer.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Marks the prompt as one that the document does not answer.
    pub(super) fn not_answered(&mut self) {
        self.answered = false;
    }

    /// Notes that the answer rests on every row of the table.
    pub(super) fn read_all(&mut self) {
        self.rests_on_all = true;
    }

    /// Whether the answer rests on every row of the table.
    pub(super) fn rests_on_all(&self) -> bool {
        self.rests_on_all
    }

    pub(super) fn progress(&mut self, done: u32, total: u32) {
        self.sink.progress(done, total);
    }

    pub(super) fn finish(self, model: Option<String>) -> Answer {
        Answer {
            text: self.text,
            answered: self.answered,
            citations: self.citations,
            engine: ENGINE.to_owned(),
            model,
            notes: self.notes,
            ..Answer::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passage::{Locator, PassageKind};

    struct Chunks(Vec<String>);

    impl AnswerSink for Chunks {
        fn progress(&mut self, _: u32, _: u32) {}
        fn chunk(&mut self, text: &str) {
            self.0.push(text.to_owned());
        }
    }

    #[test]
    fn chunks_are_the_text_and_quotes_stand_where_they_say() {
        let page = "Überschrift.\n\nDie Brücke\nist lang.";
        let passage = Passage {
            text: "Die Brücke\nist lang.".to_owned(),
            locator: Locator::Page {
                page: 3,
                offset: 14,
            },
            kind: PassageKind::Prose,
        };
        let mut chunks = Chunks(Vec::new());
        let mut reply = Reply::new(&mut chunks);
        reply.paragraph();
        reply.quote(&passage, 4..passage.text.len(), "Brücke ist lang.", 1.7);
        reply.paragraph();
        reply.say("End.");
        let answer = reply.finish(None);
        assert_eq!(answer.text, "Brücke ist lang. [p. 3]\n\nEnd.");
        assert_eq!(chunks.0.concat(), answer.text);
        let citation = &answer.citations[0];
        let at: String = page
            .chars()
            .skip(citation.start as usize)
            .take(citation.quote.chars().count())
            .collect();
        assert_eq!(at, citation.quote);
        assert!(citation.score <= 1.0);
    }
}
