//! Letters and what is drawn on them.
//!
//! Accents drawn on top of letters are put together with them, letters drawn twice to look bold are taken once, spaces become a note
//! at the letter behind them.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::bidi::is_right_to_left;
use super::rows::{Placed, Row};

/// A letter with everything drawn on it.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Its characters; several right-to-left letters from left to right.
    pub(super) text: String,
    /// Left end.
    pub(super) u0: f32,
    /// Right end.
    pub(super) u1: f32,
    /// Font size.
    pub(super) size: f32,
    /// Whether a space character stands before it.
    pub(super) after_space: bool,
}

/// The letters of a row, from left to right.
pub(super) fn clusters(row: &Row<'_>) -> Vec<Cluster> {
    let mut clusters: Vec<Cluster> = Vec::with_capacity(row.glyphs.len());
    let mut after_space = false;
    for placed in &row.glyphs {
        if placed.glyph.text.is_space() {
            after_space = true;
            continue;
        }
        let mut text = String::new();
        placed.glyph.text.push_to(&mut text);
        if text.is_empty() {
            // Its text was told by the glyph before it (/ActualText); it only widens that one. Behind a space it is something else
            // that the font does not name.
            if let Some(last) = clusters.last_mut().filter(|_| !after_space) {
                last.u1 = last.u1.max(placed.u1);
            }
            continue;
        }
        if is_drawn_twice(&clusters, placed, &text) || joined_as_accent(&mut clusters, placed) {
            continue;
        }
        clusters.push(Cluster {
            text: in_visual_order(text),
            u0: placed.u0,
            u1: placed.u1.max(placed.u0),
            size: placed.glyph.size,
            after_space: std::mem::take(&mut after_space),
        });
    }
    clusters
}

/// A glyph of several right-to-left letters gives them in reading order; here everything runs from left to right.
fn in_visual_order(text: String) -> String {
    let several = text
        .chars()
        .filter(|&c| !is_combining_mark(c))
        .nth(1)
        .is_some();
    if several
        && text
            .chars()
            .all(|c| is_right_to_left(c) || is_combining_mark(c))
    {
        let mut turned = String::with_capacity(text.len());
        let mut end = text.len();
        for (start, c) in text.char_indices().rev() {
            if !is_combining_mark(c) {
                turned.push_str(&text[start..end]);
                end = start;
            }
        }
        return turned;
    }
    text
}

/// Whether the same letter stands in the same place already: bold made by drawing twice, or filled and then stroked.
fn is_drawn_twice(clusters: &[Cluster], placed: &Placed<'_>, text: &str) -> bool {
    /// How many letters back the first drawing may be.
    const REACH: usize = 3;
    let offset = (0.12 * placed.glyph.size).min(0.5 * (placed.u1 - placed.u0));
    clusters.iter().rev().take(REACH).any(|cluster| {
        cluster.text == text
            && (cluster.size - placed.glyph.size).abs() < 0.05 * cluster.size
            && placed.u0 - cluster.u0 < offset
    })
}

/// Puts an accent onto the letter it stands over, whichever of the two was drawn first.
fn joined_as_accent(clusters: &mut [Cluster], placed: &Placed<'_>) -> bool {
    let Some(last) = clusters.last_mut() else {
        return false;
    };
    let Some(c) = placed.glyph.text.single() else {
        return false;
    };
    let middle = f32::midpoint(placed.u0, placed.u1);
    if is_lone_mark(&last.text) {
        // It was drawn before the letter it belongs to.
        last.text.insert(0, c);
        last.text = last.text.nfc().collect();
        last.u1 = last.u1.max(placed.u1);
        return true;
    }
    if is_combining_mark(c) {
        if middle > last.u1 + 0.1 * last.size {
            return false;
        }
        last.text.push(c);
        last.text = last.text.nfc().collect();
        return true;
    }
    let overlaps = |inner: f32| inner > last.u0 && inner < last.u1;
    if let Some(mark) = combining_form(c)
        && overlaps(middle)
        && let Some(composed) = composed(&last.text, mark)
    {
        last.text = composed;
        return true;
    }
    let accent_before = last
        .text
        .chars()
        .next()
        .filter(|_| last.text.chars().count() == 1)
        .and_then(combining_form);
    if let Some(mark) = accent_before
        && f32::midpoint(last.u0, last.u1) > placed.u0
        && f32::midpoint(last.u0, last.u1) < placed.u1
        && let Some(composed) = composed(c.encode_utf8(&mut [0; 4]), mark)
    {
        last.text = composed;
        last.u1 = last.u1.max(placed.u1);
        return true;
    }
    false
}

