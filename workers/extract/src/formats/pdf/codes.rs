//! Glyphs that their font does not explain, explained by their code.
//!
//! The bitmap fonts of old TeX have no names for some characters, and subsets of other fonts lose them. Their codes still follow
//! ASCII (and, for ligatures, TeX's own text encoding), which is worth using where the neighbours of a glyph bear it out: `modi�ed` is
//! `modified`, a full stop closes a word. A glyph by itself stays unknown: in the fonts of mathematics the code of `2` draws a
//! membership sign, and no digit is better than a wrong one. Pages on which most glyphs are unknown use codes of their own.

use super::glyph::{Glyph, GlyphText};

/// Share of unknown glyphs up to which codes are believed.
const MOST_UNKNOWN: f32 = 0.4;

/// Names what can be named.
pub(super) fn name_unknown(glyphs: &mut [Glyph]) {
    let unknown = glyphs.iter().filter(|glyph| is_unknown(glyph)).count();
    if unknown == 0 {
        return;
    }
    name_leaders(glyphs);
    if unknown as f32 > MOST_UNKNOWN * glyphs.len() as f32 {
        return;
    }
    let named: Vec<(usize, GlyphText)> = (0..glyphs.len())
        .filter_map(|index| Some((index, by_code(glyphs, index)?)))
        .collect();
    for (index, text) in named {
        glyphs[index].text = text;
    }
}

/// Takes runs of one glyph of unknown meaning for the dots that lead from an entry to its number: no other text repeats itself so.
fn name_leaders(glyphs: &mut [Glyph]) {
    /// Fewer in a row may be anything.
    const LEAST_RUN: usize = 4;
    for run in glyphs.chunk_by_mut(|a, b| a.text == b.text && a.code == b.code) {
        if run.len() >= LEAST_RUN && is_unknown(&run[0]) {
            for glyph in run {
                glyph.text = GlyphText::One('.');
            }
        }
    }
}

fn by_code(glyphs: &[Glyph], index: usize) -> Option<GlyphText> {
    let glyph = &glyphs[index];
    if !is_unknown(glyph) {
        return None;
    }
    let before = index
        .checked_sub(1)
        .map(|at| &glyphs[at])
        .filter(|before| touches(before, glyph));
    let after = glyphs.get(index + 1).filter(|after| touches(glyph, after));
    let neighbours = || [before, after].into_iter().flatten();
    let beside_letter = neighbours().any(is_letter);
    let c = char::from_u32(glyph.code)?;
    match c {
        '\u{B}'..='\u{F}' if beside_letter => Some(GlyphText::plain(ligature(c))),
        ',' | '.' | ';' | ':' | '!' | '?' | '(' | ')' | '-' | '\'' => Some(GlyphText::One(c)),
        '0'..='9' | 'A'..='Z' | 'a'..='z'
            if neighbours().any(|other| is_letter(other) || is_alphanumeric_code(other)) =>
        {
            Some(GlyphText::One(c))
        }
        _ => None,
    }
}

/// The ligatures of TeX's text encoding (OT1).
fn ligature(code: char) -> &'static str {
    match code {
        '\u{B}' => "ff",
        '\u{C}' => "fi",
        '\u{D}' => "fl",
        '\u{E}' => "ffi",
        _ => "ffl",
    }
}

/// Whether `after` follows on `before` within a word.
fn touches(before: &Glyph, after: &Glyph) -> bool {
    let size = before.size.min(after.size);
    let gap = after.x - before.x - before.advance;
    before.angle == after.angle
        && (after.y - before.y).abs() < 0.1 * size
        && gap.abs() < 0.15 * size
}

fn is_letter(glyph: &Glyph) -> bool {
    glyph.text.single().is_some_and(char::is_alphabetic)
}

fn is_alphanumeric_code(glyph: &Glyph) -> bool {
    is_unknown(glyph) && char::from_u32(glyph.code).is_some_and(|c| c.is_ascii_alphanumeric())
}

fn is_unknown(glyph: &Glyph) -> bool {
    glyph.text == GlyphText::UNKNOWN
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    /// The text of `known`, in which `?` stands for an unknown glyph; their codes follow.
    fn named(known: &str, codes: &[u32]) -> String {
        let mut glyphs = line(known, 50.0, 100.0, 10.0);
        let mut codes = codes.iter();
        for glyph in glyphs
            .iter_mut()
            .filter(|glyph| glyph.text == GlyphText::One('?'))
        {
            glyph.text = GlyphText::UNKNOWN;
            glyph.code = *codes.next().unwrap();
        }
        name_unknown(&mut glyphs);
        let mut text = String::new();
        for glyph in &glyphs {
            glyph.text.push_to(&mut text);
        }
        text
    }

    #[test]
    fn ligatures_and_punctuation_are_named_by_their_neighbours() {
        assert_eq!(named("modi?ed?", &[12, 46]), "modified.");
        assert_eq!(named("e?ects", &[11]), "effects");
        assert_eq!(named("Figure ?? shows", &[49, 50]), "Figure12shows");
    }

    #[test]
    fn a_sign_by_itself_stays_unknown() {
        assert_eq!(named("every x ? S", &[50]), "everyx\u{FFFD}S");
        assert_eq!(named("every x ? S", &[12]), "everyx\u{FFFD}S");
    }

    #[test]
    fn a_glyph_repeated_without_end_is_a_leader() {
        assert_eq!(named("Notes ????? 4", &[7, 7, 7, 7, 7]), "Notes.....4");
        assert_eq!(
            named("Notes and more ??", &[7, 7]),
            "Notesandmore\u{FFFD}\u{FFFD}"
        );
    }

    #[test]
    fn a_font_with_codes_of_its_own_is_not_believed() {
        assert_eq!(
            named("?????? ab", &[65, 66, 67, 68, 69, 70]),
            "\u{FFFD}".repeat(6) + "ab"
        );
    }
}
