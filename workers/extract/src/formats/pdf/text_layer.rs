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
use super::tables::take_tables;
use super::words::words;

/// What became of the interpretation of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Read to its end.
    Complete,
    /// Read to its end, but there is content that could not be decoded.
    Unreadable,
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
        Ok(()) if is_unreadable(page) => Outcome::Unreadable,
        Ok(()) => Outcome::Complete,
        Err(payload) if payload.is::<OverBudget>() => Outcome::OverBudget,
        Err(_) => Outcome::Panicked,
    };
    (device.into_content(), outcome)
}

const CONTENTS: &[u8] = b"Contents";

fn content_streams<'a>(page: &Page<'a>) -> Vec<Stream<'a>> {
    if let Some(stream) = page.raw().get::<Stream<'a>>(CONTENTS) {
        return vec![stream];
    }
    page.raw()
        .get::<Array<'a>>(CONTENTS)
        .map(|array| array.iter::<Stream<'a>>().collect())
        .unwrap_or_default()
}

/// Whether a content stream of the page is larger than any that is meant to be read.
fn has_content_bomb(page: &Page<'_>) -> bool {
    content_streams(page).iter().any(|stream| {
        let filters = stream.filters();
        filters.iter().all(|filter| *filter == Filter::FlateDecode)
            && inflates_beyond(&stream.raw_data(), filters.len(), MAX_CONTENT_BYTES)
    })
}

/// Whether the page names content, but none of it can be decoded.
pub(super) fn is_unreadable(page: &Page<'_>) -> bool {
    if !page.raw().contains_key(CONTENTS) || has_content_bomb(page) {
        return false;
    }
    let is_nothing = page
        .page_stream()
        .is_none_or(|content| content.trim_ascii().is_empty());
    // A blank page has content that decodes to nothing, or names an empty list.
    let is_blank = || {
        let streams = content_streams(page);
        streams.iter().all(|stream| stream.decoded_data().is_ok())
            && (!streams.is_empty() || page.raw().get::<Array<'_>>(CONTENTS).is_some())
    };
    is_nothing && !is_blank()
}

/// The text that `content` makes on a page of `size` points, in reading order, with its tables; with the places of words if wanted.
pub(super) fn text_of(content: &PageContent, size: (f32, f32), word_boxes: bool) -> PageText {
    let (mut lines, mut tables) = (Vec::new(), Vec::new());
    for angle in angles(&content.glyphs) {
        let frame = Frame::of(angle);
        let placed: Vec<Placed<'_>> = content
            .glyphs
            .iter()
            .filter(|glyph| glyph.angle == angle)
            .map(|glyph| place(glyph, frame))
            .collect();
        let mut rows = rows(&placed).iter().map(words).collect();
        let rulings = content.rulings.in_frame(frame);
        tables.extend(take_tables(&mut rows, &rulings, frame, tables.len()));
        lines.extend(read_lines(&reading_order(rows), frame, size, word_boxes));
    }
    compose(&lines, tables)
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

    fn read(glyphs: Vec<Glyph>) -> PageText {
        let content = PageContent {
            glyphs,
            ..PageContent::default()
        };
        text_of(&content, (600.0, 800.0), false)
    }

    #[test]
    fn words_lines_and_paragraphs_come_out_of_glyphs() {
        let mut glyphs = line("the second line", 50.0, 112.0, 10.0);
        glyphs.extend(line("the first line", 50.0, 100.0, 10.0));
        assert_eq!(read(glyphs).text, "the first line\nthe second line");
    }

    #[test]
    fn text_in_another_direction_comes_after_the_text_of_the_page() {
        let up = |text: &str, y: f32| Glyph {
            angle: Angle::of(0.0, -1.0),
            ..glyph(text, 20.0, y, 10.0)
        };
        let mut glyphs = vec![up("u", 300.0), up("p", 295.0)];
        glyphs.extend(line("horizontal text", 50.0, 100.0, 10.0));
        let page = read(glyphs);
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
        assert_eq!(read(vec![]), PageText::default());
    }
}