fn is_lone_mark(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_combining_mark) && chars.next().is_none()
}

/// The letter `base` with `mark` on it, if there is such a letter.
fn composed(base: &str, mark: char) -> Option<String> {
    let last = base.chars().next_back()?;
    // TeX puts accents on dotless i and j.
    let last = match last {
        'ı' => 'i',
        'ȷ' => 'j',
        other => other,
    };
    let letter = unicode_normalization::char::compose(last, mark)?;
    let mut text = base[..base.len() - base.chars().next_back()?.len_utf8()].to_owned();
    text.push(letter);
    Some(text)
}

/// The combining form of an accent that fonts also carry as a character of its own.
pub(super) fn combining_form(c: char) -> Option<char> {
    Some(match c {
        '`' | 'ˋ' => '\u{300}',
        '´' | 'ˊ' => '\u{301}',
        '^' | 'ˆ' => '\u{302}',
        '~' | '˜' => '\u{303}',
        '¯' | 'ˉ' => '\u{304}',
        '˘' => '\u{306}',
        '˙' => '\u{307}',
        '¨' => '\u{308}',
        '˚' | '°' => '\u{30A}',
        '˝' => '\u{30B}',
        'ˇ' => '\u{30C}',
        '¸' => '\u{327}',
        '˛' => '\u{328}',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::glyph::Glyph;
    use super::super::rows::rows;
    use super::super::testing::{glyph, line, place};
    use super::*;

    fn joined(glyphs: &[Glyph]) -> String {
        let rows = rows(&place(glyphs));
        assert_eq!(rows.len(), 1, "one row is meant");
        clusters(&rows[0])
            .into_iter()
            .map(|cluster| cluster.text)
            .collect()
    }

    #[test]
    fn a_word_drawn_twice_to_look_bold_is_read_once() {
        let mut glyphs = line("TOTAL", 50.0, 100.0, 10.0);
        glyphs.extend(line("TOTAL", 50.4, 100.0, 10.0));
        assert_eq!(joined(&glyphs), "TOTAL");
        assert_eq!(
            joined(&line("hill", 50.0, 100.0, 10.0)),
            "hill",
            "real double letters stay"
        );
    }

    #[test]
    fn an_accent_drawn_before_or_after_its_letter_is_put_onto_it() {
        let accent_first = [glyph("´", 50.0, 100.0, 10.0), glyph("e", 50.2, 100.0, 10.0)];
        assert_eq!(joined(&accent_first), "é");
        let accent_last = [glyph("u", 50.0, 100.0, 10.0), glyph("¨", 50.2, 100.0, 10.0)];
        assert_eq!(joined(&accent_last), "ü");
        let apart = [
            glyph("x", 50.0, 100.0, 10.0),
            glyph("^", 55.0, 100.0, 10.0),
            glyph("a", 60.0, 100.0, 10.0),
        ];
        assert_eq!(joined(&apart), "x^a", "a caret between letters is a caret");
    }

    #[test]
    fn a_glyph_without_text_does_not_bridge_a_space() {
        let mut glyphs = line("a", 50.0, 100.0, 10.0);
        glyphs.push(glyph(" ", 55.0, 100.0, 10.0));
        glyphs.push(Glyph {
            advance: 5.0,
            ..glyph("", 57.0, 100.0, 10.0)
        });
        glyphs.push(glyph("b", 62.0, 100.0, 10.0));
        let rows = rows(&place(&glyphs));
        let found = clusters(&rows[0]);
        assert!(found[1].after_space && found[1].u0 > found[0].u1 + 2.0);
    }

    #[test]
    fn a_combining_mark_goes_onto_the_letter_it_stands_over() {
        let after = [
            glyph("e", 50.0, 100.0, 10.0),
            glyph("\u{301}", 51.0, 100.0, 10.0),
        ];
        assert_eq!(joined(&after), "é");
        let before = [
            glyph("t", 50.0, 100.0, 10.0),
            glyph("\u{301}", 55.6, 100.0, 10.0),
            glyph("e", 56.0, 100.0, 10.0),
        ];
        assert_eq!(joined(&before), "té");
    }

    #[test]
    fn a_ligature_of_right_to_left_letters_is_stored_in_visual_order() {
        assert_eq!(
            in_visual_order("\u{644}\u{627}".to_owned()),
            "\u{627}\u{644}"
        );
        assert_eq!(in_visual_order("fi".to_owned()), "fi");
    }
}
