//! Sentence borders inside a passage.
//!
//! UAX 29 finds the candidates; on top of it wrapped lines count as spaces, and a border after an abbreviation, an
//! initial or a list number is taken back. A piece without any border that is too long to show or to embed (a
//! table flattened by extraction) is cut at line ends.
//!
//! Not here: joining sentences over pages, deciding which are worth reading.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::evidence::is_month;
use super::wordlist::holds;

/// Longer sentences are cut: the embedding model reads 256 tokens, and nobody wants a longer quote.
const MAX_CHARS: usize = 700;

/// Abbreviations that are followed by more of the same sentence. Folded, without the final stop.
const ABBREVIATIONS: &str = "abb abs al approx art av ave blvd bzw ca cap capt cf ch chap cit co col corp dept dipl dr ed eds eg e.g \
    eq est etc evtl ex fig figs gen ggf gov hon i.e ie inc incl inkl jr lt ltd max messrs min \
    mio mme mr mrs ms mt no nos nr num op p para pp prof ref rep rev sec sect sen sgt sr sra st \
    str tab tel u.a usw v vgl viz vol vs z.b d.h";

/// Abbreviations that may also close a sentence; a word that opens sentences decides.
const MAY_CLOSE: &str = "co corp etc inc jr ltd no sr usw al min max p";

/// Words that open a sentence far more often than they follow an abbreviation or an initial.
const OPENERS: &str = "A After All An And As At But By Each For From He However I If In It Its No On She The Their \
    There These They This Those To We When With You Das Der Die Ein Eine Es Er Sie Wir Le La \
    Les Il Elle El Los Las";

/// Words that number a statement, a picture or a part of a text.
const LABELS: &str = "Definition Theorem Lemma Proposition Corollary Claim Conjecture Axiom Assumption Remark Example Proof \
    Algorithm Figure Table Exhibit Annex Satz Korollar Beispiel Bemerkung Abbildung Tabelle";

/// Byte ranges of the sentences of a passage, trimmed, in order.
pub(crate) fn sentences(text: &str) -> Vec<Range<usize>> {
    let flat = flatten(text);
    let mut out = Vec::new();
    let mut start = 0;
    for (at, piece) in flat.split_sentence_bound_indices() {
        let end = at + piece.len();
        if end < flat.len() && joins_next(&flat[start..end], &flat[end..]) {
            continue;
        }
        push_cut(text, start..end, &mut out);
        start = end;
    }
    if start < flat.len() {
        push_cut(text, start..flat.len(), &mut out);
    }
    out
}

/// The text with every single-byte line break as a space; byte positions stay.
fn flatten(text: &str) -> String {
    text.chars()
        .map(|c| {
            if matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\t') {
                ' '
            } else {
                c
            }
        })
        .collect()
}

/// True when the border between `before` and `after` is no end of a sentence.
fn joins_next(before: &str, after: &str) -> bool {
    let Some(body) = before.trim_end().strip_suffix('.') else {
        return before.trim().is_empty();
    };
    let last = body.rsplit(char::is_whitespace).next().unwrap_or_default();
    let word = last.trim_start_matches(|c: char| !c.is_alphanumeric());
    if is_label(before) {
        return true;
    }
    let opener = after
        .split_whitespace()
        .next()
        .is_some_and(|next| holds(OPENERS, next.trim_matches(|c: char| !c.is_alphanumeric())));
    if word.len() == last.trim().len() && body.trim() == word && is_item_number(word) {
        return true;
    }
    let lower = word.to_lowercase();
    if holds(ABBREVIATIONS, &lower) {
        let number_follows = after.starts_with(|c: char| c.is_ascii_digit());
        return match lower.as_str() {
            "no" | "p" | "min" | "max" => number_follows,
            other => !(holds(MAY_CLOSE, other) && opener),
        };
    }
    (is_initial(word) && !opener) || is_ordinal_of_month(word, after)
}

/// `Definition 3 (Local sensitivity [11]).`: the name of what follows, which says nothing by itself.
fn is_label(before: &str) -> bool {
    const MAX_WORDS: usize = 10;
    let before = before.trim();
    let mut words = before.split_whitespace();
    let named = words.next().is_some_and(|word| holds(LABELS, word));
    let number = words.next().unwrap_or_default();
    let numbered = number.starts_with(|c: char| c.is_ascii_digit());
    let rest: Vec<&str> = words.collect();
    let titled = match rest.as_slice() {
        [] => number.ends_with('.'),
        [first, ..] => first.starts_with('(') && before.ends_with(").") && rest.len() <= MAX_WORDS,
    };
    named && numbered && titled
}

