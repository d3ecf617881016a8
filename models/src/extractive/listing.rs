//! Lists: every sentence that fits a subject, or that holds a date, an amount, an address.
//!
//! A list wants all of them in the order of the document, so ranking only decides what is in, not where it stands.

use super::corpus::{Corpus, Shape};
use super::evidence::{has_date, has_money, has_person, has_phone, is_email, is_url};
use super::lexicon::TermId;
use super::prompt::Prompt;
use super::query::subject_words;
use super::question::{Item, NOT_ANSWERED, show};
use super::rank::{Hit, Ranking};
use super::reply::Reply;
use super::wordlist::holds;

/// Items shown for a subject.
const MAX_FITTING: usize = 12;
/// Items shown for a kind of thing; the rest is counted.
const MAX_ENTITIES: usize = 50;
/// A sentence belongs to the list when it reaches this share of the best score ...
const NEAR_BEST: f32 = 0.6;
/// ... and holds this share of the subject's words, or is this near in meaning.
const MIN_SHARE: f32 = 0.5;
const MIN_COSINE: f32 = 0.4;

/// A kind of thing that can be recognised by its look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    Date,
    Money,
    Person,
    Email,
    Url,
    Phone,
}

impl Entity {
    const ALL: [Self; 6] = [
        Self::Date,
        Self::Money,
        Self::Person,
        Self::Email,
        Self::Url,
        Self::Phone,
    ];

    /// The kind a prompt wants listed.
    pub(super) fn named_in(prompt: &Prompt) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|entity| prompt.has(entity.names()))
    }

    /// How prompts name the kind, as phrases.
    fn names(self) -> &'static str {
        match self {
            Self::Date => "dates|deadlines|daten|termine|fechas|date",
            Self::Money => {
                "amounts|prices|costs|sums|betrage|preise|montants|prix|precios|money|fees"
            }
            Self::Person => {
                "people|persons|names of people|person names|personen|personnes|personas"
            }
            Self::Email => "emails|email addresses|e mail addresses|email|e mails|mail addresses",
            Self::Url => "urls|links|websites|web addresses|url",
            Self::Phone => "phone numbers|telephone numbers|phones|telefonnummern",
        }
    }

    /// The plural, for the reply.
    fn label(self) -> &'static str {
        match self {
            Self::Date => "dates",
            Self::Money => "amounts of money",
            Self::Person => "names of people",
            Self::Email => "e-mail addresses",
            Self::Url => "web addresses",
            Self::Phone => "phone numbers",
        }
    }

    fn is_in(self, text: &str) -> bool {
        match self {
            Self::Date => has_date(text),
            Self::Money => has_money(text),
            Self::Person => has_person(text),
            Self::Email => text.split_whitespace().any(is_email),
            Self::Url => text.split_whitespace().any(is_url),
            Self::Phone => has_phone(text),
        }
    }

    /// Addresses are listed by themselves; the others only make sense in their sentence.
    fn words_in(self, text: &str) -> Vec<&str> {
        let is = match self {
            Self::Email => is_email,
            Self::Url => is_url,
            Self::Date | Self::Money | Self::Person | Self::Phone => return Vec::new(),
        };
        let around = |c: char| {
            matches!(
                c,
                '(' | ')' | '<' | '>' | '[' | ']' | ',' | ';' | '.' | '"' | '\'' | '“' | '”'
            )
        };
        text.split_whitespace()
            .filter(|word| is(word))
            .map(|word| word.trim_matches(around))
            .collect()
    }
}

