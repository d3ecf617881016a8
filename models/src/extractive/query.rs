//! A prompt turned into what the ranking looks for: concepts with their stems in this document, and an answer type.
//!
//! A concept is one word of the prompt with its inflections, synonyms and, when the document never uses it, its
//! likely spelling. Words by which the prompt speaks about itself (`please`, `the document`) are left out; words
//! that name the kind of answer (`year`, `how many`) count little, because answers seldom repeat them.

use super::answer_type::AnswerType;
use super::corpus::Corpus;
use super::fit::wants_definition;
use super::language::Language;
use super::lexicon::{Lexicon, TermId};
use super::prompt::Prompt;
use super::stopwords;
use super::synonyms;
use super::wordlist::holds;

/// What a synonym counts beside the word itself.
const SYNONYM_WEIGHT: f32 = 0.6;
/// What a stem one typing error away counts.
const TYPO_WEIGHT: f32 = 0.8;
/// What a word counts that only names the kind of answer.
const SOFT_WEIGHT: f32 = 0.3;
/// Longer prompts are searched by their first concepts; nobody needs more to point at a sentence.
const MAX_CONCEPTS: usize = 48;

/// Words that name the kind of answer and seldom stand in it, folded.
const SOFT: &str = "year date day time name number amount many much percent percentage long high tall far big \
    old person people place city country reason type kind sort called happen happens happened \
    often wide deep large total address location list extract main mention talk discuss related \
    concerning regard purpose meant jahr datum viel viele lang hoch annee nombre ano fecha \
    numero get do happening someone anyone somebody something anything come comes came go goes went gets got take \
    takes took apply applies \
    email mail phone telephone website url link contact should recommended best work works start try \
    gilt gelten kommt macht";

/// What to look for.
pub(super) struct Query {
    /// The prompt as typed, for the embedding.
    pub(super) text: String,
    pub(super) concepts: Vec<Concept>,
    pub(super) answer_type: Option<AnswerType>,
    /// Whether the prompt asks what something is.
    pub(super) wants_definition: bool,
}

/// One word of the prompt and everything in the document that may stand for it.
pub(super) struct Concept {
    /// Stems in the document with what a match counts; empty when the document has none.
    pub(super) terms: Vec<(TermId, f32)>,
    /// What the concept counts in the score.
    pub(super) weight: f32,
    /// Inverse document frequency; largest for words the document never uses.
    pub(super) idf: f32,
}

impl Concept {
    /// Whether an answer is expected to speak of it.
    pub(super) fn is_hard(&self) -> bool {
        self.weight > SOFT_WEIGHT
    }

    /// Whether a stem is the concept's own word and no synonym.
    pub(super) fn is_named_by(&self, term: TermId) -> bool {
        self.terms
            .first()
            .is_some_and(|(own, weight)| *own == term && *weight >= 1.0)
    }
}

impl Query {
    pub(super) fn new(text: &str, prompt: &Prompt, corpus: &Corpus<'_>) -> Self {
        let words = subject_words(prompt, &corpus.lexicon);
        Self {
            answer_type: AnswerType::of(prompt),
            wants_definition: wants_definition(prompt, words.len()),
            ..Self::of_words(text, &words, corpus)
        }
    }

    /// A query for some words of a prompt.
    pub(super) fn of_words(text: &str, words: &[&str], corpus: &Corpus<'_>) -> Self {
        let only_soft = words.iter().all(|word| holds(SOFT, word));
        let concepts = words
            .iter()
            .take(MAX_CONCEPTS)
            .map(|word| {
                let soft = holds(SOFT, word) && !only_soft;
                let terms = terms(word, &corpus.lexicon);
                let idf = idf(&terms, corpus);
                Concept {
                    terms,
                    weight: if soft { SOFT_WEIGHT } else { 1.0 },
                    idf,
                }
            })
            .collect();
        Self {
            text: text.trim().to_owned(),
            concepts,
            answer_type: None,
            wants_definition: false,
        }
    }

    /// Whether only an e-mail address, a web address or a phone number answers.
    pub(super) fn wants_address(&self) -> bool {
        matches!(
            self.answer_type,
            Some(AnswerType::Email | AnswerType::Url | AnswerType::Phone)
        )
    }

    /// Whether the prompt names anything to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.concepts.is_empty()
    }
}

/// The words of a prompt that say what it is about, each once.
pub(super) fn subject_words<'p>(prompt: &'p Prompt, lexicon: &Lexicon) -> Vec<&'p str> {
    let english = Language::English.stopwords();
    let asked_in = Language::detect(prompt.words().iter().map(String::as_str)).stopwords();
    let mut out: Vec<&str> = Vec::new();
    for word in prompt.words().iter().map(String::as_str) {
        let common = lexicon.is_stopword(word) || english.contains(word) || asked_in.contains(word);
        if !common && !holds(stopwords::FRAME, word) && !out.contains(&word) {
            out.push(word);
        }
    }
    out
}

fn terms(word: &str, lexicon: &Lexicon) -> Vec<(TermId, f32)> {
    let mut out: Vec<(TermId, f32)> = lexicon
        .find(word)
        .map(|term| (term, 1.0))
        .into_iter()
        .collect();
    let stem = lexicon.stem(word);
    for group in synonyms::GROUPS.lines() {
        if !group.split(' ').any(|other| lexicon.stem(other) == stem) {
            continue;
        }
        for term in group.split(' ').filter_map(|other| lexicon.find(other)) {
            if !out.iter().any(|(known, _)| *known == term) {
                out.push((term, SYNONYM_WEIGHT));
            }
        }
    }
    if out.is_empty() {
        out.extend(
            lexicon
                .tail(word)
                .into_iter()
                .map(|term| (term, SYNONYM_WEIGHT)),
        );
    }
    if out.is_empty() {
        out.extend(
            lexicon
                .similar(word)
                .into_iter()
                .map(|term| (term, TYPO_WEIGHT)),
        );
    }
    out
}

/// The usual BM25 inverse document frequency, of the rarest direct match.
fn idf(terms: &[(TermId, f32)], corpus: &Corpus<'_>) -> f32 {
    let total = corpus.sentences.len() as f32;
    let known = terms
        .first()
        .map_or(0, |(term, _)| corpus.document_frequency[*term as usize]);
    // A word the document never uses counts like one it uses once: it may simply be said otherwise.
    let frequency = known.max(1) as f32;
    (1.0 + (total - frequency + 0.5) / (frequency + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::passage::passages_from_page;

    #[test]
    fn a_query_keeps_the_subject_and_finds_its_words() {
        let passages = passages_from_page(
            1,
            "The bridge was inaugurated in 1932. Its warranty is void.",
        );
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let text = "Please tell me in what year the bridge was opened, and its waranty and tunnel";
        let prompt = Prompt::new(text);
        assert_eq!(
            subject_words(&prompt, &corpus.lexicon),
            ["year", "bridge", "opened", "waranty", "tunnel"]
        );
        let query = Query::new(text, &prompt, &corpus);
        let found: Vec<_> = query.concepts.iter().map(|c| c.terms.len()).collect();
        assert_eq!(found, [0, 1, 1, 1, 0]);
        assert!(!query.concepts[0].is_hard() && query.concepts[1].is_hard());
        assert_eq!(query.answer_type, Some(AnswerType::Date));
    }
}
