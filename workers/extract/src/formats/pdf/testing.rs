//! Help for the unit tests of this module: glyphs and words without a file.

use super::geometry::Angle;
use super::glyph::{Glyph, GlyphText};
use super::rows::Placed;
use super::words::Word;

/// Average width of a character of Latin text, as a share of the font size.
const WIDTH: f32 = 0.5;

/// A glyph half as wide as high.
pub(super) fn glyph(text: &str, x: f32, y: f32, size: f32) -> Glyph {
    let advance = WIDTH * size * text.chars().count() as f32;
    Glyph {
        text: GlyphText::plain(text),
        x,
        y,
        advance,
        size,
        angle: Angle::UPRIGHT,
        code: 0,
    }
}

/// The glyphs of `text`, one after the other, every space a gap without a glyph.
pub(super) fn line(text: &str, x: f32, y: f32, size: f32) -> Vec<Glyph> {
    let step = WIDTH * size;
    text.chars()
        .enumerate()
        .filter(|(_, c)| *c != ' ')
        .map(|(index, c)| glyph(c.encode_utf8(&mut [0; 4]), x + step * index as f32, y, size))
        .collect()
}

/// The glyphs in an upright frame.
pub(super) fn place(glyphs: &[Glyph]) -> Vec<Placed<'_>> {
    glyphs
        .iter()
        .map(|glyph| Placed {
            glyph,
            u0: glyph.x,
            u1: glyph.x + glyph.advance,
            v: glyph.y,
        })
        .collect()
}

/// The words of `text` set from `x` on the baseline `y`.
pub(super) fn words(text: &str, x: f32, y: f32, size: f32) -> Vec<Word> {
    let step = WIDTH * size;
    let mut words = Vec::new();
    let mut at = x;
    for word in text.split(' ') {
        let end = at + step * word.chars().count() as f32;
        words.push(Word {
            text: word.to_owned(),
            u0: at,
            u1: end,
            v: y,
            size,
            table: None,
        });
        at = end + step;
    }
    words
}
