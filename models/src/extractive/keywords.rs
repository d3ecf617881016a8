//! Keywords: the words and short phrases that this document uses more than their neighbours explain.
//!
//! There is no background corpus to compare with, so a phrase counts by how often it returns, by how far it is
//! spread, and more when it is longer; a single word that lives mostly inside a chosen phrase is left out.

use std::collections::HashMap;
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::corpus::{Corpus, Shape};
use super::evidence::has_number;
use super::fold::fold;
use super::reply::Reply;
use super::wordlist::holds;

/// Longest phrase, in words.
const MAX_WORDS: usize = 3;
/// A phrase must return; a single word of a short text need not.
const MIN_PHRASE_COUNT: u32 = 2;
/// What each further word of a phrase adds to its worth.
const PHRASE_BONUS: f32 = 0.9;
/// What a word counts that ends like an English verb or adverb.
const VERB_SHARE: f32 = 0.5;
/// A word inside a chosen phrase stays only when it occurs this many times as often.
const FREE_RATIO: f32 = 2.0;

/// Frequent in any text and telling of none.
const DULL: &str = "\
    month months day days week weeks hour hours minute minutes metre metres meter meters jahr jahre jahres monat \
    monate end ends start starts pay pays carry carries work works worked open opened cover covered planning \
    new first second one two three used using use made make case cases many much well good day \
    year years time times way ways number part parts set see note example following include \
    includes including provided based given different small large high low long available \
    possible since often usually always never still even later today another whether shall must \
    may will anyone";

struct Phrase {
    count: u32,
    /// Passage and byte range of its first appearance, the first outside a heading in capitals if there is one.
    first: (usize, Range<usize>),
    /// Whether that appearance is in capitals.
    in_capitals: bool,
    /// Passage of its latest appearance, to count its spread.
    last_passage: usize,
    spread: u32,
    words: usize,
}

/// Lists the `count` best keywords with where each appears first.
pub(super) fn answer(corpus: &Corpus<'_>, count: usize, reply: &mut Reply<'_>) {
    let phrases = collect(corpus);
    let chosen = choose(&phrases, count);
    if chosen.is_empty() {
        reply.not_answered();
        return reply.say("The document holds too little text for keywords.");
    }
    for key in chosen {
        let phrase = &phrases[key];
        let (passage, range) = &phrase.first;
        reply.say(if reply.is_empty() { "- " } else { "\n- " });
        reply.quote(
            &corpus.passages[*passage],
            range.clone(),
            &corpus.shown_range(*passage, range.clone()),
            1.0,
        );
    }
}

fn collect(corpus: &Corpus<'_>) -> HashMap<String, Phrase> {
    let mut phrases = HashMap::new();
    for at in 0..corpus.sentences.len() {
        if corpus.sentences[at].shape == Shape::Contents {
            continue;
        }
        for run in runs(corpus, at) {
            add_run(corpus, at, &run, &mut phrases);
        }
    }
    phrases
}

/// Runs of words that stand side by side and all say something, as byte ranges in the sentence.
fn runs(corpus: &Corpus<'_>, at: usize) -> Vec<Vec<Range<usize>>> {
    let text = corpus.text(at);
    let mut out: Vec<Vec<Range<usize>>> = vec![Vec::new()];
    let mut end = 0;
    for (start, word) in text.unicode_word_indices() {
        let gap = &text[end..start];
        end = start + word.len();
        let apart = !gap.chars().all(|c| c.is_whitespace() || c == '-');
        let useful =
            word.chars().count() > 2 && word.chars().all(|c| c.is_alphabetic() || c == '\'');
        let folded = fold(word);
        let dull = corpus.lexicon.is_stopword(word) || holds(DULL, &folded) || has_number(word);
        // German writes its nouns, and little else, with a capital.
        let useful =
            useful && (!corpus.lexicon.has_noun_capitals() || word.starts_with(char::is_uppercase));
        if apart || !useful || dull {
            out.push(Vec::new());
        }
        if let Some(run) = out.last_mut().filter(|_| useful && !dull) {
            run.push(start..end);
        }
    }
    out.retain(|run| !run.is_empty());
    out
}

fn add_run(
    corpus: &Corpus<'_>,
    at: usize,
    run: &[Range<usize>],
    phrases: &mut HashMap<String, Phrase>,
) {
    let text = corpus.text(at);
    let sentence = &corpus.sentences[at];
    for part in (1..=MAX_WORDS.min(run.len())).flat_map(|words| run.windows(words)) {
        let (start, end) = (part[0].start, part[part.len() - 1].end);
        let stems: Vec<String> = part
            .iter()
            .map(|range| corpus.lexicon.stem(&text[range.clone()]))
            .collect();
        let place = (
            sentence.passage,
            sentence.range.start + start..sentence.range.start + end,
        );
        let capitals = !text[start..end].contains(char::is_lowercase);
        let phrase = phrases.entry(stems.join(" ")).or_insert_with(|| Phrase {
            count: 0,
            first: place.clone(),
            in_capitals: capitals,
            last_passage: usize::MAX,
            spread: 0,
            words: part.len(),
        });
        if phrase.in_capitals && !capitals {
            (phrase.first, phrase.in_capitals) = (place, false);
        }
        phrase.count += 1;
        phrase.spread += u32::from(phrase.last_passage != sentence.passage);
        phrase.last_passage = sentence.passage;
    }
}

fn choose(phrases: &HashMap<String, Phrase>, count: usize) -> Vec<&str> {
    let worth = |key: &str, phrase: &Phrase| {
        let longer = 1.0 + PHRASE_BONUS * (phrase.words - 1) as f32;
        let verb = phrase.words == 1
            && ["ed", "ing", "ly"]
                .iter()
                .any(|ending| key.ends_with(ending));
        let share = if verb { VERB_SHARE } else { 1.0 };
        share * phrase.count as f32 * longer * (1.0 + (phrase.spread as f32).ln())
    };
    let mut ranked: Vec<(&str, &Phrase)> = phrases
        .iter()
        .filter(|(_, p)| p.words == 1 || p.count >= MIN_PHRASE_COUNT)
        .map(|(key, p)| (key.as_str(), p))
        .collect();
    ranked.sort_by(|(a_key, a), (b_key, b)| {
        worth(b_key, b)
            .total_cmp(&worth(a_key, a))
            .then(a.first.0.cmp(&b.first.0))
            .then(a_key.cmp(b_key))
    });
    let mut chosen: Vec<&str> = Vec::new();
    for (key, phrase) in ranked {
        if chosen.len() == count {
            break;
        }
        let covered = chosen.iter().any(|other| {
            let longer = has_words(other, key)
                && phrase.count as f32 <= FREE_RATIO * phrases[*other].count as f32;
            longer
                || has_words(key, other)
                    && phrase.words > phrases[*other].words
                    && phrase.count < phrases[*other].count
        });
        if !covered {
            chosen.push(key);
        }
    }
    chosen
}

/// Whether the words of `part` stand in `whole`.
fn has_words(whole: &str, part: &str) -> bool {
    format!(" {whole} ").contains(&format!(" {part} "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::passage::passages_from_page;

    #[test]
    fn what_returns_is_a_keyword_and_what_is_common_is_not() {
        let page = "The toll bridge spans the river.\n\n\
            The toll bridge was rebuilt and the toll bridge is new.\n\nA ferry crosses the river.";
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let phrases = collect(&corpus);
        let chosen = choose(&phrases, 3);
        assert_eq!(chosen[0], "toll bridg");
        assert!(chosen.contains(&"river"), "{chosen:?}");
        assert!(!chosen.contains(&"toll"));
    }
}
