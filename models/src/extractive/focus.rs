//! Summaries of what a document says about one subject: `summarise the payment terms`.
//!
//! A prompt has a subject when it names something besides the wish for a summary and the kind of document, and when
//! the document speaks of it. Then the best sentences about it are shown in the order of the document.

use super::bm25;
use super::corpus::Corpus;
use super::intent::Length;
use super::mmr::pick;
use super::prompt::{Prompt, number};
use super::query::{Query, subject_words};
use super::question::{Item, likeness, show};
use super::rank::{Hit, Ranking};
use super::reply::Reply;
use super::wordlist::{holds, starts_like};

/// Share of the subject's words that some sentence must hold, or the subject is none of this document.
const MIN_COVERAGE: f32 = 0.6;
/// A sentence belongs to the summary when it reaches this share of the best score.
const NEAR_BEST: f32 = 0.5;
/// A sentence this near in meaning speaks of a subject without its words.
const NEAR_COSINE: f32 = 0.4;
/// Prepositions before a subject.
const ABOUT: &str = "about regarding concerning uber sur sobre";
const USUAL_SENTENCES: usize = 5;
const SHORT_SENTENCES: usize = 3;
const LONG_SENTENCES: usize = 10;
/// Candidates among which different ones are picked.
const POOL: usize = 60;

/// Beginnings of words that wish for a summary or name its form.
const WISHES: &str = "summar overview tldr gist key main point takeaway idea finding brief short long detail \
    quick sentence bullet concise recap condense synopsis outline abstract zusammen fass satz \
    uberblick kurz resum sommaire phrase frase oracion breve explain describ handelt geht parle \
    trata habla write create generate provide make produce simpl word help understand looking \
    important whole entire complete nutshell sum paragraph cover structur comprehens executive \
    plain english german french spanish line punkt";

/// Words for the document as a whole.
const DOCUMENTS: &str = "agreement article bericht book booklet brochure chapter contract contrat contrato cv data \
    dataset essay guide handbook image informe invoice leaflet lecture letter licence license \
    manual memo minutes newsletter notes novel paper photo picture policy presentation rapport \
    report resume scan slides specification spreadsheet statement story study table thesis \
    transcript vertrag artikel buch brief livre articulo libro carta lettre bild content \
    everything all csv";

/// What a prompt for a summary wants summarised.
pub(super) enum Focus {
    /// The whole document.
    Whole,
    /// What it says about a subject of which it speaks.
    Known(Query),
    /// What it says about a subject whose words it does not use.
    Unknown(Query),
}

/// Reads the subject of a prompt for a summary.
pub(super) fn focus(corpus: &Corpus<'_>, prompt: &Prompt) -> Focus {
    let is_subject = |word: &&str| {
        !starts_like(WISHES, word) && !holds(DOCUMENTS, word) && number(word).is_none()
    };
    let words: Vec<&str> = subject_words(prompt, &corpus.lexicon)
        .into_iter()
        .filter(is_subject)
        .collect();
    if words.is_empty() {
        return Focus::Whole;
    }
    let query = Query::of_words(&words.join(" "), &words, corpus);
    if bm25::score(corpus, &query)
        .iter()
        .any(|lexical| lexical.coverage >= MIN_COVERAGE)
    {
        return Focus::Known(query);
    }
    // `Summarise it for my boss` has words left over too; only `about` makes them a subject.
    let about = ABOUT.split(' ').find_map(|word| prompt.find(word));
    let behind = about
        .and_then(|at| prompt.words().get(at + 1..))
        .unwrap_or_default();
    let words: Vec<&str> = words
        .into_iter()
        .filter(|word| behind.iter().any(|other| other == word))
        .collect();
    if words.is_empty() {
        return Focus::Whole;
    }
    Focus::Unknown(Query::of_words(&words.join(" "), &words, corpus))
}

/// Whether a ranking has anything near a subject whose words the document does not use.
pub(super) fn is_near(ranking: &Ranking) -> bool {
    ranking
        .hits
        .iter()
        .any(|hit| hit.cosine.is_some_and(|cosine| cosine >= NEAR_COSINE))
}

/// Writes the best sentences about the subject, in document order.
pub(super) fn answer(
    corpus: &Corpus<'_>,
    ranking: &Ranking,
    length: Length,
    reply: &mut Reply<'_>,
) {
    let limit = match length {
        Length::Usual => USUAL_SENTENCES,
        Length::Short => SHORT_SENTENCES,
        Length::Long => LONG_SENTENCES,
        Length::Sentences(count) => count,
    };
    let pool = &ranking.hits[..ranking.hits.len().min(POOL)];
    let best = pool.first().map_or(0.0, |hit| hit.score);
    let scores: Vec<f32> = pool.iter().map(|hit| hit.score).collect();
    let picked = pick(&scores, limit, |a, b| {
        likeness(corpus, ranking, pool[a].sentence, pool[b].sentence)
    });
    let mut hits: Vec<Hit> = picked
        .into_iter()
        .map(|at| pool[at])
        .filter(|hit| hit.score >= NEAR_BEST * best)
        .collect();
    hits.sort_by_key(|hit| hit.sentence);
    let mut shown = Vec::new();
    for hit in hits {
        if !shown.contains(&hit.sentence) {
            reply.paragraph();
            show(
                corpus,
                &Item {
                    hit: &hit,
                    neighbours: &[],
                    lead: "",
                },
                &mut shown,
                reply,
            );
        }
    }
}
