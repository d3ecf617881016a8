//! The cells that rulings make.
//!
//! Rulings that touch each other belong together. Their places give the rows and columns of a grid; where a ruling is missing between
//! two places of the grid, they are one cell.

use super::geometry::Rect;
use super::rulings::{Ruling, Rulings};

/// Most rulings of a direction among which grids are looked for; comparing them takes time by the square.
const MAX_LINES: usize = 1_500;

/// Most places of one grid.
const MAX_PLACES: usize = 10_000;

/// Least distance of two borders, in points: nothing readable fits between closer ones.
const LEAST_CELL: f32 = 4.0;

/// A cell: the places of the grid that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Rows and columns, and the cells in them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// Edges of the columns from left to right, one more than there are columns.
    pub(super) us: Vec<f32>,
    /// Edges of the rows from top to bottom.
    pub(super) vs: Vec<f32>,
    /// The cells from top to bottom and from left to right; every place is covered by one.
    pub(super) cells: Vec<Span>,
}

impl Grid {
    /// The rectangle around it.
    pub(super) fn bounds(&self) -> Rect {
        Rect {
            x0: self.us[0],
            y0: self.vs[0],
            x1: self.us[self.us.len() - 1],
            y1: self.vs[self.vs.len() - 1],
        }
    }

    /// Columns.
    pub(super) fn columns(&self) -> usize {
        self.us.len() - 1
    }

    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.vs.len() - 1
    }

    /// The row and the column at a point, if it lies inside.
    pub(super) fn place(&self, u: f32, v: f32) -> Option<(usize, usize)> {
        let find = |edges: &[f32], at: f32| {
            let before = edges.partition_point(|edge| *edge <= at);
            (1..edges.len()).contains(&before).then(|| before - 1)
        };
        Some((find(&self.vs, v)?, find(&self.us, u)?))
    }
}

/// The grids that the rulings of a page make, from top to bottom.
pub(super) fn grids(rulings: &Rulings) -> Vec<Grid> {
    if rulings.across.len() > MAX_LINES || rulings.down.len() > MAX_LINES {
        return Vec::new();
    }
    let mut grids: Vec<Grid> = connected(rulings).iter().filter_map(grid).collect();
    grids.sort_by(|a, b| a.vs[0].total_cmp(&b.vs[0]));
    grids
}

/// The rulings, gathered by what they touch.
fn connected(rulings: &Rulings) -> Vec<Rulings> {
    let (across, down) = (&rulings.across, &rulings.down);
    let mut groups = Groups::new(across.len() + down.len());
    for (i, a) in across.iter().enumerate() {
        for (j, d) in down.iter().enumerate() {
            if a.covers(d.at) && d.covers(a.at) {
                groups.join(i, across.len() + j);
            }
        }
    }
    let mut gathered: Vec<Rulings> = vec![Rulings::default(); across.len() + down.len()];
    for (i, ruling) in across.iter().enumerate() {
        gathered[groups.of(i)].across.push(*ruling);
    }
    for (j, ruling) in down.iter().enumerate() {
        gathered[groups.of(across.len() + j)].down.push(*ruling);
    }
    gathered.retain(|group| group.across.len() >= 2 && group.down.len() >= 2);
    gathered
}

fn grid(rulings: &Rulings) -> Option<Grid> {
    let us = edges(&rulings.down);
    let vs = edges(&rulings.across);
    let places = us.len().saturating_sub(1) * vs.len().saturating_sub(1);
    if places == 0 || places > MAX_PLACES {
        return None;
    }
    let cells = cells(&us, &vs, rulings);
    Some(Grid { us, vs, cells })
}

fn edges(rulings: &[Ruling]) -> Vec<f32> {
    let mut edges: Vec<f32> = rulings.iter().map(|ruling| ruling.at).collect();
    edges.sort_by(f32::total_cmp);
    edges.dedup_by(|next, kept| *next - *kept < LEAST_CELL);
    edges
}

fn cells(us: &[f32], vs: &[f32], rulings: &Rulings) -> Vec<Span> {
    let (rows, columns) = (vs.len() - 1, us.len() - 1);
    let mut groups = Groups::new(rows * columns);
    let is_ruled = |lines: &[Ruling], at: f32, (from, to): (f32, f32)| {
        let middle = f32::midpoint(from, to);
        lines
            .iter()
            .any(|line| (line.at - at).abs() < LEAST_CELL && line.covers(middle))
    };
    for row in 0..rows {
        for column in 0..columns {
            let place = row * columns + column;
            let (height, width) = ((vs[row], vs[row + 1]), (us[column], us[column + 1]));
            if column + 1 < columns && !is_ruled(&rulings.down, us[column + 1], height) {
                groups.join(place, place + 1);
            }
            if row + 1 < rows && !is_ruled(&rulings.across, vs[row + 1], width) {
                groups.join(place, place + columns);
            }
        }
    }
    spans(&mut groups, rows, columns)
}

