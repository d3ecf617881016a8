//! The document as the ranking sees it: its sentences with their stems, headings and neighbours.
//!
//! Building it is one pass over the text. It borrows the passages; a sentence is a byte range in one of them, so
//! that every quote stays what the document says.

use std::ops::Range;

use crate::cancel::CancelFlag;
use crate::error::ModelError;
use crate::passage::{Passage, PassageKind};

use super::display::{display, unwrap_lines};
use super::evidence::is_url;
use super::language::Language;
use super::lexicon::{Lexicon, TermId};
use super::running::without_running_lines;
use super::sentences::sentences;

/// A larger document is ranked by its first sentences only, and the answer says so. About 4 000 pages.
pub(super) const MAX_SENTENCES: usize = 100_000;
/// Passages handled between two looks at the cancel flag.
const CANCEL_STRIDE: usize = 256;

/// A document ready to be searched.
pub(super) struct Corpus<'a> {
    pub(super) passages: &'a [Passage],
    pub(super) sentences: Vec<Sentence>,
    pub(super) lexicon: Lexicon,
    /// Number of sentences that hold each term.
    pub(super) document_frequency: Vec<u32>,
    /// True when the document had more than [`MAX_SENTENCES`].
    pub(super) truncated: bool,
}

/// One sentence, list item, heading or table row.
pub(super) struct Sentence {
    /// Index of its passage.
    pub(super) passage: usize,
    /// Byte range in the passage's text.
    pub(super) range: Range<usize>,
    /// Stems in order, stopwords left out.
    pub(super) terms: Vec<TermId>,
    /// Number of words, stopwords included.
    pub(super) words: usize,
    /// Index of the sentence that is the heading above it.
    pub(super) heading: Option<usize>,
    pub(super) shape: Shape,
}

/// What a sentence looks like; only prose and rows answer well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Prose,
    Heading,
    Question,
    /// A line of a table of contents.
    Contents,
    Row,
}

impl<'a> Corpus<'a> {
    /// Splits the passages into sentences and numbers their words.
    pub(super) fn build(passages: &'a [Passage], cancel: &CancelFlag) -> Result<Self, ModelError> {
        let language = Language::detect(passages.iter().map(|passage| passage.text.as_str()));
        let kept = without_running_lines(passages);
        let mut corpus = Self {
            passages,
            sentences: Vec::new(),
            lexicon: Lexicon::new(language),
            document_frequency: Vec::new(),
            truncated: false,
        };
        let mut heading = None;
        for (index, range) in kept.into_iter().enumerate() {
            if index % CANCEL_STRIDE == 0 {
                cancel.check()?;
            }
            if corpus.sentences.len() >= MAX_SENTENCES {
                corpus.truncated = true;
                break;
            }
            corpus.add_passage(index, range, &mut heading);
        }
        Ok(corpus)
    }

    /// The sentence as it stands in the document.
    pub(super) fn text(&self, sentence: usize) -> &'a str {
        let Sentence { passage, range, .. } = &self.sentences[sentence];
        &self.passages[*passage].text[range.clone()]
    }

    /// The sentence on one line.
    pub(super) fn shown(&self, sentence: usize) -> String {
        let Sentence { passage, range, .. } = &self.sentences[sentence];
        self.shown_range(*passage, range.clone())
    }

    /// A byte range of a passage on one line.
    pub(super) fn shown_range(&self, passage: usize, range: Range<usize>) -> String {
        display(&self.passages[passage].text[range], |word| {
            self.lexicon.is_known(word)
        })
    }

    fn add_passage(&mut self, index: usize, kept: Range<usize>, heading: &mut Option<usize>) {
        let passage = &self.passages[index];
        let base = kept.start;
        let text = &passage.text[kept];
        // A row, or a line of a table of contents, is one piece: its full stops end nothing.
        let whole = passage.kind == PassageKind::TableRow || is_contents_line(text);
        let pieces = if whole { lines(text) } else { sentences(text) };
        for range in pieces
            .into_iter()
            .map(|piece| piece.start + base..piece.end + base)
        {
            let text = unwrap_lines(&passage.text[range.clone()]);
            if !text.contains(char::is_alphanumeric) {
                continue;
            }
            let shape = shape(&text, passage.kind);
            let at = self.sentences.len();
            let terms = self.count(&text);
            let words = text.split_whitespace().count();
            self.sentences.push(Sentence {
                passage: index,
                range,
                terms,
                words,
                heading: *heading,
                shape,
            });
            if shape == Shape::Heading {
                *heading = Some(at);
            }
        }
    }

    fn count(&mut self, text: &str) -> Vec<TermId> {
        let terms = self.lexicon.add(text);
        self.document_frequency.resize(self.lexicon.len(), 0);
        let mut different = terms.clone();
        different.sort_unstable();
        different.dedup();
        for term in different {
            self.document_frequency[term as usize] += 1;
        }
        terms
    }
}

