//! Gutters: white space that runs down the page between columns.
//!
//! Every gap between two words is followed up and down as far as no row crosses it. Of all gutters found that way the longest is
//! taken whose sides are columns; what decides that is in [`super::columns`].

use std::ops::Range;

use super::columns::{Side, are_columns};
use super::order::{Line, median};
use super::words::Word;

/// Most rows and words of a region that is searched; the search takes time by the product of both.
const MAX_ROWS: usize = 3_000;
const MAX_WORDS: usize = 30_000;

/// Least width of a gutter, as a share of the font size. TeX sets columns one font size apart.
const GUTTER_WIDTH: f32 = 0.8;

/// Fewest rows that a gutter runs along.
const GUTTER_ROWS: usize = 2;

/// White space from `u0` to `u1` along `rows`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gutter {
    u0: f32,
    u1: f32,
    /// The rows that it runs along.
    pub(super) rows: Range<usize>,
}

impl Gutter {
    fn width(&self) -> f32 {
        self.u1 - self.u0
    }

    /// The words of a row on its left and on its right.
    pub(super) fn split<'r>(&self, row: &'r [Word]) -> (&'r [Word], &'r [Word]) {
        row.split_at(self.words_before(row))
    }

    /// The same, taking the row apart.
    pub(super) fn split_owned(&self, mut row: Line) -> (Line, Line) {
        let right = row.split_off(self.words_before(&row));
        (row, right)
    }

    fn words_before(&self, row: &[Word]) -> usize {
        let middle = self.middle();
        row.iter().take_while(|word| word.u0 < middle).count()
    }

    fn middle(&self) -> f32 {
        f32::midpoint(self.u0, self.u1)
    }
}

/// The gutter with the most text on both sides that separates columns.
pub(super) fn best_gutter(rows: &[Line]) -> Option<Gutter> {
    let rows: Vec<&[Word]> = rows.iter().map(Vec::as_slice).collect();
    best_gutter_within(&rows, 0)
}

/// The same among rows of which only a part is looked at, `depth` cuts below the page.
pub(super) fn best_gutter_within(rows: &[&[Word]], depth: usize) -> Option<Gutter> {
    let words: usize = rows.iter().map(|row| row.len()).sum();
    if !(GUTTER_ROWS..=MAX_ROWS).contains(&rows.len()) || words > MAX_WORDS {
        return None;
    }
    let least_width = GUTTER_WIDTH * median_size(rows);
    let mut gutters = candidates(rows, least_width);
    gutters.sort_by(|a, b| {
        b.rows
            .len()
            .cmp(&a.rows.len())
            .then(b.width().total_cmp(&a.width()))
    });
    gutters.into_iter().find_map(|gutter| {
        let gutter = trimmed(rows, gutter)?;
        let band = &rows[gutter.rows.clone()];
        let left: Vec<&[Word]> = band.iter().map(|row| gutter.split(row).0).collect();
        let right: Vec<&[Word]> = band.iter().map(|row| gutter.split(row).1).collect();
        let (left, right) = (Side::new(left, depth), Side::new(right, depth));
        are_columns(&left, &right, gutter.width()).then_some(gutter)
    })
}

/// Every gap of a row or between the rows of two columns, followed up and down as far as no row crosses it.
fn candidates(rows: &[&[Word]], least_width: f32) -> Vec<Gutter> {
    let mut gutters: Vec<Gutter> = Vec::new();
    for index in 0..rows.len() {
        for (u0, u1) in gaps(rows, index) {
            let known = |gutter: &Gutter| {
                gutter.rows.contains(&index) && gutter.u0 >= u0 && gutter.u1 <= u1
            };
            if u1 - u0 < least_width || gutters.iter().any(known) {
                continue;
            }
            let gutter = grown(
                rows,
                Gutter {
                    u0,
                    u1,
                    rows: index..index + 1,
                },
                least_width,
            );
            if gutter.rows.len() >= GUTTER_ROWS {
                gutters.push(gutter);
            }
        }
    }
    gutters
}

