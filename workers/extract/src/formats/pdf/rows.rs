//! From glyphs to rows: everything that stands on one baseline, across the whole page.
//!
//! Glyphs are first strung together in the order in which they are drawn (a [`Run`]: one font size, one baseline, moving forward),
//! because that order is nearly always right within a word. Runs are then gathered by baseline. Superscripts and subscripts join the
//! row that they lean on. Columns are not known here: a row may hold the lines of several.

use unicode_normalization::char::is_combining_mark;

use super::clusters::combining_form;
use super::glyph::Glyph;

/// A glyph in the frame of its text: `u` along the baseline, `v` down the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'g> {
    pub(super) glyph: &'g Glyph,
    pub(super) u0: f32,
    pub(super) u1: f32,
    pub(super) v: f32,
}

/// The glyphs of one baseline, from left to right.
#[derive(Debug)]
pub(super) struct Row<'g> {
    /// The baseline.
    pub(super) v: f32,
    /// Sorted by `u0`.
    pub(super) glyphs: Vec<Placed<'g>>,
}

/// Gathers `glyphs` (in drawing order) into rows, top to bottom.
pub(super) fn rows<'g>(glyphs: &[Placed<'g>]) -> Vec<Row<'g>> {
    let mut runs = runs(glyphs);
    runs.sort_by(|a, b| a.v.total_cmp(&b.v));
    let mut bands = gather(&runs, glyphs);
    attach_scripts(&mut bands, &runs);
    bands.retain(|band| !band.runs.is_empty());
    bands.iter().map(|band| band.row(&runs, glyphs)).collect()
}

/// Glyphs that are drawn one after the other on one baseline.
#[derive(Debug)]
struct Run {
    first: usize,
    count: usize,
    u0: f32,
    u1: f32,
    v: f32,
    size: f32,
    /// Whether it consists of accents and vowel signs, which are drawn over other letters.
    is_marks: bool,
}

fn runs(glyphs: &[Placed<'_>]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, glyph) in glyphs.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if continues(run, glyph) => {
                run.count += 1;
                run.u0 = run.u0.min(glyph.u0);
                run.u1 = run.u1.max(glyph.u1);
                run.is_marks &= is_mark(glyph);
            }
            _ => runs.push(Run {
                first: index,
                count: 1,
                u0: glyph.u0,
                u1: glyph.u1,
                v: glyph.v,
                size: glyph.glyph.size,
                is_marks: is_mark(glyph),
            }),
        }
    }
    runs
}

fn is_mark(glyph: &Placed<'_>) -> bool {
    let text = glyph.glyph.text.single();
    text.is_some_and(|c| is_combining_mark(c) || combining_form(c).is_some())
}

fn continues(run: &Run, glyph: &Placed<'_>) -> bool {
    /// Baselines closer than this share of the font size are one.
    const SAME_BASELINE: f32 = 0.1;
    let size = glyph.glyph.size;
    let gap = glyph.u0 - run.u1;
    (size - run.size).abs() <= 0.05 * run.size
        && (glyph.v - run.v).abs() <= SAME_BASELINE * size
        && gap > -0.5 * size
        && gap < 0.6 * size
}

/// Runs on one baseline, as indices.
struct Band {
    v: f32,
    size: f32,
    runs: Vec<usize>,
}

fn gather(runs: &[Run], glyphs: &[Placed<'_>]) -> Vec<Band> {
    /// Rows of columns that are set on slightly different baselines must not be drawn together by a row between them, so the
    /// distance is taken from the first run of a row, not from the last.
    const ROW_HEIGHT: f32 = 0.22;
    /// Runs are sorted by baseline, so only the last few bands can still grow.
    const OPEN_BANDS: usize = 8;
    let mut bands: Vec<Band> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let open = bands.len().saturating_sub(OPEN_BANDS);
        let near = bands[open..].iter_mut().rev().find(|band| {
            let small = band.size.min(run.size);
            (run.v - band.v).abs() <= ROW_HEIGHT * small
                && run.size < 2.5 * band.size
                && band.size < 2.5 * run.size
        });
        match near {
            Some(band) => band.runs.push(index),
            None => bands.push(Band {
                v: run.v,
                size: run.size,
                runs: vec![index],
            }),
        }
    }
    for band in &mut bands {
        band.size = common_size(band, runs, glyphs);
    }
    bands
}

