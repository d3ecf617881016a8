//! Reading order: a recursive cut of the page into columns and bands of rows.
//!
//! A cut down the page is made where a gutter ([`super::gutters`]) separates text that reads on its own side. Rows of a table have
//! gutters too, but must stay rows, so a gutter counts only when its sides look like running text or keep to baselines of their own.
//! Everything that is not cut is read row by row, from top to bottom.

use super::bidi::is_mostly_right_to_left;
use super::columns::cell_groups;
use super::gutters::{Gutter, best_gutter};
use super::words::Word;

/// The words of one baseline, from left to right.
pub(super) type Line = Vec<Word>;

/// Lines that are read one after the other.
pub(super) type Block = Vec<Line>;

/// What cutting may cost in all: bands above each other are many and cheap, columns inside columns are few.
const CUT_BUDGET: usize = 64;
const BAND_COST: usize = 1;
const COLUMN_COST: usize = 10;

/// Puts the rows of a page (top to bottom) into reading order.
pub(super) fn reading_order(rows: Vec<Line>) -> Vec<Block> {
    let mut blocks = Vec::new();
    let rows: Vec<Line> = rows.into_iter().filter(|row| !row.is_empty()).collect();
    order(rows, CUT_BUDGET, &mut blocks);
    blocks
}

fn order(rows: Vec<Line>, budget: usize, blocks: &mut Vec<Block>) {
    if rows.is_empty() {
        return;
    }
    let Some(gutter) = best_gutter(&rows).filter(|_| budget >= COLUMN_COST) else {
        blocks.push(rows);
        return;
    };
    let mut above = rows;
    let below = above.split_off(gutter.rows.end);
    let band = above.split_off(gutter.rows.start);
    order(above, budget - BAND_COST, blocks);
    order_band(band, &gutter, budget - COLUMN_COST, blocks);
    order(below, budget - BAND_COST, blocks);
}

/// Reads the columns of a band one after the other; a table of text cells row by row, each cell as a whole.
fn order_band(band: Vec<Line>, gutter: &Gutter, budget: usize, blocks: &mut Vec<Block>) {
    let right_to_left = is_mostly_right_to_left(&letters(&band));
    let whole = 0..band.len();
    let groups = cell_groups(&band, |row| gutter.split(row)).unwrap_or_else(|| Vec::from([whole]));
    let mut rows = band.into_iter();
    for group in groups {
        let cells = rows
            .by_ref()
            .take(group.len())
            .map(|row| gutter.split_owned(row));
        let (left, right): (Vec<Line>, Vec<Line>) = cells.unzip();
        let (first, second) = if right_to_left {
            (right, left)
        } else {
            (left, right)
        };
        for column in [first, second] {
            let lines = column.into_iter().filter(|row| !row.is_empty()).collect();
            order(lines, budget, blocks);
        }
    }
}

fn letters(rows: &[Line]) -> String {
    rows.iter()
        .flatten()
        .flat_map(|word| word.text.chars())
        .collect()
}

/// The usual distance between baselines.
pub(super) fn median_pitch(rows: &[Line]) -> f32 {
    median(
        rows.windows(2)
            .map(|pair| pair[1][0].v - pair[0][0].v)
            .collect(),
    )
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
    fn three_columns_are_read_one_after_the_other() {
        const THIRD: [&str; 4] = [
            "every letter that came in",
            "was entered in the ledger",
            "before noon and answered",
            "on the day it had arrived",
        ];
        let rows = (0..4)
            .map(|n| {
                let cells = [(LEFT[n], 50.0), (RIGHT[n], 210.0), (THIRD[n], 370.0)];
                row(&cells, 100.0 + PITCH * n as f32)
            })
            .collect();
        assert_eq!(read(rows), [LEFT, RIGHT, THIRD].concat());
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
            for row in &mut rows {
                row.sort_by(|a, b| a.u0.total_cmp(&b.u0));
            }
            let mut before: Vec<String> = rows.iter().flatten().map(|word| word.text.clone()).collect();
            let mut after: Vec<String> = reading_order(rows).into_iter().flatten().flatten().map(|word| word.text).collect();
            before.sort();
            after.sort();
            proptest::prop_assert_eq!(before, after);
        }
    }
}