/// Places of the grid that belong together.
#[derive(Clone, Copy)]
struct Extent {
    top: usize,
    left: usize,
    bottom: usize,
    right: usize,
    places: usize,
}

fn spans(groups: &mut Groups, rows: usize, columns: usize) -> Vec<Span> {
    let mut extents: Vec<Option<Extent>> = vec![None; rows * columns];
    for place in 0..rows * columns {
        let (row, column) = (place / columns, place % columns);
        let extent = extents[groups.of(place)].get_or_insert(Extent {
            top: row,
            left: column,
            bottom: row,
            right: column,
            places: 0,
        });
        extent.left = extent.left.min(column);
        extent.bottom = extent.bottom.max(row);
        extent.right = extent.right.max(column);
        extent.places += 1;
    }
    let mut spans = Vec::new();
    for place in 0..rows * columns {
        let (row, column) = (place / columns, place % columns);
        let Some(extent) = extents[groups.of(place)] else {
            continue;
        };
        let height = extent.bottom - extent.top + 1;
        let width = extent.right - extent.left + 1;
        let span = |rows, columns| Span {
            row,
            column,
            rows,
            columns,
        };
        if height * width != extent.places {
            // What is no rectangle is no cell: borders that end too early. Its places stay apart.
            spans.push(span(1, 1));
        } else if (extent.top, extent.left) == (row, column) {
            spans.push(span(height, width));
        }
    }
    spans
}

/// Sets that are joined two by two (union-find with path halving).
struct Groups(Vec<usize>);

impl Groups {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn of(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: f32, from: f32, to: f32) -> Ruling {
        Ruling { at, from, to }
    }

    /// Two columns, three rows.
    fn plain() -> Rulings {
        Rulings {
            across: [100.0, 120.0, 140.0, 160.0]
                .map(|at| line(at, 50.0, 250.0))
                .to_vec(),
            down: [50.0, 150.0, 250.0]
                .map(|at| line(at, 100.0, 160.0))
                .to_vec(),
        }
    }

    #[test]
    fn crossing_lines_make_a_grid() {
        let [grid] = &grids(&plain())[..] else {
            panic!("one grid is meant")
        };
        assert_eq!((grid.rows(), grid.columns(), grid.cells.len()), (3, 2, 6));
        assert_eq!(grid.place(60.0, 130.0), Some((1, 0)));
        assert_eq!(grid.place(260.0, 130.0), None);
    }

    #[test]
    fn a_missing_line_merges_cells() {
        let mut rulings = plain();
        rulings.down[1] = line(150.0, 120.0, 160.0);
        let grid = &grids(&rulings)[0];
        assert_eq!(grid.cells.len(), 5);
        assert_eq!(
            grid.cells[0],
            Span {
                row: 0,
                column: 0,
                rows: 1,
                columns: 2
            }
        );
    }

    #[test]
    fn lines_that_do_not_touch_are_other_grids() {
        let mut rulings = plain();
        rulings
            .across
            .extend([400.0, 420.0].map(|at| line(at, 50.0, 250.0)));
        rulings
            .down
            .extend([50.0, 150.0].map(|at| line(at, 400.0, 420.0)));
        assert_eq!(grids(&rulings).len(), 2);
        rulings.across.truncate(1);
        assert!(grids(&rulings).is_empty());
    }

    #[test]
    fn what_is_no_rectangle_stays_apart() {
        let mut rulings = plain();
        // The upper left cell is open to the right and the upper right one downwards.
        rulings.down[1] = line(150.0, 120.0, 160.0);
        rulings.across[1] = line(120.0, 50.0, 150.0);
        let grid = &grids(&rulings)[0];
        assert!(grid.cells.iter().all(|cell| cell.rows * cell.columns == 1));
        assert_eq!(grid.cells.len(), 6);
    }

    proptest::proptest! {
        #[test]
        fn every_place_is_covered_once(across in lines(), down in lines()) {
            for grid in grids(&Rulings { across, down }) {
                let mut covered = vec![0; grid.rows() * grid.columns()];
                for cell in &grid.cells {
                    for row in cell.row..cell.row + cell.rows {
                        for column in cell.column..cell.column + cell.columns {
                            covered[row * grid.columns() + column] += 1;
                        }
                    }
                }
                proptest::prop_assert!(covered.iter().all(|count| *count == 1), "{grid:?}");
            }
        }
    }

    fn lines() -> impl proptest::strategy::Strategy<Value = Vec<Ruling>> {
        use proptest::strategy::Strategy;
        let one = (0u8..8, 0u8..8, 1u8..8).prop_map(|(at, from, length)| {
            let [at, from, length] = [at, from, length].map(|n| 20.0 * f32::from(n));
            line(at, from, from + length)
        });
        proptest::collection::vec(one, 0..14)
    }
}
