//! BM25 over sentences, with a little of what stands around each.
//!
//! A sentence is short, so the words that make it the answer often stand in its heading or in its neighbour; their
//! matches count a part of its own. One linear pass over the stems replaces an index: a prompt has a handful of
//! concepts and even a 500-page book only some 10 000 sentences.

use super::corpus::{Corpus, Sentence, Shape};
use super::query::Query;

/// Saturation and length normalisation, the usual values of the literature.
const K1: f32 = 1.2;
const B: f32 = 0.6;
/// What a match in the heading counts.
const HEADING_SHARE: f32 = 0.5;
/// What a match in the sentence before or after, in the same passage, counts.
const NEIGHBOUR_SHARE: f32 = 0.3;

/// How one sentence fits a query by its words.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lexical {
    /// BM25, 0 when nothing matches.
    pub(super) score: f32,
    /// Share of the query's hard concepts, weighed by rarity, that the sentence and its surroundings hold.
    pub(super) coverage: f32,
    /// The same share with every concept counted alike.
    pub(super) share: f32,
}

/// Scores every sentence.
pub(super) fn score(corpus: &Corpus<'_>, query: &Query) -> Vec<Lexical> {
    let own = own_matches(corpus, query);
    let width = query.concepts.len();
    let sentences = &corpus.sentences;
    let mean_words =
        sentences.iter().map(|s| s.words).sum::<usize>() as f32 / sentences.len().max(1) as f32;
    let matches = |at: usize| &own[at * width..(at + 1) * width];
    let mut weights = vec![0.0; width];
    let mut out = Vec::with_capacity(sentences.len());
    for (at, sentence) in sentences.iter().enumerate() {
        weights.copy_from_slice(matches(at));
        for (other, share) in surroundings(sentences, at) {
            for (weight, found) in weights.iter_mut().zip(matches(other)) {
                *weight += share * found.min(1.0);
            }
        }
        out.push(combine(
            query,
            &weights,
            sentence.words as f32 / mean_words.max(1.0),
        ));
    }
    out
}

/// Weighted matches of every concept in every sentence, sentence after sentence.
fn own_matches(corpus: &Corpus<'_>, query: &Query) -> Vec<f32> {
    let width = query.concepts.len();
    // Which concepts a term counts for, by term.
    let mut by_term: Vec<Vec<(usize, f32)>> = vec![Vec::new(); corpus.lexicon.len()];
    for (index, concept) in query.concepts.iter().enumerate() {
        for (term, weight) in &concept.terms {
            by_term[*term as usize].push((index, *weight));
        }
    }
    let mut out = vec![0.0; width * corpus.sentences.len()];
    for (at, sentence) in corpus.sentences.iter().enumerate() {
        for (concept, weight) in sentence
            .terms
            .iter()
            .flat_map(|term| &by_term[*term as usize])
        {
            out[at * width + concept] += weight;
        }
    }
    out
}

/// The sentences whose words also speak for `at`, with their share.
fn surroundings(sentences: &[Sentence], at: usize) -> impl Iterator<Item = (usize, f32)> {
    let this = &sentences[at];
    let heading = this
        .heading
        .filter(|_| this.shape != Shape::Row)
        .map(|heading| (heading, HEADING_SHARE));
    let near = |other: usize| {
        let same = sentences
            .get(other)
            .is_some_and(|s| s.passage == this.passage);
        same.then_some((other, NEIGHBOUR_SHARE))
    };
    // A question directly before, as in a list of questions and answers, is a heading of its own.
    let asked = at
        .checked_sub(1)
        .filter(|before| sentences[*before].shape == Shape::Question)
        .map(|q| (q, HEADING_SHARE));
    let before = at.checked_sub(1).and_then(near);
    heading
        .into_iter()
        .chain(asked.or(before))
        .chain(near(at + 1))
}

fn combine(query: &Query, matches: &[f32], relative_length: f32) -> Lexical {
    let norm = K1 * (1.0 - B + B * relative_length);
    let mut out = Lexical::default();
    let (mut all, mut all_idf) = (0.0, 0.0);
    for (concept, found) in query.concepts.iter().zip(matches) {
        out.score += concept.weight * concept.idf * found * (K1 + 1.0) / (found + norm);
        if concept.is_hard() {
            all += 1.0;
            all_idf += concept.idf;
            out.share += found.min(1.0);
            out.coverage += concept.idf * found.min(1.0);
        }
    }
    if all > 0.0 {
        out.share /= all;
        out.coverage /= all_idf;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::extractive::prompt::Prompt;
    use crate::passage::passages_from_page;

    fn best(page: &str, prompt: &str) -> (String, Lexical) {
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let query = Query::new(prompt, &Prompt::new(prompt), &corpus);
        let scores = score(&corpus, &query);
        let at = (0..scores.len())
            .max_by(|a, b| scores[*a].score.total_cmp(&scores[*b].score))
            .unwrap();
        (corpus.shown(at), scores[at])
    }

    #[test]
    fn rare_words_decide() {
        let page =
            "The bridge is old. The bridge is long. The bridge has a toll. The river is wide.";
        let (text, lexical) = best(page, "Is there a toll on the bridge?");
        assert_eq!(text, "The bridge has a toll.");
        assert!(lexical.coverage > 0.99);
    }

    #[test]
    fn headings_speak_for_their_sentences() {
        let page = "WARRANTY\n\nIt lasts two years.\n\nDELIVERY\n\nIt takes two weeks.";
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let query = Query::new("warranty", &Prompt::new("warranty"), &corpus);
        let scores = score(&corpus, &query);
        assert!(scores[1].score > 0.0);
        assert!(scores[3].score.abs() < f32::EPSILON);
    }

    #[test]
    fn words_the_document_lacks_lower_the_coverage() {
        let (_, lexical) = best(
            "The bridge was opened in 1932.",
            "When was the tunnel opened?",
        );
        assert!(lexical.coverage < 0.6, "{lexical:?}");
    }
}
