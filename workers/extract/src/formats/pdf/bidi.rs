//! Right-to-left text: from the order in which glyphs stand on the line to the order in which they are read.
//!
//! A PDF places glyphs; read from left to right, a Hebrew line is backwards. Unicode's bidirectional algorithm goes from reading
//! order to places and cannot be run in reverse exactly (`abc 123` in a right-to-left line has two sources), so this takes the likely
//! source: the line is turned around, and every stretch of left-to-right letters and numbers in it is turned back.

use unicode_bidi::{BidiClass, bidi_class};
use unicode_normalization::char::is_combining_mark;

/// The reading order of `visual`, the characters of a line from left to right.
pub(super) fn to_logical(visual: &str) -> String {
    if !has_right_to_left(visual) {
        return visual.to_owned();
    }
    let clusters = clusters(visual);
    let mut kinds: Vec<Kind> = clusters.iter().map(|cluster| kind(cluster)).collect();
    settle_units(&mut kinds);
    let ordered = if is_right_to_left_line(&kinds) {
        right_to_left_line(&clusters, &kinds)
    } else {
        left_to_right_line(&clusters, &kinds)
    };
    ordered.concat()
}

/// Whether any letter of `text` is written from right to left.
pub(super) fn has_right_to_left(text: &str) -> bool {
    text.chars().any(is_right_to_left)
}

/// Whether more letters of `text` are written from right to left than from left to right.
pub(super) fn is_mostly_right_to_left(text: &str) -> bool {
    let balance: i64 = text
        .chars()
        .map(|c| {
            if is_right_to_left(c) {
                1
            } else {
                -i64::from(c.is_alphabetic())
            }
        })
        .sum();
    balance > 0
}

/// Whether `c` is written from right to left.
pub(super) fn is_right_to_left(c: char) -> bool {
    // Nothing below Hebrew is, and asking the table for every Latin letter costs time.
    c >= '\u{590}' && matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// A right-to-left letter.
    Rtl,
    /// A left-to-right letter.
    Ltr,
    /// A digit.
    Digit,
    /// A sign that belongs to a number when digits stand on both sides, such as the comma in 1,000.
    NumberSign,
    /// Plus and minus, which may also stand in front of a number.
    Sign,
    /// A sign that belongs to the number it stands at: percent, currencies, degrees.
    Unit,
    /// Anything else: spaces, quotes, brackets.
    Neutral,
}

/// A letter together with the marks on it.
fn clusters(text: &str) -> Vec<&str> {
    let mut clusters = Vec::new();
    let mut start = 0;
    for (index, c) in text.char_indices().skip(1) {
        if !is_combining_mark(c) {
            clusters.push(&text[start..index]);
            start = index;
        }
    }
    clusters.push(&text[start..]);
    clusters
}

fn kind(cluster: &str) -> Kind {
    let Some(first) = cluster.chars().next() else {
        return Kind::Neutral;
    };
    match bidi_class(first) {
        BidiClass::R | BidiClass::AL => Kind::Rtl,
        BidiClass::L => Kind::Ltr,
        BidiClass::EN | BidiClass::AN => Kind::Digit,
        BidiClass::CS => Kind::NumberSign,
        BidiClass::ES => Kind::Sign,
        BidiClass::ET => Kind::Unit,
        _ => Kind::Neutral,
    }
}

/// Counts units among the digits they stand at, and a sign in front of a number too unless a right-to-left word is tied to it.
fn settle_units(kinds: &mut [Kind]) {
    for index in 1..kinds.len() {
        if kinds[index] == Kind::Unit && kinds[index - 1] == Kind::Digit {
            kinds[index] = Kind::Digit;
        }
    }
    for index in (0..kinds.len().saturating_sub(1)).rev() {
        let before_number = kinds[index + 1] == Kind::Digit;
        let is_free = index == 0 || kinds[index - 1] == Kind::Neutral;
        let is_sign = kinds[index] == Kind::Unit || kinds[index] == Kind::Sign && is_free;
        if before_number && is_sign {
            kinds[index] = Kind::Digit;
        }
    }
}

fn is_right_to_left_line(kinds: &[Kind]) -> bool {
    let count = |wanted| kinds.iter().filter(|kind| **kind == wanted).count();
    let strong = |kind: &&Kind| matches!(kind, Kind::Rtl | Kind::Ltr);
    let ends = [kinds.iter().find(strong), kinds.iter().rfind(strong)];
    count(Kind::Rtl) >= count(Kind::Ltr) || ends == [Some(&Kind::Rtl); 2]
}

fn right_to_left_line<'a>(clusters: &[&'a str], kinds: &[Kind]) -> Vec<&'a str> {
    let by_look = BRACKETS.map(|(open, close)| stored_by_look(clusters, open, close));
    let mut out = Vec::with_capacity(clusters.len());
    let mut end = clusters.len();
    while end > 0 {
        let start = left_to_right_stretch(kinds, end);
        if start < end {
            out.extend_from_slice(&clusters[start..end]);
            end = start;
        } else {
            out.push(mirrored(clusters[end - 1], by_look));
            end -= 1;
        }
    }
    out
}

