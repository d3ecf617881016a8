//! Words of the prompt that stand side by side in a sentence as they do in the prompt.
//!
//! `Who is the city historian?` is answered by the sentence with `the city historian`, not by one that has the city here and its
//! historians there. BM25 sees no difference. Stopwords are left out on both sides, so `axiom of choice` is a pair too.

use super::corpus::Corpus;
use super::query::{Concept, Query};

/// Words between the two of a pair that still leave them side by side, as in `local and global sensitivity`.
const MAX_BETWEEN: usize = 1;

/// Share of the prompt's pairs of neighbouring words that a sentence holds, weighed by rarity, 0 to 1. A prompt of one word has none.
pub(super) fn share(corpus: &Corpus<'_>, query: &Query, at: usize) -> f32 {
    let terms = &corpus.sentences[at].terms;
    let is_at = |concept: &Concept, place: usize| {
        concept.terms.iter().any(|(term, _)| *term == terms[place])
    };
    let (mut all, mut found) = (0.0, 0.0);
    for pair in query.concepts.windows(2) {
        let weight = pair[0].idf + pair[1].idf;
        all += weight;
        let stands = (0..terms.len()).any(|place| {
            let end = (place + 2 + MAX_BETWEEN).min(terms.len());
            is_at(&pair[0], place) && (place + 1..end).any(|next| is_at(&pair[1], next))
        });
        if stands {
            found += weight;
        }
    }
    if all > 0.0 { found / all } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::extractive::prompt::Prompt;
    use crate::passage::passages_from_page;

    #[test]
    fn words_side_by_side_are_told_from_scattered_ones() {
        let passages = passages_from_page(
            1,
            "The city historian spoke. A historian of the city spoke. The city is old, say those who know it and a historian.",
        );
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let shares = |text: &str| {
            let query = Query::new(text, &Prompt::new(text), &corpus);
            [0, 1, 2].map(|at| share(&corpus, &query, at) > 0.5)
        };
        assert_eq!(shares("Who is the city historian?"), [true, false, false]);
        assert_eq!(shares("historian"), [false; 3]);
    }
}
