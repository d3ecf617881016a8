//! The text of form fields that a file leaves to its reader to draw.
//!
//! A field that was filled in by a program often has a value and no picture of it. Its letters are put where they would be drawn, so
//! that the value stands behind its label in the text of the page.

use hayro_interpret::hayro_syntax::object::{Dict, Name};
use hayro_interpret::hayro_syntax::page::Page;

use super::forms::undrawn_text;
use super::geometry::Angle;
use super::glyph::{Glyph, GlyphText};
use super::links::{annotations, place};

/// Most letters of one field that are drawn.
const MAX_LETTERS: usize = 4_000;

/// Height of a line of text, as a share of its font size.
const PITCH: f32 = 1.2;

/// Average width of a letter, as a share of the font size.
const WIDTH: f32 = 0.5;

/// Largest size in which a value is drawn, in points.
const LARGEST: f32 = 12.0;

/// The letters of the fields of `page` that nobody has drawn.
pub(super) fn glyphs(page: &Page<'_>) -> Vec<Glyph> {
    let widgets = annotations(page).filter(is_shown_widget);
    widgets
        .filter_map(|widget| {
            let text = undrawn_text(&widget)?;
            Some(lines(&text, place(page, &widget)?))
        })
        .flatten()
        .collect()
}

fn is_shown_widget(annotation: &Dict<'_>) -> bool {
    /// `/F` of what is not shown (ISO 32000-1, table 165).
    const HIDDEN: u32 = 1 << 1;
    let is_widget = annotation
        .get::<Name<'_>>(b"Subtype")
        .is_some_and(|kind| *kind == *b"Widget");
    is_widget && annotation.get::<u32>(b"F").unwrap_or(0) & HIDDEN == 0
}

fn lines(text: &str, [x0, y0, x1, y1]: [f32; 4]) -> Vec<Glyph> {
    let count = text.lines().count().max(1) as f32;
    let size = LARGEST.min((y1 - y0) / count / PITCH).max(1.0);
    let longest = text
        .lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(1);
    let advance = (WIDTH * size).min((x1 - x0) / longest.max(1) as f32);
    let glyph = |(row, column, c): (usize, usize, char)| Glyph {
        text: GlyphText::clean(c.encode_utf8(&mut [0; 4])),
        x: x0 + advance * column as f32,
        y: y0 + size + PITCH * size * row as f32,
        advance,
        size,
        angle: Angle::of(1.0, 0.0),
        code: u32::from(c),
    };
    text.lines()
        .enumerate()
        .flat_map(|(row, line)| {
            line.chars()
                .enumerate()
                .map(move |(column, c)| (row, column, c))
        })
        .take(MAX_LETTERS)
        .map(glyph)
        .collect()
}