/// Start of the stretch of left-to-right text and numbers that ends before `end`; `end` itself when there is none.
fn left_to_right_stretch(kinds: &[Kind], end: usize) -> usize {
    let belongs = |kind: Kind| matches!(kind, Kind::Ltr | Kind::Digit);
    if !belongs(kinds[end - 1]) {
        return end;
    }
    let mut start = end - 1;
    let mut letters = kinds[start] == Kind::Ltr;
    loop {
        // Signs and spaces inside the stretch are part of it when more of the stretch follows.
        let next = (0..start)
            .rev()
            .find(|&at| !matches!(kinds[at], Kind::Neutral | Kind::NumberSign | Kind::Sign));
        let Some(next) = next else { return start };
        let between = &kinds[next + 1..start];
        let signs_only = between.len() <= 1
            && between
                .iter()
                .all(|kind| matches!(kind, Kind::NumberSign | Kind::Sign));
        let is_letter = kinds[next] == Kind::Ltr;
        if !belongs(kinds[next]) || !(signs_only || letters || is_letter) {
            return start;
        }
        letters |= is_letter;
        start = next;
    }
}

fn left_to_right_line<'a>(clusters: &[&'a str], kinds: &[Kind]) -> Vec<&'a str> {
    let mut out = Vec::with_capacity(clusters.len());
    let mut at = 0;
    while at < clusters.len() {
        if kinds[at] != Kind::Rtl {
            out.push(clusters[at]);
            at += 1;
            continue;
        }
        let last = (at..clusters.len())
            .take_while(|&i| kinds[i] != Kind::Ltr)
            .filter(|&i| kinds[i] == Kind::Rtl)
            .last();
        let end = last.map_or(at + 1, |last| last + 1);
        out.extend(right_to_left_line(&clusters[at..end], &kinds[at..end]));
        at = end;
    }
    out
}

const BRACKETS: [(&str, &str); 4] = [("(", ")"), ("[", "]"), ("{", "}"), ("«", "»")];

/// Brackets are stored by what they mean or by how they look, depending on the writer. Read from the right, a line must open before
/// it closes; if it would not, its brackets were stored by look.
fn stored_by_look(clusters: &[&str], open: &str, close: &str) -> bool {
    let first_read = clusters
        .iter()
        .rev()
        .find(|cluster| **cluster == open || **cluster == close);
    first_read.is_some_and(|first| *first == close) && clusters.contains(&open)
}

fn mirrored(cluster: &str, by_look: [bool; BRACKETS.len()]) -> &str {
    for ((open, close), by_look) in BRACKETS.into_iter().zip(by_look) {
        match cluster {
            _ if !by_look => {}
            _ if cluster == open => return close,
            _ if cluster == close => return open,
            _ => {}
        }
    }
    cluster
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn left_to_right_text_is_left_alone() {
        assert_eq!(to_logical("plain (text) 1,5"), "plain (text) 1,5");
    }

    #[test]
    fn a_hebrew_line_is_turned_around() {
        assert_eq!(
            to_logical("\u{5D2}\u{5D1} \u{5D0}"),
            "\u{5D0} \u{5D1}\u{5D2}"
        );
    }

    #[test]
    fn numbers_keep_their_digits_in_order() {
        assert_eq!(to_logical("1,250 \u{5D1}\u{5D0}"), "\u{5D0}\u{5D1} 1,250");
        assert_eq!(
            to_logical("2 1 \u{5D0}"),
            "\u{5D0} 1 2",
            "two numbers are two stretches"
        );
    }

    #[test]
    fn signs_and_units_stay_with_their_number() {
        assert_eq!(
            to_logical("5% -4.3 \u{5D1}\u{5D0}"),
            "\u{5D0}\u{5D1} -4.3 5%"
        );
        assert_eq!(
            to_logical("7-\u{5D1} \u{5D0}"),
            "\u{5D0} \u{5D1}-7",
            "a hyphen ties a prefix to its number"
        );
        assert_eq!(
            to_logical("\u{5D2} :3 \u{5D1}\u{5D0}"),
            "\u{5D0}\u{5D1} 3: \u{5D2}",
            "a colon stands behind a number"
        );
    }

    #[test]
    fn latin_words_keep_their_order() {
        assert_eq!(
            to_logical("\u{5D1} Open Source 2 \u{5D0}"),
            "\u{5D0} Open Source 2 \u{5D1}"
        );
    }

    #[test]
    fn a_hebrew_quote_in_an_english_line_is_turned_around_alone() {
        assert_eq!(
            to_logical("they said \u{5D2}\u{5D1}\u{5D0} again and again"),
            "they said \u{5D0}\u{5D1}\u{5D2} again and again"
        );
    }

    #[test]
    fn marks_stay_behind_their_letter() {
        assert_eq!(
            to_logical("\u{5D1}\u{5B8}\u{5D0}\u{5B7}"),
            "\u{5D0}\u{5B7}\u{5D1}\u{5B8}"
        );
    }

    #[test]
    fn brackets_open_before_they_close() {
        assert_eq!(
            to_logical("(\u{5D1}) \u{5D0}"),
            "\u{5D0} (\u{5D1})",
            "stored by look"
        );
        assert_eq!(
            to_logical(")\u{5D1}( \u{5D0}"),
            "\u{5D0} (\u{5D1})",
            "stored by meaning"
        );
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(text in "[a-c0-9 .,א-ה]{0,40}") {
            let mut before: Vec<char> = text.chars().collect();
            let mut after: Vec<char> = to_logical(&text).chars().collect();
            before.sort_unstable();
            after.sort_unstable();
            proptest::prop_assert_eq!(before, after);
        }
    }
}
