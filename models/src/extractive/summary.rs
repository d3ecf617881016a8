//! Summaries by selection: sentences of the document that together stand for all of it.
//!
//! A sentence is worth more when it is near the centre of the document's words (and meaning, with an embedding
//! model) and where writers put what matters: first in its section or paragraph. Each part of the document, its
//! sections or equal stretches of text, gives its best sentence, so a summary never is only the beginning.

use std::collections::HashSet;

use crate::error::ModelError;

use super::central::{centrality, centroid_cosines};
use super::context::points_back;
use super::corpus::{Corpus, Shape};
use super::embedding::Embedding;
use super::fold::fold;
use super::intent::Length;
use super::mmr::{dot, overlap};
use super::reply::Reply;

/// Sentences outside these lengths, in words, are fragments or too much to read.
const MIN_WORDS: usize = 6;
const MAX_WORDS: usize = 60;
/// Candidates looked at closely, and embedded; more would not change the choice but cost seconds.
const MAX_CANDIDATES: usize = 160;
/// Weight of likeness to what was chosen already.
const REDUNDANCY: f32 = 0.4;
/// A document with more sections than this is parted by length instead.
const MAX_SECTIONS: usize = 8;
const SHORT_SENTENCES: usize = 3;
const MAX_LONG: usize = 15;

/// A sentence that may stand in the summary.
struct Candidate {
    sentence: usize,
    /// What it is worth by itself.
    worth: f32,
    /// The part of the document it speaks for.
    part: usize,
    vector: Option<Vec<f32>>,
}

/// Writes a summary of the whole document, in its order.
pub(super) fn answer(
    corpus: &Corpus<'_>,
    length: Length,
    embedding: Option<&mut Embedding<'_>>,
    reply: &mut Reply<'_>,
) -> Result<(), ModelError> {
    let usable = usable(corpus);
    let wanted = wanted(usable.len(), sections(corpus, &usable).len(), length);
    let parts = parts(corpus, &usable, wanted);
    let mut candidates = prune(corpus, &usable, &parts, wanted);
    if let Some(embedding) = embedding {
        let texts: Vec<String> = candidates
            .iter()
            .map(|c| corpus.shown(c.sentence))
            .collect();
        embedding.expect(texts.len());
        let vectors = embedding.embed(&texts, reply)?;
        let central = centroid_cosines(&vectors);
        for ((candidate, vector), cosine) in candidates.iter_mut().zip(vectors).zip(central) {
            candidate.worth += cosine;
            candidate.vector = Some(vector);
        }
    }
    let mut chosen = choose(corpus, &candidates, wanted);
    chosen.sort_unstable();
    for at in chosen {
        reply.paragraph();
        let sentence = &corpus.sentences[at];
        reply.quote(
            &corpus.passages[sentence.passage],
            sentence.range.clone(),
            &corpus.shown(at),
            1.0,
        );
    }
    Ok(())
}

/// Number of sentences for a document of so many.
fn wanted(usable: usize, sections: usize, length: Length) -> usize {
    let usual = match usable {
        0..=3 => usable,
        4..=8 => 3,
        9..=24 => 5,
        25..=120 => 6,
        121..=600 => 7,
        _ => 8,
    };
    let usual = if sections <= MAX_SECTIONS {
        usual.max(sections.min(usable))
    } else {
        usual
    };
    match length {
        Length::Usual => usual,
        Length::Short => usual.min(SHORT_SENTENCES),
        Length::Long => (2 * usual).min(MAX_LONG).min(usable),
        Length::Sentences(count) => count.min(usable),
    }
}

/// Sentences good enough to be quoted alone, each once however often the document repeats it.
fn usable(corpus: &Corpus<'_>) -> Vec<usize> {
    let mut seen = HashSet::new();
    let mut usable = readable(corpus);
    usable.retain(|at| seen.insert(fold(&corpus.shown(*at))));
    usable
}

/// Sentences good enough to be quoted alone; when there are none, whatever text there is.
fn readable(corpus: &Corpus<'_>) -> Vec<usize> {
    let all = 0..corpus.sentences.len();
    let good: Vec<usize> = all.clone().filter(|at| is_good(corpus, *at)).collect();
    if !good.is_empty() {
        return good;
    }
    let text: Vec<usize> = all
        .clone()
        .filter(|at| corpus.sentences[*at].shape == Shape::Prose)
        .collect();
    if text.is_empty() { all.collect() } else { text }
}

fn is_good(corpus: &Corpus<'_>, at: usize) -> bool {
    let sentence = &corpus.sentences[at];
    let text = corpus.text(at);
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let solid = text.chars().filter(|c| !c.is_whitespace()).count();
    // Scripts without spaces have one word a sentence.
    let long_enough = (MIN_WORDS..=MAX_WORDS).contains(&sentence.words)
        || sentence.terms.len() > MIN_WORDS && sentence.words < MIN_WORDS;
    sentence.shape == Shape::Prose
        && long_enough
        && letters * 10 >= solid * 7
        && !text.ends_with(':')
}

