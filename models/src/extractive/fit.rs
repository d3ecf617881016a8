//! Whether a sentence has the form of an answer: it holds the kind of thing asked for, or defines the subject.
//!
//! `What is cargo?` is answered by a sentence that begins `Cargo is` or that puts the word in quotes to define it, and
//! hardly by the fifty others that speak of cargo.

use unicode_segmentation::UnicodeSegmentation;

use super::answer_type::AnswerType;
use super::corpus::{Corpus, Shape};
use super::display::unwrap_lines;
use super::lexicon::TermId;
use super::prompt::Prompt;
use super::query::{Concept, Query};
use super::wordlist::holds;

/// Bonus for holding a date, number, person and the like. Most sentences hold some, so it is small.
const KIND: f32 = 0.1;
/// Bonus for holding an e-mail address, a web address or a phone number: few sentences do.
const ADDRESS: f32 = 0.25;
/// Bonus for defining the subject.
const DEFINITION: f32 = 0.15;
/// Bonus for being the numbered definition of the subject.
const TITLED_DEFINITION: f32 = 0.25;
/// A definition names its subject within the first words.
const MAX_WORDS_BEFORE: usize = 3;
/// A question about more words than this asks for more than a definition.
const MAX_DEFINED: usize = 4;

/// Verbs behind a subject that is being defined.
const DEFINES: &str = "is are was means mean refers denotes describes includes measures represents ist sind bedeutet \
    bezeichnet est sont es son";

/// What the form of a sentence adds to its score.
pub(super) fn bonus(corpus: &Corpus<'_>, query: &Query, at: usize) -> f32 {
    let text = corpus.text(at);
    let kind = match query.answer_type {
        Some(kind) if !kind.fits(text) => 0.0,
        Some(AnswerType::Email | AnswerType::Url | AnswerType::Phone) => ADDRESS,
        Some(_) => KIND,
        None => 0.0,
    };
    kind + definition(corpus, query, at)
}

fn definition(corpus: &Corpus<'_>, query: &Query, at: usize) -> f32 {
    let prose = corpus.sentences[at].shape == Shape::Prose;
    if !query.wants_definition || !prose {
        return 0.0;
    }
    if defines_by_title(corpus, query, at) {
        TITLED_DEFINITION
    } else if defines(corpus, query, corpus.text(at)) || explains_heading(corpus, query, at) {
        DEFINITION
    } else {
        0.0
    }
}

/// `Definition 3 (Local sensitivity [11]). The local sensitivity of ...`
fn defines_by_title(corpus: &Corpus<'_>, query: &Query, at: usize) -> bool {
    let Some(title) = titled_definition(corpus.text(at)) else {
        return false;
    };
    let terms: Vec<TermId> = title
        .unicode_words()
        .filter_map(|word| corpus.lexicon.find(word))
        .collect();
    let named = |concept: &Concept| terms.iter().any(|term| concept.is_named_by(*term));
    query.concepts.iter().all(named)
}

/// What stands between the parentheses of a numbered definition.
fn titled_definition(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("Definition ")?;
    let (number, rest) = rest.split_once('(')?;
    let (title, _) = rest.split_once(')')?;
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    number.trim().chars().all(is_number).then_some(title)
}

/// The first sentence below a heading that is nothing but the subject, as in a glossary.
fn explains_heading(corpus: &Corpus<'_>, query: &Query, at: usize) -> bool {
    let Some(heading) = at
        .checked_sub(1)
        .filter(|before| corpus.sentences[*before].shape == Shape::Heading)
    else {
        return false;
    };
    let terms = &corpus.sentences[heading].terms;
    let named = |concept: &Concept| terms.iter().any(|term| concept.is_named_by(*term));
    // One more stem may be the number of the section.
    terms.len() <= query.concepts.len() + 1 && query.concepts.iter().all(named)
}

/// Whether a bonus alone makes a sentence an answer.
pub(super) fn is_address(bonus: f32) -> bool {
    bonus >= ADDRESS
}

/// `What is X?`, `Who is X?`, `What does X mean?`, `What does X do?`, `Define X`.
pub(super) fn wants_definition(prompt: &Prompt, subject_words: usize) -> bool {
    let words: Vec<&str> = prompt.words().iter().map(String::as_str).collect();
    let form = matches!(
        words.as_slice(),
        [
            "what" | "who" | "was" | "wer" | "que" | "qui",
            "is" | "are" | "ist" | "sind" | "est" | "es" | "sont" | "son",
            ..,
        ] | ["what", "does" | "do", .., "mean" | "do"]
            | ["was", "bedeutet", ..]
            | ["define" | "definition" | "what's", ..]
    );
    form && (1..=MAX_DEFINED).contains(&subject_words)
}

fn defines(corpus: &Corpus<'_>, query: &Query, text: &str) -> bool {
    let text = unwrap_lines(text);
    let is_subject = |word: &str| {
        corpus.lexicon.find(word).is_some_and(|term| {
            query
                .concepts
                .iter()
                .any(|concept: &Concept| concept.is_named_by(term))
        })
    };
    let words: Vec<(usize, &str)> = text.unicode_word_indices().collect();
    let Some(first) = words.iter().position(|(_, word)| is_subject(word)) else {
        return false;
    };
    let count = words[first..]
        .iter()
        .take_while(|(_, word)| is_subject(word))
        .count();
    if count < query.concepts.len() {
        return false;
    }
    let (start, end) = (
        words[first].0,
        words[first + count - 1].0 + words[first + count - 1].1.len(),
    );
    let quote = |c: Option<char>| {
        c.is_some_and(|c| matches!(c, '"' | '“' | '”' | '„' | '«' | '»' | '‘' | '’' | '\''))
    };
    let quoted = quote(text[..start].chars().next_back()) && quote(text[end..].chars().next());
    let verb = words
        .get(first + count)
        .is_some_and(|(_, word)| holds(DEFINES, &word.to_lowercase()));
    quoted || verb && first <= MAX_WORDS_BEFORE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::passage::passages_from_page;

    fn bonuses(page: &str, prompt: &str) -> Vec<bool> {
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let query = Query::new(prompt, &Prompt::new(prompt), &corpus);
        (0..corpus.sentences.len())
            .map(|at| bonus(&corpus, &query, at) > 0.0)
            .collect()
    }

    #[test]
    fn definitions_are_told_from_mentions() {
        let page = "We like cargo. Cargo is a build tool. The cargo command is fast. A “cargo” means more. Use cargo for it.";
        assert_eq!(
            bonuses(page, "What is Cargo?"),
            [false, true, false, true, false]
        );
        assert_eq!(bonuses(page, "How does Cargo work?"), [false; 5]);
        let lease = "Made between Corvin Ltd (the \"Landlord\") and Ms Raman. The landlord pays.";
        assert_eq!(bonuses(lease, "Who is the landlord?"), [true, false]);
        let numbered = "Definition 3 (Cargo [11]). Let f be a function of it.";
        assert_eq!(bonuses(numbered, "What is cargo?"), [true]);
        assert_eq!(bonuses(numbered, "What is a function?"), [false]);
        let glossary = "1.7. \"Larger Work\"\n\nmeans a work of parts. It is large.\n\nLARGER PARTS\n\nThese are parts.";
        assert_eq!(
            bonuses(glossary, "What is a larger work?"),
            [false, true, false, false, false]
        );
    }
}
