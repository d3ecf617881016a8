//! The second text engine: our text device over hayro-interpret.
//!
//! One page in, its text and the places of its lines out. A page that panics the interpreter or runs over its budget gives what was
//! collected until then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hayro_interpret::hayro_syntax::Filter;
use hayro_interpret::hayro_syntax::object::{Array, Stream};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::kurbo::Rect;
use hayro_interpret::util::TransformExt;
use hayro_interpret::{Context, InterpreterCache, InterpreterSettings, interpret_page};

use super::compose::{PageText, compose, read_lines};
use super::device::{OverBudget, PageContent, TextDevice};
use super::geometry::{Angle, Frame};
use super::glyph::Glyph;
use super::inflate::inflates_beyond;
use super::limits::MAX_CONTENT_BYTES;
use super::order::reading_order;
use super::rows::{Placed, rows};
use super::words::words;

/// What became of the interpretation of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Read to its end.
    Complete,
    /// Left at a limit.
    OverBudget,
    /// The interpreter panicked.
    Panicked,
}

/// Runs through `page` and collects what it draws.
pub(super) fn interpret<'a>(
    page: &Page<'a>,
    cache: &InterpreterCache<'a>,
    settings: &InterpreterSettings,
) -> (PageContent, Outcome) {
    let (width, height) = page.render_dimensions();
    let mut device = TextDevice::new(width, height);
    if has_content_bomb(page) {
        return (device.into_content(), Outcome::OverBudget);
    }
    let bounds = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    let run = AssertUnwindSafe(|| {
        let transform = page.initial_transform(true).to_kurbo();
        let mut context = Context::new(transform, bounds, cache, page.xref(), settings.clone());
        interpret_page(page, &mut context, &mut device);
    });
    let outcome = match catch_unwind(run) {
        Ok(()) => Outcome::Complete,
        Err(payload) if payload.is::<OverBudget>() => Outcome::OverBudget,
        Err(_) => Outcome::Panicked,
    };
    (device.into_content(), outcome)
}

/// Whether a content stream of the page is larger than any that is meant to be read.
fn has_content_bomb(page: &Page<'_>) -> bool {
    const CONTENTS: &[u8] = b"Contents";
    let is_bomb = |stream: &Stream<'_>| {
        let filters = stream.filters();
        let layers = filters.len();
        filters.iter().all(|filter| *filter == Filter::FlateDecode)
            && inflates_beyond(&stream.raw_data(), layers, MAX_CONTENT_BYTES)
    };
    if let Some(stream) = page.raw().get::<Stream<'_>>(CONTENTS) {
        return is_bomb(&stream);
    }
    page.raw()
        .get::<Array<'_>>(CONTENTS)
        .is_some_and(|array| array.iter::<Stream<'_>>().any(|stream| is_bomb(&stream)))
}

/// The text that `glyphs` make on a page of `size` points, in reading order.
pub(super) fn text_of(glyphs: &[Glyph], size: (f32, f32)) -> PageText {
    let mut lines = Vec::new();
    for angle in angles(glyphs) {
        let frame = Frame::of(angle);
        let placed: Vec<Placed<'_>> = glyphs
            .iter()
            .filter(|glyph| glyph.angle == angle)
            .map(|glyph| place(glyph, frame))
            .collect();
        let rows = rows(&placed).iter().map(words).collect();
        lines.extend(read_lines(&reading_order(rows), frame, size));
    }
    compose(&lines)
}

fn place(glyph: &Glyph, frame: Frame) -> Placed<'_> {
    let (u0, v) = frame.point_in(glyph.x, glyph.y);
    Placed {
        glyph,
        u0,
        u1: u0 + glyph.advance,
        v,
    }
}

/// The directions of text on the page, the most frequent first: side notes and watermarks come after the text.
fn angles(glyphs: &[Glyph]) -> Vec<Angle> {
    let mut counts: Vec<(Angle, usize)> = Vec::new();
    for glyph in glyphs.iter().filter(|glyph| !glyph.text.is_space()) {
        match counts.iter_mut().find(|(angle, _)| *angle == glyph.angle) {
            Some((_, count)) => *count += 1,
            None => counts.push((glyph.angle, 1)),
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts.into_iter().map(|(angle, _)| angle).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{glyph, line};
    use super::*;

    const PAGE: (f32, f32) = (600.0, 800.0);

    #[test]
    fn words_lines_and_paragraphs_come_out_of_glyphs() {
        let mut glyphs = line("the second line", 50.0, 112.0, 10.0);
        glyphs.extend(line("the first line", 50.0, 100.0, 10.0));
        assert_eq!(
            text_of(&glyphs, PAGE).text,
            "the first line\nthe second line"
        );
    }

    #[test]
    fn text_in_another_direction_comes_after_the_text_of_the_page() {
        let up = |text: &str, y: f32| Glyph {
            angle: Angle::of(0.0, -1.0),
            ..glyph(text, 20.0, y, 10.0)
        };
        let mut glyphs = vec![up("u", 300.0), up("p", 295.0)];
        glyphs.extend(line("horizontal text", 50.0, 100.0, 10.0));
        let page = text_of(&glyphs, PAGE);
        assert_eq!(page.text, "horizontal text\n\nup");
        let [x0, y0, x1, y1] = page.lines[1].bbox;
        assert!(
            x0 > 10.0 && x1 < 30.0 && y0 > 285.0 && y1 < 305.0,
            "{:?}",
            page.lines[1]
        );
    }

    #[test]
    fn a_page_without_glyphs_has_no_text() {
        assert_eq!(text_of(&[], PAGE), PageText::default());
    }
}