/// First usable sentence of each section, by heading.
fn sections(corpus: &Corpus<'_>, usable: &[usize]) -> Vec<usize> {
    let mut out = Vec::new();
    let mut before = None;
    for &at in usable {
        let heading = Some(corpus.sentences[at].heading);
        if heading != before {
            out.push(at);
            before = heading;
        }
    }
    out
}

/// The part of the document each usable sentence belongs to: its section when there are few, else a stretch of equal length.
fn parts(corpus: &Corpus<'_>, usable: &[usize], wanted: usize) -> Vec<usize> {
    let starts = sections(corpus, usable);
    if (2..=wanted.min(MAX_SECTIONS)).contains(&starts.len()) {
        return usable
            .iter()
            .map(|at| starts.partition_point(|start| start <= at) - 1)
            .collect();
    }
    (0..usable.len())
        .map(|index| index * wanted.max(1) / usable.len().max(1))
        .collect()
}

/// Values each sentence and keeps the best of each part.
fn prune(corpus: &Corpus<'_>, usable: &[usize], parts: &[usize], wanted: usize) -> Vec<Candidate> {
    let central = centrality(corpus, usable);
    let mut by_part: Vec<Vec<Candidate>> = Vec::new();
    for ((&sentence, &part), central) in usable.iter().zip(parts).zip(central) {
        by_part.resize_with(by_part.len().max(part + 1), Vec::new);
        let first = usable.first() == Some(&sentence);
        let worth = central + position(corpus, first, sentence) - flaws(corpus, first, sentence);
        by_part[part].push(Candidate {
            sentence,
            worth,
            part,
            vector: None,
        });
    }
    let each = MAX_CANDIDATES.div_ceil(wanted.max(1)).max(1);
    for part in &mut by_part {
        part.sort_by(|a, b| {
            b.worth
                .total_cmp(&a.worth)
                .then(a.sentence.cmp(&b.sentence))
        });
        part.truncate(each);
    }
    by_part.into_iter().flatten().collect()
}

/// Bonus for standing where writers put what matters.
fn position(corpus: &Corpus<'_>, opens_document: bool, at: usize) -> f32 {
    let sentences = &corpus.sentences;
    let before = at.checked_sub(1).map(|before| &sentences[before]);
    let opens_section = before.is_none_or(|before| before.shape == Shape::Heading);
    let opens_passage = before.is_none_or(|before| before.passage != sentences[at].passage);
    [
        (opens_document, 0.5),
        (opens_section, 0.15),
        (opens_passage, 0.1),
    ]
    .into_iter()
    .filter(|(is, _)| *is)
    .map(|(_, bonus)| bonus)
    .sum()
}

/// What makes a sentence a poor quote.
fn flaws(corpus: &Corpus<'_>, opens_document: bool, at: usize) -> f32 {
    const LONG_WORDS: usize = 40;
    let text = corpus.text(at);
    let legal = text.contains('©') || text.contains("Copyright") || text.contains("ISBN");
    [
        // `This agreement` at the very beginning points at the document itself.
        (points_back(text) && !opens_document, 0.5),
        (text.starts_with(|c: char| !c.is_alphanumeric()), 0.1),
        (text.starts_with(char::is_lowercase), 0.25),
        (!text.ends_with(['.', '!', '。', '"', '”', ')']), 0.2),
        (corpus.sentences[at].words > LONG_WORDS, 0.1),
        (legal, 0.4),
    ]
    .into_iter()
    .filter(|(is, _)| *is)
    .map(|(_, cost)| cost)
    .sum()
}

/// The best of each part, then the best of what is left, until there are enough.
fn choose(corpus: &Corpus<'_>, candidates: &[Candidate], wanted: usize) -> Vec<usize> {
    let part_count = candidates.iter().map(|c| c.part + 1).max().unwrap_or(0);
    let mut chosen: Vec<&Candidate> = Vec::new();
    let alike = |a: &Candidate, b: &Candidate| match (&a.vector, &b.vector) {
        (Some(x), Some(y)) => dot(x, y),
        _ => overlap(
            &corpus.sentences[a.sentence].terms,
            &corpus.sentences[b.sentence].terms,
        ),
    };
    let best_of = |part: Option<usize>, chosen: &[&Candidate]| {
        let open = candidates
            .iter()
            .filter(|c| part.is_none_or(|part| c.part == part));
        let open = open.filter(|c| chosen.iter().all(|other| other.sentence != c.sentence));
        let gain = |c: &Candidate| {
            c.worth
                - REDUNDANCY
                    * chosen
                        .iter()
                        .map(|other| alike(c, other))
                        .fold(0.0, f32::max)
        };
        open.map(|c| (c, gain(c)))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.sentence.cmp(&a.0.sentence)))
            .map(|(c, _)| c)
    };
    let rounds = (0..part_count).map(Some).chain(std::iter::repeat(None));
    // With fewer sentences than parts every part cannot speak: the best of all do.
    let rounds: Box<dyn Iterator<Item = Option<usize>>> = if part_count > wanted {
        Box::new(std::iter::repeat(None))
    } else {
        Box::new(rounds)
    };
    for part in rounds.take(wanted + part_count) {
        if chosen.len() == wanted {
            break;
        }
        chosen.extend(best_of(part, &chosen));
    }
    chosen.into_iter().map(|c| c.sentence).collect()
}