fn shape(text: &str, kind: PassageKind) -> Shape {
    match kind {
        PassageKind::TableRow => Shape::Row,
        _ if is_contents_line(text) => Shape::Contents,
        _ if text.ends_with('?') => Shape::Question,
        PassageKind::Heading => Shape::Heading,
        PassageKind::Prose if is_inline_heading(text) => Shape::Heading,
        PassageKind::Prose => Shape::Prose,
    }
}

/// The `7. Disclaimer of Warranty.` that opens a paragraph on the same line.
fn is_inline_heading(text: &str) -> bool {
    const MAX_WORDS: usize = 10;
    let mut words = text.split_whitespace();
    let number = words.next().and_then(|word| word.strip_suffix('.'));
    let numbered = number.is_some_and(|number| {
        number.chars().all(|c| c.is_ascii_digit() || c == '.') && !number.is_empty()
    });
    let mut long = words.filter(|word| word.chars().count() > 3).peekable();
    let titled = long.peek().is_some() && long.all(|word| word.starts_with(char::is_uppercase));
    numbered && titled && text.split_whitespace().count() <= MAX_WORDS
}

/// The lines of a text that are not blank, trimmed.
fn lines(text: &str) -> Vec<Range<usize>> {
    let start_of = |line: &str| line.as_ptr() as usize - text.as_ptr() as usize;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| start_of(line)..start_of(line) + line.len())
        .collect()
}

/// A title, dot leaders and a page number, or the like that says nothing.
fn is_contents_line(text: &str) -> bool {
    text.contains(".....")
        || text.contains(". . . .")
        || text.contains("…………")
        || is_list_of_links(text)
}

/// Web addresses with nothing but their numbers between them, as at the end of a printed page.
fn is_list_of_links(text: &str) -> bool {
    const MIN_LINKS: usize = 2;
    let mut links = 0;
    for word in text.split_whitespace() {
        if is_url(word) {
            links += 1;
        } else if word.contains(char::is_alphabetic) {
            return false;
        }
    }
    links >= MIN_LINKS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passage::passages_from_page;

    #[test]
    fn sentences_know_their_heading_and_shape() {
        let page = "BRIDGES\n\nThe bridge was\nopened in 1932. Is it long?\n\nTunnels ........ 7";
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let shapes: Vec<_> = corpus.sentences.iter().map(|s| s.shape).collect();
        assert_eq!(
            shapes,
            [
                Shape::Heading,
                Shape::Prose,
                Shape::Question,
                Shape::Contents
            ]
        );
        assert_eq!(corpus.sentences[1].heading, Some(0));
        assert_eq!(corpus.text(1), "The bridge was\nopened in 1932.");
        assert_eq!(corpus.shown(1), "The bridge was opened in 1932.");
        let bridge = corpus.lexicon.find("bridge").unwrap();
        assert_eq!(corpus.document_frequency[bridge as usize], 2);
    }

    #[test]
    fn building_stops_when_cancelled() {
        let passages = passages_from_page(1, "Text.");
        let cancel = CancelFlag::default();
        cancel.cancel();
        assert!(matches!(
            Corpus::build(&passages, &cancel),
            Err(ModelError::Cancelled)
        ));
    }
}
