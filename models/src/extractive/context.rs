//! What must be shown with a sentence so that it can be understood, and not misunderstood, by itself.
//!
//! A sentence that opens with a pronoun needs the one before; a list item needs the line that introduces the list
//! (`The tenant must not:`), or it would say the opposite; a line that ends with a colon needs what it announces.

use std::ops::Range;

use super::corpus::{Corpus, Shape};
use super::wordlist::holds;

/// A sentence of so few words says little without the next.
const MAX_NAME_WORDS: usize = 3;
/// Sentences shown behind one that opens a quotation, up to its end.
const MAX_QUOTED: usize = 2;
/// Items shown behind a line that announces a list.
const MAX_ANNOUNCED: usize = 6;
/// How far up the line that introduces a list is looked for.
const MAX_ITEMS_UP: usize = 12;
/// An answer this short needs its question beside it.
const SHORT_ANSWER_WORDS: usize = 4;

/// Words that point back at the sentence before.
const POINTING: &str = "It Its He His She Her They Their This These Those That Such Both Er Sie Es Diese Dieser \
    Dieses Il Elle Ils Elles Cela Ce Este Esta Ella Ello Thereafter Therefore However Otherwise \
    Moreover Also Then";

/// A run of sentences in one passage.
pub(super) struct Span {
    pub(super) passage: usize,
    /// Byte range in the passage's text.
    pub(super) range: Range<usize>,
    /// Indices of its sentences.
    pub(super) sentences: Range<usize>,
}

/// The sentence with its context, in document order, with `neighbours`, without what is `shown` already.
pub(super) fn with_context(
    corpus: &Corpus<'_>,
    at: usize,
    neighbours: &[usize],
    shown: &[usize],
) -> Vec<Span> {
    let mut wanted = vec![at];
    wanted.extend(neighbours);
    wanted.extend(before(corpus, at));
    wanted.extend(after(corpus, at));
    wanted.retain(|other| !shown.contains(other));
    wanted.sort_unstable();
    wanted.dedup();
    spans(corpus, &wanted)
}

/// Joins neighbouring sentences of one passage.
fn spans(corpus: &Corpus<'_>, wanted: &[usize]) -> Vec<Span> {
    let mut out: Vec<Span> = Vec::new();
    for &at in wanted {
        let sentence = &corpus.sentences[at];
        match out.last_mut() {
            Some(span) if span.passage == sentence.passage && span.sentences.end == at => {
                span.range.end = sentence.range.end;
                span.sentences.end = at + 1;
            }
            _ => out.push(Span {
                passage: sentence.passage,
                range: sentence.range.clone(),
                sentences: at..at + 1,
            }),
        }
    }
    out
}

fn before(corpus: &Corpus<'_>, at: usize) -> Option<usize> {
    let sentences = &corpus.sentences;
    let this = &sentences[at];
    if this.shape == Shape::Row {
        return None;
    }
    if let Some(intro) = introduction(corpus, at) {
        return Some(intro);
    }
    let previous = at.checked_sub(1)?;
    let text = corpus.text(at);
    let before = &sentences[previous];
    match before.shape {
        Shape::Question => {
            (this.words <= SHORT_ANSWER_WORDS || text.starts_with("Yes") || text.starts_with("No"))
                .then_some(previous)
        }
        Shape::Prose if before.passage == this.passage => {
            (points_back(text) || text.starts_with(char::is_lowercase)).then_some(previous)
        }
        Shape::Prose => (text.starts_with(char::is_lowercase)
            && is_unfinished(corpus.text(previous)))
        .then_some(previous),
        // `means a work of parts` and `Members of this group` say nothing without their heading.
        Shape::Heading => {
            (text.starts_with(char::is_lowercase) || points_at_heading(text)).then_some(previous)
        }
        Shape::Contents | Shape::Row => None,
    }
}

/// Whether `this` or a pronoun stands among the first words.
fn points_at_heading(text: &str) -> bool {
    const FIRST_WORDS: usize = 5;
    let mut words = text.split_whitespace().take(FIRST_WORDS);
    points_back(text)
        || words.any(|word| holds("this these diese dieser dieses ce cette este esta", word))
}

/// The line ending in a colon that opens the list of which this sentence is an item.
fn introduction(corpus: &Corpus<'_>, at: usize) -> Option<usize> {
    if at > 0 && corpus.sentences[at - 1].passage == corpus.sentences[at].passage {
        return None;
    }
    let mut item = at;
    for _ in 0..MAX_ITEMS_UP {
        if !is_item(corpus, item) {
            return None;
        }
        let first = first_of_passage(corpus, item);
        item = first.checked_sub(1)?;
        if corpus.text(item).ends_with(':') {
            return Some(item);
        }
    }
    None
}

fn first_of_passage(corpus: &Corpus<'_>, at: usize) -> usize {
    let passage = corpus.sentences[at].passage;
    let back = corpus.sentences[..at]
        .iter()
        .rev()
        .take_while(|s| s.passage == passage)
        .count();
    at - back
}

/// Whether the passage of a sentence is a list item: it opens with a marker or in lower case.
pub(super) fn is_item(corpus: &Corpus<'_>, at: usize) -> bool {
    let text = corpus.passages[corpus.sentences[at].passage]
        .text
        .trim_start();
    let mut chars = text.chars();
    match chars.next() {
        Some('•' | '◦' | '▪' | '●' | '–' | '-' | '*' | '·' | '‣' | '(' | '\u{f0b7}') => {
            true
        }
        Some(c) if c.is_lowercase() => true,
        Some(c) if c.is_alphanumeric() => {
            let marker = text.split(char::is_whitespace).next().unwrap_or_default();
            marker.len() <= 4 && (marker.ends_with(')') || marker.ends_with('.'))
        }
        _ => false,
    }
}