/// Lists every place that holds such a thing. A subject in the prompt narrows the list when the document knows it.
pub(super) fn entities(
    corpus: &Corpus<'_>,
    entity: Entity,
    prompt: &Prompt,
    reply: &mut Reply<'_>,
) {
    let subject = subject(corpus, entity, prompt);
    let is_about = |at: &usize| {
        corpus.sentences[*at]
            .terms
            .iter()
            .any(|term| subject.contains(term))
    };
    let usable =
        (0..corpus.sentences.len()).filter(|at| corpus.sentences[*at].shape != Shape::Contents);
    let holding: Vec<usize> = usable.filter(|at| entity.is_in(corpus.text(*at))).collect();
    let narrowed: Vec<usize> = holding.iter().copied().filter(is_about).collect();
    let wanted = if narrowed.is_empty() {
        holding
    } else {
        narrowed
    };
    if wanted.is_empty() {
        reply.not_answered();
        return reply.say(&format!(
            "No {} were found in the document.",
            entity.label()
        ));
    }
    if entity == Entity::Person {
        reply.note(
            "names were recognised by their capital letters, so some may be names of other things",
        );
    }
    let mut items = Vec::new();
    for at in wanted {
        push_items(corpus, entity, at, &mut items);
    }
    for (passage, range) in items.iter().take(MAX_ENTITIES) {
        start_item(reply);
        let shown = corpus.shown_range(*passage, range.clone());
        reply.quote(&corpus.passages[*passage], range.clone(), &shown, 1.0);
    }
    if items.len() > MAX_ENTITIES {
        reply.say(&format!(
            "\n\n{} more are not shown.",
            items.len() - MAX_ENTITIES
        ));
    }
}

/// The stems of what the prompt says besides the wish for a list and the name of the kind.
fn subject(corpus: &Corpus<'_>, entity: Entity, prompt: &Prompt) -> Vec<TermId> {
    const WISHES: &str = "list extract enumerate liste lister lista nenne show find give name names every \
        addresses numbers address number";
    let is_kind = |word: &str| entity.names().split(['|', ' ']).any(|name| name == word);
    let words = subject_words(prompt, &corpus.lexicon);
    let subject = words
        .into_iter()
        .filter(|word| !holds(WISHES, word) && !is_kind(word));
    subject
        .filter_map(|word| corpus.lexicon.find(word))
        .collect()
}

fn push_items(
    corpus: &Corpus<'_>,
    entity: Entity,
    at: usize,
    items: &mut Vec<(usize, std::ops::Range<usize>)>,
) {
    let sentence = &corpus.sentences[at];
    let text = corpus.text(at);
    let known = |items: &[(usize, std::ops::Range<usize>)], shown: &str| {
        items
            .iter()
            .any(|(passage, range)| &corpus.passages[*passage].text[range.clone()] == shown)
    };
    let words = entity.words_in(text);
    if words.is_empty() && !known(items, text) {
        items.push((sentence.passage, sentence.range.clone()));
    }
    for word in words {
        // `word` is a slice of `text`, so its address is its offset.
        let start = sentence.range.start + (word.as_ptr() as usize - text.as_ptr() as usize);
        if !known(items, word) {
            items.push((sentence.passage, start..start + word.len()));
        }
    }
}

fn start_item(reply: &mut Reply<'_>) {
    reply.say(if reply.is_empty() { "- " } else { "\n- " });
}

/// Lists the sentences that fit a subject, in the order of the document.
pub(super) fn fitting(corpus: &Corpus<'_>, ranking: &Ranking, reply: &mut Reply<'_>) {
    let best = ranking.hits.first().map_or(0.0, |hit| hit.score);
    let fits = |hit: &&Hit| {
        let near =
            hit.lexical.share >= MIN_SHARE || hit.cosine.is_some_and(|cosine| cosine >= MIN_COSINE);
        near && hit.score >= NEAR_BEST * best
    };
    let mut hits: Vec<Hit> = ranking
        .hits
        .iter()
        .filter(fits)
        .take(MAX_FITTING)
        .copied()
        .collect();
    if hits.is_empty() {
        reply.not_answered();
        return reply.say(NOT_ANSWERED);
    }
    hits.sort_by_key(|hit| hit.sentence);
    let mut shown = Vec::new();
    for hit in &hits {
        if !shown.contains(&hit.sentence) {
            let lead = if reply.is_empty() { "- " } else { "\n- " };
            show(
                corpus,
                &Item {
                    hit,
                    neighbours: &[],
                    lead,
                },
                &mut shown,
                reply,
            );
        }
    }
}
