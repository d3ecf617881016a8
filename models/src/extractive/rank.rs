//! Ranks the sentences of a document against a query.
//!
//! The words are compared first, over the whole document; only the best candidates are embedded, so the cost of
//! the model does not grow with the document. A small document is embedded whole, which finds answers that share
//! no word with the question.

use std::collections::HashMap;

use crate::error::ModelError;

use super::bm25::{self, Lexical};
use super::corpus::{Corpus, Shape};
use super::display::unwrap_lines;
use super::embedding::Embedding;
use super::fit::bonus;
use super::fuse::{Signals, fuse};
use super::mmr::dot;
use super::phrase;
use super::query::Query;
use super::reply::Reply;

/// Sentences embedded for one prompt; about two seconds on two cores.
pub(super) const EMBED_BUDGET: usize = 200;
/// Of these, the best so far are embedded once more together with their neighbours.
const WINDOW_BUDGET: usize = 48;
/// Candidates kept when there is no embedder.
const LEXICAL_CANDIDATES: usize = 400;

/// A sentence and how well it fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) sentence: usize,
    pub(super) score: f32,
    pub(super) lexical: Lexical,
    /// What its form adds.
    pub(super) bonus: f32,
    /// Cosine of the sentence to the prompt, when there is an embedder.
    pub(super) cosine: Option<f32>,
}

/// The candidates, best first, and the vectors that were computed for them.
pub(super) struct Ranking {
    pub(super) hits: Vec<Hit>,
    pub(super) vectors: HashMap<usize, Vec<f32>>,
}

/// Ranks by words alone.
pub(super) fn rank_lexically(corpus: &Corpus<'_>, query: &Query) -> Ranking {
    let lexical = bm25::score(corpus, query);
    let candidates = best_by_words(corpus, query, &lexical, LEXICAL_CANDIDATES);
    let top = best_score(&lexical);
    let hits = candidates
        .into_iter()
        .map(|at| hit(corpus, query, at, (lexical[at], top), None))
        .collect();
    Ranking {
        hits: sorted(hits),
        vectors: HashMap::new(),
    }
}

/// Ranks by words, then the best of them by meaning too.
pub(super) fn rank_with(
    embedding: &mut Embedding<'_>,
    corpus: &Corpus<'_>,
    query: &Query,
    reply: &mut Reply<'_>,
) -> Result<Ranking, ModelError> {
    let lexical = bm25::score(corpus, query);
    let top = best_score(&lexical);
    let candidates = candidates(corpus, query, &lexical);
    let texts: Vec<String> = candidates
        .iter()
        .map(|at| with_heading(corpus, *at))
        .collect();
    embedding.expect(1 + texts.len() + candidates.len().min(WINDOW_BUDGET));
    let prompt = embedding.prompt(&query.text, reply)?;
    let vectors = embedding.embed(&texts, reply)?.into_iter();
    let vectors: HashMap<usize, Vec<f32>> = candidates.iter().copied().zip(vectors).collect();
    let cosine = |at: usize| dot(&vectors[&at], &prompt);
    let first = candidates.iter().map(|&at| {
        hit(
            corpus,
            query,
            at,
            (lexical[at], top),
            Some((cosine(at), cosine(at))),
        )
    });
    let mut hits = sorted(first.collect());
    let shortlist: Vec<usize> = hits
        .iter()
        .take(WINDOW_BUDGET)
        .map(|hit| hit.sentence)
        .collect();
    let windows: Vec<String> = shortlist.iter().map(|at| window(corpus, *at)).collect();
    for (hit_at, vector) in embedding.embed(&windows, reply)?.into_iter().enumerate() {
        let at = shortlist[hit_at];
        hits[hit_at] = hit(
            corpus,
            query,
            at,
            (lexical[at], top),
            Some((cosine(at), dot(&vector, &prompt))),
        );
    }
    Ok(Ranking {
        hits: sorted(hits),
        vectors,
    })
}

fn hit(
    corpus: &Corpus<'_>,
    query: &Query,
    at: usize,
    words: (Lexical, f32),
    cosine: Option<(f32, f32)>,
) -> Hit {
    let sentence = &corpus.sentences[at];
    let (lexical, top) = words;
    let bonus = bonus(corpus, query, at);
    let signals = Signals {
        lexical: if top > 0.0 { lexical.score / top } else { 0.0 },
        coverage: lexical.coverage,
        phrase: phrase::share(corpus, query, at),
        cosine,
        bonus,
        shape: sentence.shape,
        words: sentence.words,
    };
    Hit {
        sentence: at,
        score: fuse(&signals),
        lexical,
        bonus,
        cosine: cosine.map(|(own, _)| own),
    }
}

/// All sentences of a small document; of a large one those with the best words, topped up evenly over the document.
fn candidates(corpus: &Corpus<'_>, query: &Query, lexical: &[Lexical]) -> Vec<usize> {
    let usable: Vec<usize> = (0..lexical.len())
        .filter(|at| corpus.sentences[*at].shape != Shape::Contents)
        .collect();
    if usable.len() <= EMBED_BUDGET {
        return usable;
    }
    let mut out = best_by_words(corpus, query, lexical, EMBED_BUDGET);
    let missing = EMBED_BUDGET - out.len();
    if missing > 0 {
        let chosen: std::collections::HashSet<usize> = out.iter().copied().collect();
        let step = usable.len().div_ceil(missing);
        out.extend(
            usable
                .into_iter()
                .step_by(step)
                .filter(|at| !chosen.contains(at)),
        );
    }
    out
}

/// The sentences with the best words; those in the form of an answer come before others as good.
fn best_by_words(
    corpus: &Corpus<'_>,
    query: &Query,
    lexical: &[Lexical],
    limit: usize,
) -> Vec<usize> {
    let top = best_score(lexical);
    let matching = (0..lexical.len()).filter(|at| lexical[*at].score > 0.0);
    let mut out: Vec<(f32, usize)> = matching
        .map(|at| (lexical[at].score + top * bonus(corpus, query, at), at))
        .collect();
    out.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    out.truncate(limit);
    out.into_iter().map(|(_, at)| at).collect()
}

fn best_score(lexical: &[Lexical]) -> f32 {
    lexical.iter().map(|l| l.score).fold(0.0, f32::max)
}

fn sorted(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.sentence.cmp(&b.sentence))
    });
    hits
}

/// The sentence behind its heading, or the question it answers: a model that sees `Warranty: it lasts two years`
/// knows what lasts.
fn with_heading(corpus: &Corpus<'_>, at: usize) -> String {
    let own = unwrap_lines(corpus.text(at));
    let asked = at
        .checked_sub(1)
        .filter(|before| corpus.sentences[*before].shape == Shape::Question);
    match asked.or(corpus.sentences[at].heading) {
        Some(heading) => format!("{}: {own}", unwrap_lines(corpus.text(heading))),
        None => own,
    }
}

/// The sentence with its neighbours in the same passage.
fn window(corpus: &Corpus<'_>, at: usize) -> String {
    let passage = corpus.sentences[at].passage;
    let near = at.saturating_sub(1)..=(at + 1).min(corpus.sentences.len() - 1);
    let texts: Vec<String> = near
        .filter(|other| corpus.sentences[*other].passage == passage)
        .map(|other| unwrap_lines(corpus.text(other)))
        .collect();
    texts.join(" ")
}
