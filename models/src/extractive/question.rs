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
/// A cosine that makes a sentence worth showing.
const POSSIBLE_COSINE: f32 = 0.3;
/// A lower cosine needs words in common of this share of the prompt's words ...
const SOME_COVERAGE: f32 = 0.45;
/// ... or reaches [`SURE_FIT`] together with that share, and with the lead of the best sentence over the third: where a document speaks
/// of something else, many sentences are alike far from the prompt.
///
/// The weights are those of a logistic regression over the tune half of `models/eval` and `fixtures/answers`. Over these and 40 prompts
/// about two manuals it declines 7 of 127 that their documents answer and answers 10 of 43 that they do not; without the sum it declined 9
/// and answered 10, with nothing but the sum 9 and 8.
const COVERAGE_WEIGHT: f32 = 1.27;
const LEAD_WEIGHT: f32 = 0.44;
const SURE_FIT: f32 = 1.1;
/// Without a model, words and form must reach this together.
const SURE_WORDS: f32 = 0.59;
/// Passages shown to a reader who is told that nothing fits.
const MAX_CLOSEST: usize = 3;

/// What a reader is told when nothing fits.
pub(super) const NOT_ANSWERED: &str = "The document does not seem to answer this.";

/// Writes the answer to a question.
pub(super) fn answer(corpus: &Corpus<'_>, query: &Query, ranking: &Ranking, reply: &mut Reply<'_>) {
    let Some(best) = ranking.hits.first() else {
        reply.not_answered();
        reply.say(NOT_ANSWERED);
        return;
    };
    if !is_answered(query, &ranking.hits) {
        return decline(corpus, ranking, reply);
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

/// Whether any of the sentences that would be shown answers.
fn is_answered(query: &Query, hits: &[Hit]) -> bool {
    let lead = hits.get(2).map_or(0.0, |third| hits[0].score - third.score);
    hits.iter()
        .take(MAX_SHOWN)
        .enumerate()
        .any(|(place, hit)| is_convincing(query, hit, if place == 0 { lead } else { 0.0 }))
}

/// Whether a sentence fits well enough to be called an answer. `lead`: how much better than the third it scores, 0 when it is not the
/// best.
pub(super) fn is_convincing(query: &Query, hit: &Hit, lead: f32) -> bool {
    // Who asks for a phone number is not answered by a sentence without one.
    if query.wants_address() {
        return is_address(hit.bonus);
    }
    let coverage = hit.lexical.coverage;
    match hit.cosine {
        Some(cosine) if query.is_empty() => cosine >= POSSIBLE_COSINE,
        Some(cosine) => {
            let has_words = cosine >= POSSIBLE_COSINE && coverage >= SOME_COVERAGE;
            let fit = cosine + COVERAGE_WEIGHT * coverage + LEAD_WEIGHT * lead;
            cosine >= SURE_COSINE || has_words || fit >= SURE_FIT
        }
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

/// Says that the document does not answer, and what comes closest when anything does: the reader may see an answer in it.
fn decline(corpus: &Corpus<'_>, ranking: &Ranking, reply: &mut Reply<'_>) {
    reply.not_answered();
    reply.say(NOT_ANSWERED);
    let is_related = |hit: &Hit| {
        hit.lexical.coverage > 0.0 || hit.cosine.is_some_and(|cosine| cosine >= POSSIBLE_COSINE)
    };
    let best = ranking.hits[0];
    if !is_related(&best) {
        return;
    }
    let further = supporting(corpus, ranking).into_iter().filter(is_related);
    let closest: Vec<Hit> = std::iter::once(best)
        .chain(further)
        .take(MAX_CLOSEST)
        .collect();
    let (first, others) = match closest.len() {
        1 => (" The closest passage is:\n\n", ""),
        _ => (" The closest passages are:\n\n- ", "\n- "),
    };
    let mut shown = Vec::new();
    let mut lead = first;
    for hit in &closest {
        if shown.contains(&hit.sentence) {
            continue;
        }
        let item = Item {
            hit,
            neighbours: &[],
            lead,
        };
        show(corpus, &item, &mut shown, reply);
        lead = others;
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
