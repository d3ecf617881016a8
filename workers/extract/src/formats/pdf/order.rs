//! Reading order: a recursive cut of the page into columns and bands of rows.
//!
//! A cut down the page is made where a gutter (white from top to bottom of a stretch of rows) separates text that reads on its own
//! side. Rows of a table have gutters too, but must stay rows, so a gutter counts only when its sides look like running text or keep
//! to baselines of their own ([`super::columns`]). Everything that is not cut is read row by row, from top to bottom.

use super::bidi::is_mostly_right_to_left;
use super::columns::{Side, are_columns, cell_groups};
use super::words::Word;

/// The words of one baseline, from left to right.
pub(super) type Line = Vec<Word>;

/// Lines that are read one after the other.
pub(super) type Block = Vec<Line>;

/// Deepest nesting of columns in columns.
const MAX_DEPTH: usize = 6;

/// Most rows of a region that is searched for columns; the search takes time by the square of the rows.
const MAX_ROWS: usize = 3_000;

/// Least width of a gutter, as a share of the font size. TeX sets columns one font size apart.
const GUTTER_WIDTH: f32 = 0.8;

/// Fewest rows that a gutter runs along.
const GUTTER_ROWS: usize = 2;

/// Puts the rows of a page (top to bottom) into reading order.
pub(super) fn reading_order(rows: Vec<Line>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let rows: Vec<Line> = rows.into_iter().filter(|row| !row.is_empty()).collect();
    order(rows, 0, &mut blocks);
    blocks
}

fn order(rows: Vec<Line>, depth: usize, blocks: &mut Vec<Block>) {
    if rows.is_empty() {
        return;
    }
    if depth >= MAX_DEPTH || rows.len() < GUTTER_ROWS || rows.len() > MAX_ROWS {
        blocks.push(rows);
        return;
    }
    let Some(gutter) = best_gutter(&rows) else {
        blocks.push(rows);
        return;
    };
    let mut above = rows;
    let below = above.split_off(gutter.rows.end);
    let band = above.split_off(gutter.rows.start);
    order(above, depth + 1, blocks);
    order_band(band, &gutter, depth, blocks);
    order(below, depth + 1, blocks);
}

/// Reads the columns of a band one after the other; a table of text cells row by row, each cell as a whole.
fn order_band(band: Vec<Line>, gutter: &Gutter, depth: usize, blocks: &mut Vec<Block>) {
    let right_to_left = is_mostly_right_to_left(&letters(&band));
    let groups =
        cell_groups(&band, |row| split_row(row, gutter)).unwrap_or_else(|| vec![0..band.len()]);
    let mut rows = band.into_iter();
    for group in groups {
        let (left, right): (Vec<Line>, Vec<Line>) = rows
            .by_ref()
            .take(group.len())
            .map(|row| split_owned(row, gutter))
            .unzip();
        let (first, second) = if right_to_left {
            (right, left)
        } else {
            (left, right)
        };
        for column in [first, second] {
            order(
                column.into_iter().filter(|row| !row.is_empty()).collect(),
                depth + 1,
                blocks,
            );
        }
    }
}

fn letters(rows: &[Line]) -> String {
    rows.iter()
        .flatten()
        .flat_map(|word| word.text.chars())
        .collect()
}

/// White space from `u0` to `u1` along `rows`.
#[derive(Clone, Debug, PartialEq)]
struct Gutter {
    u0: f32,
    u1: f32,
    rows: std::ops::Range<usize>,
}

impl Gutter {
    fn width(&self) -> f32 {
        self.u1 - self.u0
    }

    fn middle(&self) -> f32 {
        f32::midpoint(self.u0, self.u1)
    }
}

fn split_row<'r>(row: &'r [Word], gutter: &Gutter) -> (&'r [Word], &'r [Word]) {
    let middle = gutter.middle();
    row.split_at(row.iter().take_while(|word| word.u0 < middle).count())
}

fn split_owned(mut row: Line, gutter: &Gutter) -> (Line, Line) {
    let count = split_row(&row, gutter).0.len();
    let right = row.split_off(count);
    (row, right)
}