fn after(corpus: &Corpus<'_>, at: usize) -> Vec<usize> {
    let next = at + 1;
    let Some(following) = corpus.sentences.get(next) else {
        return Vec::new();
    };
    let text = corpus.text(at);
    match corpus.sentences[at].shape {
        Shape::Row | Shape::Contents => Vec::new(),
        Shape::Heading | Shape::Question => {
            if following.shape == Shape::Prose {
                vec![next]
            } else {
                Vec::new()
            }
        }
        Shape::Prose if text.ends_with(':') => announced(corpus, next),
        Shape::Prose => {
            let continues = following.shape == Shape::Prose
                && is_unfinished(text)
                && corpus.text(next).starts_with(char::is_lowercase);
            // `Explicit triggers.` at the start of a list item only names what the next sentence tells.
            let names_only = corpus.sentences[at].words <= MAX_NAME_WORDS
                && following.passage == corpus.sentences[at].passage;
            if names_only || continues && !is_item(corpus, at) {
                vec![next]
            } else {
                rest_of_quotation(corpus, at)
            }
        }
    }
}

/// The sentences up to the end of a quotation that this one opens: half of what somebody said may mean the opposite.
fn rest_of_quotation(corpus: &Corpus<'_>, at: usize) -> Vec<usize> {
    let passage = corpus.sentences[at].passage;
    let mut open = open_quotations(corpus.text(at));
    let mut rest = Vec::new();
    while open > 0 {
        let next = at + 1 + rest.len();
        let goes_on = corpus
            .sentences
            .get(next)
            .is_some_and(|sentence| sentence.passage == passage);
        if !goes_on || rest.len() == MAX_QUOTED {
            return Vec::new();
        }
        rest.push(next);
        let text: String = rest.iter().map(|at| corpus.text(*at)).collect();
        open = open_quotations(&format!("{}{text}", corpus.text(at)));
    }
    rest
}

/// How many double quotation marks of a text are opened and not closed.
fn open_quotations(text: &str) -> usize {
    let count = |sign: char| text.matches(sign).count();
    // “ opens in English and closes in German, where „ opens.
    let curly = match count('„') {
        0 => count('“').saturating_sub(count('”')),
        opened => opened.saturating_sub(count('“') + count('”')),
    };
    curly + count('"') % 2
}

/// The items behind a line that announces them; at least the next sentence.
fn announced(corpus: &Corpus<'_>, first: usize) -> Vec<usize> {
    let prose = |at: &usize| corpus.sentences[*at].shape == Shape::Prose;
    let end = (first + MAX_ANNOUNCED).min(corpus.sentences.len());
    (first..end)
        .take_while(prose)
        .take_while(|at| *at == first || is_item(corpus, *at))
        .collect()
}

fn is_unfinished(text: &str) -> bool {
    text.trim_end()
        .ends_with(|c: char| c.is_alphanumeric() || matches!(c, ',' | '-'))
}

/// Whether a sentence opens with a word that points at the one before.
pub(super) fn points_back(text: &str) -> bool {
    let first = text
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .next()
        .unwrap_or_default();
    holds(POINTING, first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::passage::passages_from_page;

    fn shown(page: &str, needle: &str) -> Vec<String> {
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let at = (0..corpus.sentences.len())
            .find(|at| corpus.text(*at).contains(needle))
            .unwrap();
        with_context(&corpus, at, &[], &[])
            .into_iter()
            .map(|span| passages[span.passage].text[span.range].to_owned())
            .collect()
    }

    #[test]
    fn pronouns_bring_the_sentence_before() {
        let page = "The bridge is old. It was opened in 1932. The toll is low.";
        assert_eq!(
            shown(page, "1932"),
            ["The bridge is old. It was opened in 1932."]
        );
        assert_eq!(shown(page, "toll"), ["The toll is low."]);
    }

    #[test]
    fn items_bring_the_line_that_introduces_them() {
        let page =
            "The tenant must not:\n- keep dogs\n- paint the walls\n\nThe rent is due monthly.";
        assert_eq!(
            shown(page, "paint"),
            ["The tenant must not:", "- paint the walls"]
        );
        assert_eq!(shown(page, "must not").len(), 3);
        assert_eq!(shown(page, "rent"), ["The rent is due monthly."]);
    }

    #[test]
    fn a_quotation_is_shown_to_its_end() {
        let page = "He said, \"There were ten. Now there are two.\" We left.";
        assert_eq!(
            shown(page, "ten"),
            ["He said, \"There were ten. Now there are two.\""]
        );
        let endless = "He said, “There were ten. Two. Three. Four. Five.";
        assert_eq!(shown(endless, "ten"), ["He said, “There were ten."]);
    }

    #[test]
    fn questions_bring_their_answer() {
        assert_eq!(
            shown("Is it open? Yes, daily.", "Is it"),
            ["Is it open? Yes, daily."]
        );
        assert_eq!(
            shown("Is it open? Yes, daily.", "Yes"),
            ["Is it open? Yes, daily."]
        );
    }
}