/// The font size of most characters of a band.
fn common_size(band: &Band, runs: &[Run], glyphs: &[Placed<'_>]) -> f32 {
    let mut sizes: Vec<(f32, usize)> = Vec::new();
    for run in band.runs.iter().map(|&index| &runs[index]) {
        let ink = glyphs[run.first..run.first + run.count]
            .iter()
            .filter(|glyph| !glyph.glyph.text.is_space())
            .count();
        match sizes
            .iter_mut()
            .find(|(size, _)| (*size - run.size).abs() <= 0.05 * run.size)
        {
            Some((_, count)) => *count += ink,
            None => sizes.push((run.size, ink)),
        }
    }
    sizes
        .into_iter()
        .max_by_key(|(_, count)| *count)
        .map_or(band.size, |(size, _)| size)
}

/// Moves small runs to the row that they are raised or lowered from.
fn attach_scripts(bands: &mut [Band], runs: &[Run]) {
    /// Rows this many places away can still be the base: columns put rows of other columns between.
    const REACH: usize = 4;
    for index in 0..bands.len() {
        let reach = index.saturating_sub(REACH)..(index + REACH + 1).min(bands.len());
        let mut kept = Vec::new();
        for run_index in std::mem::take(&mut bands[index].runs) {
            let run = &runs[run_index];
            let base = reach
                .clone()
                .filter(|&other| other != index)
                .find(|&other| leans_on(run, &bands[other], runs));
            match base {
                Some(base) => bands[base].runs.push(run_index),
                None => kept.push(run_index),
            }
        }
        bands[index].runs.append(&mut kept);
    }
}

fn leans_on(run: &Run, band: &Band, runs: &[Run]) -> bool {
    let rise = band.v - run.v;
    let bases = || {
        band.runs
            .iter()
            .map(|&index| &runs[index])
            .filter(|base| !base.is_marks)
    };
    if run.is_marks && rise.abs() < 0.9 * band.size {
        return bases().any(|base| run.u0 < base.u1 && run.u1 > base.u0);
    }
    // A superscript starts at most 0.7 of the base size above the baseline, a subscript at most 0.35 below.
    let is_script = run.size < 0.85 * band.size
        && run.size > 0.4 * band.size
        && rise < 0.7 * band.size
        && rise > -0.35 * band.size;
    is_script
        && bases().any(|base| {
            let gap = (run.u0 - base.u1).max(base.u0 - run.u1);
            base.size > run.size / 0.85 && gap < 0.25 * base.size && gap > -0.3 * run.size
        })
}

impl Band {
    fn row<'g>(&self, runs: &[Run], glyphs: &[Placed<'g>]) -> Row<'g> {
        let mut row: Vec<(f32, Placed<'g>)> = Vec::new();
        for run in self.runs.iter().map(|&index| &runs[index]) {
            let mut base: Option<Placed<'g>> = None;
            for glyph in &glyphs[run.first..][..run.count] {
                if let Some(base) = base.filter(|base| follows_its_letter(glyph, base)) {
                    row.push((base.u0, *glyph));
                } else {
                    row.push((glyph.u0, *glyph));
                    base = Some(*glyph);
                }
            }
        }
        // Stable: glyphs in the same place (a letter and its accent) stay in drawing order.
        row.sort_by(|a, b| a.0.total_cmp(&b.0));
        Row {
            v: self.v,
            glyphs: row.into_iter().map(|(_, glyph)| glyph).collect(),
        }
    }
}

/// Whether a mark belongs to the letter drawn before it, wherever its own origin is: in the scripts of India and its neighbours to the
/// east marks are drawn after their letter, from its far end.
fn follows_its_letter(glyph: &Placed<'_>, base: &Placed<'_>) -> bool {
    let is_such_mark = |c: char| {
        matches!(c, '\u{900}'..='\u{109F}' | '\u{1780}'..='\u{17FF}') && is_combining_mark(c)
    };
    let size = glyph.glyph.size;
    glyph.glyph.text.single().is_some_and(is_such_mark)
        && glyph.u0 > base.u0 - 0.1 * size
        && glyph.u0 < base.u1 + 0.3 * size
}

#[cfg(test)]
mod tests {
    use super::super::testing::{glyph, place};
    use super::*;

    fn texts(rows: &[Row<'_>]) -> Vec<String> {
        rows.iter()
            .map(|row| {
                let mut text = String::new();
                row.glyphs
                    .iter()
                    .for_each(|glyph| glyph.glyph.text.push_to(&mut text));
                text
            })
            .collect()
    }

    #[test]
    fn glyphs_drawn_in_any_order_become_rows_from_top_to_bottom() {
        let glyphs = [
            glyph("c", 10.0, 30.0, 10.0),
            glyph("b", 15.0, 20.0, 10.0),
            glyph("a", 10.0, 20.5, 10.0),
        ];
        assert_eq!(texts(&rows(&place(&glyphs))), ["ab", "c"]);
    }

    #[test]
    fn a_superscript_joins_the_row_it_is_raised_from() {
        let glyphs = [
            glyph("x", 10.0, 100.0, 10.0),
            glyph("2", 15.0, 96.0, 7.0),
            glyph("y", 19.0, 100.0, 10.0),
        ];
        assert_eq!(texts(&rows(&place(&glyphs))), ["x2y"]);
    }

    #[test]
    fn a_vowel_sign_drawn_above_a_line_joins_it() {
        let glyphs = [
            glyph("\u{64B}", 10.5, 96.0, 10.0),
            glyph("\u{627}", 10.0, 100.0, 10.0),
        ];
        assert_eq!(texts(&rows(&place(&glyphs))), ["\u{627}\u{64B}"]);
    }

    #[test]
    fn a_thai_mark_stays_with_the_letter_it_was_drawn_after() {
        let mark = Glyph {
            advance: 0.0,
            ..glyph("\u{E35}", 15.3, 100.0, 10.0)
        };
        let glyphs = [
            glyph("\u{E21}", 10.0, 100.0, 10.0),
            mark,
            glyph("\u{E2D}", 15.1, 100.0, 10.0),
        ];
        assert_eq!(texts(&rows(&place(&glyphs))), ["\u{E21}\u{E35}\u{E2D}"]);
    }

    #[test]
    fn small_print_between_two_lines_stays_a_row() {
        let glyphs = [
            glyph("a", 10.0, 100.0, 10.0),
            glyph("s", 60.0, 106.0, 6.0),
            glyph("b", 10.0, 112.0, 10.0),
        ];
        assert_eq!(texts(&rows(&place(&glyphs))), ["a", "s", "b"]);
    }

    #[test]
    fn huge_letters_do_not_swallow_the_lines_beside_them() {
        let glyphs = [glyph("W", 10.0, 100.0, 90.0), glyph("a", 20.0, 99.0, 10.0)];
        assert_eq!(rows(&place(&glyphs)).len(), 2);
    }
}
