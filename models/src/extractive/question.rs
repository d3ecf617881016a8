//! Answers a question with the sentences that fit it best, or says that none does.
//!
//! The best sentence comes first, with the context it needs, then up to four others that score nearly as well and
//! say something else. Nothing is worded by the engine but the line that says the document does not answer.

use super::context::with_context;
use super::corpus::Corpus;
use super::fit::is_address;
use super::mmr::{dot, overlap, pick};
use super::query::Query;
use super::rank::{Hit, Ranking};
use super::reply::Reply;

/// Sentences shown at most.
const MAX_SHOWN: usize = 5;
/// Candidates among which different ones are picked.
const POOL: usize = 30;
/// A supporting sentence must reach this share of the best score.
const NEAR_BEST: f32 = 0.72;
/// A neighbour of the best sentence joins it from this share on.
const NEIGHBOUR_SHARE: f32 = 0.65;

/// With an embedding model, a cosine this high answers by itself, whatever the words.
const SURE_COSINE: f32 = 0.58;
/// A lower cosine needs words in common ...
const POSSIBLE_COSINE: f32 = 0.3;
/// ... of this share of the prompt's words.
const SOME_COVERAGE: f32 = 0.45;
/// Nearly all words in common answer whatever the cosine.
const ALL_COVERAGE: f32 = 0.9;
/// Without a model, words and form must reach this together.
const SURE_WORDS: f32 = 0.59;

/// What a reader is told when nothing fits.
pub(super) const NOT_ANSWERED: &str = "The document does not seem to answer this.";

/// Writes the answer to a question.
pub(super) fn answer(corpus: &Corpus<'_>, query: &Query, ranking: &Ranking, reply: &mut Reply<'_>) {
    let Some(best) = ranking.hits.first() else {
        reply.not_answered();
        reply.say(NOT_ANSWERED);
        return;
    };
    if !ranking
        .hits
        .iter()
        .take(MAX_SHOWN)
        .any(|hit| is_convincing(query, hit))
    {
        return decline(corpus, best, reply);
    }
    let mut shown = Vec::new();
    let neighbours = good_neighbours(corpus, ranking, best);
    let first = Item {
        hit: best,
        neighbours: &neighbours,
        lead: "",
    };
    show(corpus, &first, &mut shown, reply);
    let mut lead = "\n\nSee also:\n- ";
    for hit in supporting(corpus, ranking) {
        if !shown.contains(&hit.sentence) {
            show(
                corpus,
                &Item {
                    hit: &hit,
                    neighbours: &[],
                    lead,
                },
                &mut shown,
                reply,
            );
            lead = "\n- ";
        }
    }
}

/// Whether a sentence fits well enough to be called an answer.
pub(super) fn is_convincing(query: &Query, hit: &Hit) -> bool {
    // Who asks for a phone number is not answered by a sentence without one.
    if query.wants_address() {
        return is_address(hit.bonus);
    }
    let coverage = hit.lexical.coverage;
    match hit.cosine {
        Some(cosine) if query.is_empty() => cosine >= POSSIBLE_COSINE,
        Some(cosine) if cosine >= POSSIBLE_COSINE => {
            cosine >= SURE_COSINE || coverage >= SOME_COVERAGE
        }
        Some(_) => coverage >= ALL_COVERAGE,
        None => coverage + hit.bonus >= SURE_WORDS,
    }
}

/// Sentences beside the best one that fit nearly as well: they belong together.
fn good_neighbours(corpus: &Corpus<'_>, ranking: &Ranking, best: &Hit) -> Vec<usize> {
    let beside = |hit: &&Hit| {
        hit.sentence.abs_diff(best.sentence) == 1
            && corpus.sentences[hit.sentence].passage == corpus.sentences[best.sentence].passage
    };
    let good = ranking
        .hits
        .iter()
        .filter(|hit| hit.score >= NEIGHBOUR_SHARE * best.score);
    good.filter(beside).map(|hit| hit.sentence).collect()
}

/// Says that the document does not answer, and what comes closest when anything does.
fn decline(corpus: &Corpus<'_>, closest: &Hit, reply: &mut Reply<'_>) {
    reply.not_answered();
    reply.say(NOT_ANSWERED);
    let related = closest.lexical.coverage > 0.0
        || closest
            .cosine
            .is_some_and(|cosine| cosine >= POSSIBLE_COSINE);
    if related {
        reply.say(" The closest passage is:\n\n");
        show(
            corpus,
            &Item {
                hit: closest,
                neighbours: &[],
                lead: "",
            },
            &mut Vec::new(),
            reply,
        );
    }
}

/// Other hits that are nearly as good and different, best first.
fn supporting(corpus: &Corpus<'_>, ranking: &Ranking) -> Vec<Hit> {
    let pool = &ranking.hits[..ranking.hits.len().min(POOL)];
    let best = pool[0].score;
    let scores: Vec<f32> = pool.iter().map(|hit| hit.score).collect();
    let alike = |a: usize, b: usize| likeness(corpus, ranking, pool[a].sentence, pool[b].sentence);
    let picked = pick(&scores, MAX_SHOWN, alike);
    picked
        .into_iter()
        .map(|at| pool[at])
        .filter(|hit| hit.sentence != pool[0].sentence && hit.score >= NEAR_BEST * best)
        .collect()
}

/// How much two sentences say the same, 0 to 1.
pub(super) fn likeness(corpus: &Corpus<'_>, ranking: &Ranking, a: usize, b: usize) -> f32 {
    match (ranking.vectors.get(&a), ranking.vectors.get(&b)) {
        (Some(x), Some(y)) => dot(x, y),
        _ => overlap(&corpus.sentences[a].terms, &corpus.sentences[b].terms),
    }
}

/// One item of an answer.
pub(super) struct Item<'a> {
    pub(super) hit: &'a Hit,
    /// Sentences to show with it.
    pub(super) neighbours: &'a [usize],
    /// Text before it.
    pub(super) lead: &'a str,
}

/// Quotes a sentence with its context. What stands in the answer already is not shown twice.
pub(super) fn show(
    corpus: &Corpus<'_>,
    item: &Item<'_>,
    shown: &mut Vec<usize>,
    reply: &mut Reply<'_>,
) {
    let mut lead = item.lead;
    for span in with_context(corpus, item.hit.sentence, item.neighbours, shown) {
        reply.say(lead);
        lead = " ";
        let text = corpus.shown_range(span.passage, span.range.clone());
        reply.quote(
            &corpus.passages[span.passage],
            span.range,
            &text,
            item.hit.score,
        );
        shown.extend(span.sentences);
    }
}