/// White space inside a row, and beside it when the next row stands wholly on the other side of that space.
fn gaps(rows: &[&[Word]], index: usize) -> impl Iterator<Item = (f32, f32)> {
    let row = rows[index];
    let inside = row.windows(2).map(|pair| (pair[0].u1, pair[1].u0));
    let beside = rows.get(index + 1).and_then(|next| {
        let (end, next_end) = (row[row.len() - 1].u1, next[next.len() - 1].u1);
        match () {
            () if end < next[0].u0 => Some((end, next[0].u0)),
            () if next_end < row[0].u0 => Some((next_end, row[0].u0)),
            () => None,
        }
    });
    inside.chain(beside)
}

fn grown(rows: &[&[Word]], mut gutter: Gutter, least_width: f32) -> Gutter {
    while let Some(row) = rows.get(gutter.rows.end)
        && let Some((u0, u1)) = narrowed(row, &gutter, least_width)
    {
        (gutter.u0, gutter.u1, gutter.rows.end) = (u0, u1, gutter.rows.end + 1);
    }
    while gutter.rows.start > 0
        && let Some((u0, u1)) = narrowed(rows[gutter.rows.start - 1], &gutter, least_width)
    {
        (gutter.u0, gutter.u1, gutter.rows.start) = (u0, u1, gutter.rows.start - 1);
    }
    gutter
}

/// What is left of the gutter beside the words of one more row.
fn narrowed(row: &[Word], gutter: &Gutter, least_width: f32) -> Option<(f32, f32)> {
    let (mut best, mut u0) = (None, gutter.u0);
    let mut consider = |u0: f32, u1: f32| {
        let widest = best.is_none_or(|(start, end): (f32, f32)| u1 - u0 > end - start);
        if u1 - u0 >= least_width && widest {
            best = Some((u0, u1));
        }
    };
    for word in row
        .iter()
        .filter(|word| word.u1 > gutter.u0 && word.u0 < gutter.u1)
    {
        consider(u0, word.u0);
        u0 = u0.max(word.u1);
    }
    consider(u0, gutter.u1);
    best
}

/// The gutter without a row or two at its ends that have text on one side only and stand apart: headings, page headers and footers.
fn trimmed(rows: &[&[Word]], mut gutter: Gutter) -> Option<Gutter> {
    /// Rows further apart than this many line distances are apart.
    const APART: f32 = 1.9;
    /// More rows than this are text of the column.
    const MOST_ROWS: usize = 2;
    let band = &rows[gutter.rows.clone()];
    let apart = APART * column_pitch(band, &gutter);
    let one_sided = |row: &&[Word]| {
        let (left, right) = gutter.split(row);
        left.is_empty() || right.is_empty()
    };
    let is_apart = |pair: &[&[Word]]| pair[1][0].v - pair[0][0].v > apart;
    let top = (1..=MOST_ROWS.min(band.len() - 1))
        .filter(|&count| band[..count].iter().all(one_sided) && is_apart(&band[count - 1..=count]))
        .max();
    let bottom = (1..=MOST_ROWS.min(band.len() - 1))
        .filter(|&count| {
            let cut = band.len() - count;
            band[cut..].iter().all(one_sided) && is_apart(&band[cut - 1..=cut])
        })
        .max();
    gutter.rows.start += top.unwrap_or(0);
    gutter.rows.end -= bottom.unwrap_or(0);
    (gutter.rows.len() >= GUTTER_ROWS).then_some(gutter)
}

/// The usual distance between baselines in the looser of the two columns. Over both, it would be too small where they do not share
/// baselines.
fn column_pitch(band: &[&[Word]], gutter: &Gutter) -> f32 {
    let pitch = |is_left: bool| {
        let side = |row: &&&[Word]| {
            let (left, right) = gutter.split(row);
            !(if is_left { left } else { right }).is_empty()
        };
        let baselines: Vec<f32> = band.iter().filter(side).map(|row| row[0].v).collect();
        median(baselines.windows(2).map(|pair| pair[1] - pair[0]).collect())
    };
    pitch(true).max(pitch(false))
}

fn median_size(rows: &[&[Word]]) -> f32 {
    median(
        rows.iter()
            .copied()
            .flatten()
            .map(|word| word.size)
            .collect(),
    )
}