/// The gutter with the most text on both sides that separates columns.
fn best_gutter(rows: &[Line]) -> Option<Gutter> {
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
        let left: Vec<&[Word]> = band.iter().map(|row| split_row(row, &gutter).0).collect();
        let right: Vec<&[Word]> = band.iter().map(|row| split_row(row, &gutter).1).collect();
        are_columns(&Side::new(left), &Side::new(right), gutter.width()).then_some(gutter)
    })
}

/// Every gap of a row or between the rows of two columns, followed up and down as far as no row crosses it.
fn candidates(rows: &[Line], least_width: f32) -> Vec<Gutter> {
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
fn gaps(rows: &[Line], index: usize) -> impl Iterator<Item = (f32, f32)> {
    let row = &rows[index];
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

fn grown(rows: &[Line], mut gutter: Gutter, least_width: f32) -> Gutter {
    while let Some(row) = rows.get(gutter.rows.end)
        && let Some((u0, u1)) = narrowed(row, &gutter, least_width)
    {
        (gutter.u0, gutter.u1, gutter.rows.end) = (u0, u1, gutter.rows.end + 1);
    }
    while gutter.rows.start > 0
        && let Some((u0, u1)) = narrowed(&rows[gutter.rows.start - 1], &gutter, least_width)
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
fn trimmed(rows: &[Line], mut gutter: Gutter) -> Option<Gutter> {
    /// Rows further apart than this many line distances are apart.
    const APART: f32 = 1.9;
    /// More rows than this are text of the column.
    const MOST_ROWS: usize = 2;
    let band = &rows[gutter.rows.clone()];
    let apart = APART * column_pitch(band, &gutter);
    let one_sided = |row: &Line| {
        let (left, right) = split_row(row, &gutter);
        left.is_empty() || right.is_empty()
    };
    let is_apart = |pair: &[Line]| pair[1][0].v - pair[0][0].v > apart;
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
fn column_pitch(band: &[Line], gutter: &Gutter) -> f32 {
    let pitch = |is_left: bool| {
        let side = |row: &&Line| {
            let (left, right) = split_row(row, gutter);
            !(if is_left { left } else { right }).is_empty()
        };
        let baselines: Vec<f32> = band.iter().filter(side).map(|row| row[0].v).collect();
        median(baselines.windows(2).map(|pair| pair[1] - pair[0]).collect())
    };
    pitch(true).max(pitch(false))
}

/// The usual distance between baselines.
pub(super) fn median_pitch(rows: &[Line]) -> f32 {
    median(
        rows.windows(2)
            .map(|pair| pair[1][0].v - pair[0][0].v)
            .collect(),
    )
}

fn median_size(rows: &[Line]) -> f32 {
    median(rows.iter().flatten().map(|word| word.size).collect())
}

/// The middle value; 0 of nothing.
pub(super) fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::super::testing::words;
    use super::*;

    const SIZE: f32 = 10.0;
    const PITCH: f32 = 12.0;

    fn row(cells: &[(&str, f32)], y: f32) -> Line {
        cells
            .iter()
            .filter(|(text, _)| !text.is_empty())
            .flat_map(|(text, x)| words(text, *x, y, SIZE))
            .collect()
    }

    fn page(lines: &[&[(&str, f32)]]) -> Vec<Line> {
        lines
            .iter()
            .enumerate()
            .map(|(index, cells)| row(cells, 100.0 + PITCH * index as f32))
            .collect()
    }

    fn read(rows: Vec<Line>) -> Vec<String> {
        let text = |line: &Line| {
            line.iter()
                .map(|word| word.text.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        reading_order(rows).iter().flatten().map(text).collect()
    }

    const LEFT: [&str; 4] = [
        "the harbour was quiet that",
        "morning and only one boat",
        "had gone out before the",
        "wind turned to the north",
    ];
    const RIGHT: [&str; 4] = [
        "nobody had counted the",
        "barrels in the long shed",
        "since the end of the war",
        "and nobody wanted to now",
    ];

    #[test]
    fn columns_on_common_baselines_are_read_one_after_the_other() {
        let rows = (0..4)
            .map(|n| {
                row(
                    &[(LEFT[n], 50.0), (RIGHT[n], 250.0)],
                    100.0 + PITCH * n as f32,
                )
            })
            .collect();
        assert_eq!(read(rows), [LEFT, RIGHT].concat());
    }

    #[test]
    fn a_title_across_both_columns_comes_first() {
        let mut rows = vec![row(
            &[("A long title that runs across both of the columns", 60.0)],
            80.0,
        )];
        rows.extend((0..4).map(|n| {
            row(
                &[(LEFT[n], 50.0), (RIGHT[n], 250.0)],
                100.0 + PITCH * n as f32,
            )
        }));
        let read = read(rows);
        assert!(read[0].starts_with("A long title"));
        assert_eq!(read[1..], [LEFT, RIGHT].concat());
    }

    #[test]
    fn columns_on_baselines_of_their_own_are_columns() {
        let mut rows: Vec<Line> = Vec::new();
        for n in 0..4 {
            rows.push(row(&[(LEFT[n], 50.0)], 100.0 + PITCH * n as f32));
            rows.push(row(&[(RIGHT[n], 250.0)], 106.0 + PITCH * n as f32));
        }
        assert_eq!(read(rows), [LEFT, RIGHT].concat());
    }

    #[test]
    fn rows_of_a_table_stay_rows() {
        let rows = page(&[
            &[
                ("Item", 50.0),
                ("Region", 150.0),
                ("Qty", 220.0),
                ("Price", 280.0),
            ],
            &[
                ("valve-44", 50.0),
                ("West", 150.0),
                ("810", 220.0),
                ("49.17", 280.0),
            ],
            &[
                ("audit-29", 50.0),
                ("North", 150.0),
                ("116", 220.0),
                ("74.74", 280.0),
            ],
            &[
                ("invoice-83", 50.0),
                ("East", 150.0),
                ("513", 220.0),
                ("27.08", 280.0),
            ],
            &[
                ("glacier-86", 50.0),
                ("East", 150.0),
                ("39", 220.0),
                ("4.88", 280.0),
            ],
        ]);
        assert_eq!(read(rows)[1], "valve-44 West 810 49.17");
    }

    #[test]
    fn a_shorter_last_column_changes_nothing() {
        let mut rows: Vec<Line> = (0..4)
            .map(|n| {
                row(
                    &[(LEFT[n], 50.0), (if n < 3 { RIGHT[n] } else { "" }, 250.0)],
                    100.0 + PITCH * n as f32,
                )
            })
            .collect();
        rows.push(row(&[("and stayed there", 50.0)], 148.0));
        let read = read(rows);
        assert_eq!(read[..5], [&LEFT[..], &["and stayed there"]].concat());
        assert_eq!(read[5..], RIGHT[..3]);
    }

    #[test]
    fn plain_paragraphs_are_read_from_top_to_bottom() {
        let rows = page(&[
            &[("first line of a paragraph", 50.0)],
            &[("second line", 50.0)],
            &[("third line of it", 50.0)],
        ]);
        assert_eq!(
            read(rows),
            [
                "first line of a paragraph",
                "second line",
                "third line of it"
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn every_word_is_read_exactly_once(cells in proptest::collection::vec((0u32..40, 0u32..30, 1usize..12), 0..60)) {
            let mut rows: std::collections::BTreeMap<u32, Line> = std::collections::BTreeMap::new();
            for (index, (x, y, letters)) in cells.iter().enumerate() {
                let text = format!("{index}{}", "x".repeat(*letters));
                rows.entry(*y).or_default().extend(words(&text, *x as f32 * 14.0, *y as f32 * PITCH, SIZE));
            }
            let mut rows: Vec<Line> = rows.into_values().collect();
            rows.iter_mut().for_each(|row| row.sort_by(|a, b| a.u0.total_cmp(&b.u0)));
            let mut before: Vec<String> = rows.iter().flatten().map(|word| word.text.clone()).collect();
            let mut after: Vec<String> = reading_order(rows).into_iter().flatten().flatten().map(|word| word.text).collect();
            before.sort();
            after.sort();
            proptest::prop_assert_eq!(before, after);
        }
    }
}