/// The `3` of `3. Terms` or the `b` of `(b). Terms` when nothing else stands before the border.
fn is_item_number(word: &str) -> bool {
    word.len() <= 4 && word.chars().all(|c| c.is_ascii_digit() || c == '.')
        || word.chars().count() == 1
}

/// The `12` of the German `12. Juni`.
fn is_ordinal_of_month(word: &str, after: &str) -> bool {
    let next = after.split_whitespace().next().unwrap_or_default();
    let number = (1..=2).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit());
    number && is_month(next.trim_matches(|c: char| !c.is_alphanumeric()))
}

/// `J` of `J. Smith` or `U.S` of `U.S. Army`.
fn is_initial(word: &str) -> bool {
    let mut parts = word.split('.');
    parts.all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(char::is_uppercase) && chars.next().is_none()
    })
}

/// Trims a range and cuts it where it is too long. Each round looks at one piece only, never at all that is left.
fn push_cut(text: &str, range: Range<usize>, out: &mut Vec<Range<usize>>) {
    let mut rest = trim(text, range);
    while let Some((limit, _)) = text[rest.clone()].char_indices().nth(MAX_CHARS) {
        let cut = last_gap(text, rest.start..rest.start + limit);
        push(text, rest.start..cut, out);
        rest = trim(text, cut..rest.end);
    }
    push(text, rest, out);
}

/// The best place to cut a piece: a line end in its second half, else a space, else its end.
fn last_gap(text: &str, range: Range<usize>) -> usize {
    let piece = &text[range.clone()];
    let half = range.start + piece.len() / 2;
    let line_end = piece
        .rfind('\n')
        .map(|at| range.start + at)
        .filter(|at| *at > half);
    let space = piece
        .rfind(char::is_whitespace)
        .map(|at| range.start + at)
        .filter(|at| *at > half);
    line_end.or(space).unwrap_or(range.end)
}

fn push(text: &str, range: Range<usize>, out: &mut Vec<Range<usize>>) {
    let range = trim(text, range);
    if !range.is_empty() {
        out.push(range);
    }
}

fn trim(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = range.end - (piece.len() - piece.trim_end().len());
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::sentences;

    fn split(text: &str) -> Vec<&str> {
        sentences(text)
            .into_iter()
            .map(|range| &text[range])
            .collect()
    }

    #[test]
    fn wrapped_lines_do_not_end_sentences() {
        assert_eq!(
            split("The bridge was opened\nin 1932. It is\nlong."),
            ["The bridge was opened\nin 1932.", "It is\nlong."]
        );
    }

    #[test]
    fn abbreviations_and_initials_do_not_end_sentences() {
        for text in [
            "Dr. Smith met Mr. J. R. Brown at St. Mary.",
            "It weighs approx. 300 kg, see Fig. 3 and No. 7.",
            "The U.S. Army paid $3.5 million.",
            "Er wurde am 12. Juni 1964 gegründet.",
            "Many tools (e.g. Hammers) are sold.",
            "1. Turn the valve.",
        ] {
            assert_eq!(split(text), [text]);
        }
    }

    #[test]
    fn words_that_open_sentences_end_the_one_before() {
        assert_eq!(split("It was sold in the U.S. The price fell.").len(), 2);
        assert_eq!(split("They sell pumps, etc. The rest is rented.").len(), 2);
        assert_eq!(split("Is it open? No. It closed.").len(), 3);
        assert_eq!(split("これは橋です。長いです。").len(), 2);
    }

    #[test]
    fn endless_pieces_are_cut_at_lines() {
        let text = "alpha beta gamma delta\n".repeat(200);
        let parts = split(&text);
        assert!(parts.len() > 4);
        assert!(
            parts
                .iter()
                .all(|part| part.len() <= super::MAX_CHARS && part.starts_with("alpha"))
        );
    }

    proptest! {
        #[test]
        fn nothing_but_whitespace_is_lost(text in "[ \\n.a-zA-Z\\PC]{0,400}") {
            let kept: String = split(&text).concat();
            let solid = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&kept), solid(&text));
        }
    }
}
