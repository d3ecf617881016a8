//! From a row of glyphs to words: where a gap is a space.
//!
//! Many files have no space characters, many have too many, some stretch the letters of a word apart. A gap is a space when it is
//! wide for the font size and wide for the row. Accents drawn on top of letters are put together with them, letters drawn twice to
//! look bold are taken once. The text of a word is in visual order, from left to right; [`super::bidi`] turns it around.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::bidi::is_right_to_left;
use super::rows::{Placed, Row};

/// A word of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// The characters from left to right.
    pub(super) text: String,
    /// Left end.
    pub(super) u0: f32,
    /// Right end.
    pub(super) u1: f32,
    /// Baseline.
    pub(super) v: f32,
    /// Font size.
    pub(super) size: f32,
}

/// Splits a row into words.
pub(super) fn words(row: &Row<'_>) -> Vec<Word> {
    let marks = clusters(row);
    let gap = SpaceGap::of(&marks);
    let mut words: Vec<Word> = Vec::new();
    let mut previous: Option<&Cluster> = None;
    for cluster in &marks {
        let starts_word = previous.is_none_or(|previous| gap.is_space(previous, cluster));
        match words.last_mut() {
            Some(word) if !starts_word => {
                word.text.push_str(&cluster.text);
                word.u0 = word.u0.min(cluster.u0);
                word.u1 = word.u1.max(cluster.u1);
                word.size = word.size.max(cluster.size);
            }
            _ => words.push(Word {
                text: cluster.text.clone(),
                u0: cluster.u0,
                u1: cluster.u1,
                v: row.v,
                size: cluster.size,
            }),
        }
        previous = Some(cluster);
    }
    words
}

/// A letter with everything drawn on it.
#[derive(Debug)]
struct Cluster {
    text: String,
    u0: f32,
    u1: f32,
    size: f32,
    /// Whether a space character stands before it.
    after_space: bool,
}

fn clusters(row: &Row<'_>) -> Vec<Cluster> {
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
            // Its text was told by the glyph before it (/ActualText); it only widens that one.
            if let Some(last) = clusters.last_mut() {
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
    if is_combining_mark(c) {
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
fn combining_form(c: char) -> Option<char> {
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

/// How wide a gap of this row must be to be a space, as a share of the font size.
#[derive(Clone, Copy, Debug)]
struct SpaceGap {
    share: f32,
}

impl SpaceGap {
    /// Less than the narrowest word space that typesetters make (TeX shrinks to 0.22), more than any kerning.
    const PLAIN: f32 = 0.16;
    /// In a row with space characters a gap without one is rarely a space.
    const WITH_SPACES: f32 = 0.2;

    fn of(clusters: &[Cluster]) -> Self {
        let spaces = clusters
            .iter()
            .filter(|cluster| cluster.after_space)
            .count();
        let plain = if spaces * 12 >= clusters.len() && spaces > 0 {
            Self::WITH_SPACES
        } else {
            Self::PLAIN
        };
        Self {
            share: plain.max(letter_spacing(clusters) + Self::PLAIN),
        }
    }

    fn is_space(self, before: &Cluster, after: &Cluster) -> bool {
        let size = before.size.min(after.size);
        let gap = (after.u0 - before.u1) / size;
        if after.after_space {
            // A space character that the next letter is drawn over is a leftover of the writer.
            return gap > 0.02;
        }
        let joins = |text: &str| text.chars().next().is_some_and(is_written_without_spaces);
        let needed = if joins(&before.text) && joins(&after.text) {
            self.share.max(0.8)
        } else {
            self.share
        };
        gap > needed
    }
}

/// The gap that most letters of the row have between them, as a share of the font size: above zero for letter-spaced text.
fn letter_spacing(clusters: &[Cluster]) -> f32 {
    /// Wider gaps are not between the letters of a word, however spaced.
    const WIDEST: f32 = 0.6;
    /// Fewer gaps than this say nothing.
    const LEAST_GAPS: usize = 5;
    // The dots that lead to a page number are spaced out on purpose.
    let is_letter = |cluster: &Cluster| cluster.text.chars().all(char::is_alphanumeric);
    let mut gaps: Vec<f32> = clusters
        .windows(2)
        .filter(|pair| !pair[1].after_space && pair.iter().all(is_letter))
        .map(|pair| (pair[1].u0 - pair[0].u1) / pair[0].size.min(pair[1].size))
        .filter(|gap| *gap < WIDEST)
        .collect();
    if gaps.len() < LEAST_GAPS {
        return 0.0;
    }
    // The lower third: even a row of short words has more letters than spaces.
    let third = gaps.len() / 3;
    let (_, spacing, _) = gaps.select_nth_unstable_by(third, f32::total_cmp);
    spacing.max(0.0)
}

/// Chinese characters and kana stand in no words: wide gaps between them are justification.
pub(super) fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
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
        words(&rows[0])
            .into_iter()
            .map(|word| word.text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn gaps_without_space_characters_are_spaces() {
        assert_eq!(
            joined(&line("open the gate", 50.0, 100.0, 10.0)),
            "open the gate"
        );
    }

    #[test]
    fn letter_spaced_words_stay_whole() {
        let mut glyphs = Vec::new();
        let mut x = 50.0;
        for c in "ANNUAL REPORT".chars() {
            if c == ' ' {
                x += 5.0;
                continue;
            }
            glyphs.push(glyph(c.encode_utf8(&mut [0; 4]), x, 100.0, 10.0));
            x += 5.0 + 2.5;
        }
        assert_eq!(joined(&glyphs), "ANNUAL REPORT");
    }

    #[test]
    fn dots_that_lead_to_a_number_are_no_part_of_the_words_beside_them() {
        assert_eq!(
            joined(&line("Notes . . . . . . . . . 4", 50.0, 100.0, 10.0)),
            "Notes . . . . . . . . . 4"
        );
    }

    #[test]
    fn ticks_of_an_axis_are_words_of_their_own() {
        let glyphs: Vec<Glyph> = (0..6)
            .map(|n| glyph(&n.to_string(), 50.0 + 40.0 * n as f32, 100.0, 8.0))
            .collect();
        assert_eq!(joined(&glyphs), "0 1 2 3 4 5");
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
    fn chinese_characters_are_not_torn_apart_by_justification() {
        let glyphs = [
            glyph("人", 50.0, 100.0, 10.0),
            glyph("人", 58.0, 100.0, 10.0),
            glyph("生", 66.0, 100.0, 10.0),
        ];
        assert_eq!(joined(&glyphs), "人人生");
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
