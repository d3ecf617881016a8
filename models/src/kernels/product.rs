//! The matrix product under the linear layers and the attention.
//!
//! The classic shape: the right side lies in panels of two vectors width, the left side in tiles of a few rows, both in the order in
//! which the innermost loop reads them; that loop keeps a whole tile of results in registers. Each result is summed over the depth in
//! order, whatever stands in the other rows: a sentence gets the same bits alone and in a batch.

use pulp::{Arch, Simd, WithSimd};

use super::math;

/// Vectors per panel. Two with 12 rows fill 24 of the 32 AVX-512 registers with results; two with 6 rows, 12 of the 16 of AVX2.
const VECTORS: usize = 2;
/// Rows per tile on processors with 32 vector registers.
const ROWS_OF_32_REGISTERS: usize = 12;
/// Rows per tile on processors with 16.
const ROWS_OF_16_REGISTERS: usize = 6;
/// Left rows packed at a time: with a depth of 1536 they take 590 KB and stay in the second-level cache. A multiple of both tiles.
const BLOCK_ROWS: usize = 96;

/// A matrix, or a rectangle inside a larger row-major one.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// From the first element of the rectangle on.
    pub(super) data: &'a [f32],
    /// Rows of the rectangle.
    pub(super) rows: usize,
    /// Columns of the rectangle.
    pub(super) columns: usize,
    /// Distance between the starts of two rows.
    pub(super) stride: usize,
}

impl<'a> View<'a> {
    fn row(&self, index: usize) -> &'a [f32] {
        &self.data[index * self.stride..][..self.columns]
    }
}

/// The right side of a product: panels of `width` columns, each stored row after row, the last one padded with zeros.
#[derive(Default)]
pub(super) struct Panels {
    data: Vec<f32>,
    depth: usize,
    width: usize,
    columns: usize,
}

impl Panels {
    /// Takes the rows of `source` as its columns: a weight matrix stored as output x input, or the keys of an attention head.
    pub(super) fn pack_transposed(&mut self, source: View<'_>) {
        self.reset(source.columns, source.rows);
        for (panel_index, panel) in self
            .data
            .chunks_exact_mut(self.depth * self.width)
            .enumerate()
        {
            let first = panel_index * self.width;
            for column in first..source.rows.min(first + self.width) {
                let slots = panel[column - first..].iter_mut().step_by(self.width);
                slots
                    .zip(source.row(column))
                    .for_each(|(slot, x)| *slot = *x);
            }
        }
    }

    /// Takes `source` as it is: the values of an attention head.
    pub(super) fn pack(&mut self, source: View<'_>) {
        self.reset(source.rows, source.columns);
        for (panel_index, panel) in self
            .data
            .chunks_exact_mut(self.depth * self.width)
            .enumerate()
        {
            let first = panel_index * self.width;
            let last = source.columns.min(first + self.width);
            for (depth, row) in panel.chunks_exact_mut(self.width).enumerate() {
                row[..last - first].copy_from_slice(&source.row(depth)[first..last]);
            }
        }
    }

    /// Columns including the padding of the last panel.
    pub(super) fn padded_columns(&self) -> usize {
        self.columns.next_multiple_of(self.width)
    }

    fn reset(&mut self, depth: usize, columns: usize) {
        self.width = VECTORS * Arch::new().dispatch(Lanes);
        (self.depth, self.columns) = (depth, columns);
        self.data.clear();
        self.data.resize(depth * self.padded_columns(), 0.0);
    }
}

/// How many f32 one vector of this processor holds.
struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// What happens to a result before it is stored. A bias has one number per column, a whole number of vectors.
#[derive(Clone, Copy)]
pub(super) enum Finish<'a> {
    /// Nothing.
    Plain,
    /// The bias is added.
    Bias(&'a [f32]),
    /// The bias is added, then GELU.
    BiasGelu(&'a [f32]),
}

/// Where the results go: rows of `stride`, of which the first `columns` are written, a whole number of vectors.
pub(super) struct Target<'a> {
    pub(super) data: &'a mut [f32],
    pub(super) columns: usize,
    pub(super) stride: usize,
}

/// Computes `left * right` into `target`. `scratch` holds the packed rows, so that callers in a loop allocate once.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    left: View<'_>,
    right: &Panels,
    finish: Finish<'_>,
    target: &mut Target<'_>,
    scratch: &mut Vec<f32>,
) {
    if S::REGISTER_COUNT >= 32 {
        multiply_tiled::<S, ROWS_OF_32_REGISTERS>(simd, left, right, finish, target, scratch);
    } else {
        multiply_tiled::<S, ROWS_OF_16_REGISTERS>(simd, left, right, finish, target, scratch);
    }
}

#[inline(always)]
fn multiply_tiled<S: Simd, const ROWS: usize>(
    simd: S,
    left: View<'_>,
    right: &Panels,
    finish: Finish<'_>,
    target: &mut Target<'_>,
    scratch: &mut Vec<f32>,
) {
    debug_assert_eq!(left.columns, right.depth);
    for first in (0..left.rows).step_by(BLOCK_ROWS) {
        let rows = BLOCK_ROWS.min(left.rows - first);
        let block = View {
            data: &left.data[first * left.stride..],
            rows,
            ..left
        };
        pack_tiles::<ROWS>(block, scratch);
        for (index, panel) in right
            .data
            .chunks_exact(right.depth * right.width)
            .enumerate()
        {
            let start = index * right.width;
            let end = target.columns.min(start + right.width);
            for (tile_index, tile) in scratch.chunks_exact(right.depth * ROWS).enumerate() {
                let mut sums = multiply_tile::<S, ROWS>(simd, tile, panel);
                for row in &mut sums {
                    finish_row(simd, row, finish, start..end);
                }
                let row = tile_index * ROWS;
                for (row, sums) in (row..rows).zip(&sums) {
                    let from = (first + row) * target.stride;
                    let slots = S::as_mut_simd_f32s(&mut target.data[from + start..from + end]).0;
                    slots
                        .iter_mut()
                        .zip(sums)
                        .for_each(|(slot, sum)| *slot = *sum);
                }
            }
        }
    }
}

/// Writes the rows as tiles: for each position of the depth, the `ROWS` numbers that meet there. Missing rows are zeros.
#[inline(always)]
fn pack_tiles<const ROWS: usize>(source: View<'_>, tiles: &mut Vec<f32>) {
    tiles.clear();
    tiles.resize(source.rows.next_multiple_of(ROWS) * source.columns, 0.0);
    for (index, tile) in tiles.chunks_exact_mut(ROWS * source.columns).enumerate() {
        for lane in 0..ROWS.min(source.rows - index * ROWS) {
            let (slots, _) = tile.as_chunks_mut::<ROWS>();
            let row = source.row(index * ROWS + lane);
            slots
                .iter_mut()
                .zip(row)
                .for_each(|(slot, x)| slot[lane] = *x);
        }
    }
}

/// The innermost loop: one tile of rows times one panel of columns.
#[inline(always)]
fn multiply_tile<S: Simd, const ROWS: usize>(
    simd: S,
    tile: &[f32],
    panel: &[f32],
) -> [[S::f32s; VECTORS]; ROWS] {
    let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
    let (left, _) = tile.as_chunks::<ROWS>();
    let (right, _) = S::as_simd_f32s(panel).0.as_chunks::<VECTORS>();
    for (left, right) in left.iter().zip(right) {
        for (sums, x) in sums.iter_mut().zip(left) {
            let x = simd.splat_f32s(*x);
            for (sum, y) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add_e_f32s(x, *y, *sum);
            }
        }
    }
    sums
}

#[inline(always)]
fn finish_row<S: Simd>(
    simd: S,
    row: &mut [S::f32s; VECTORS],
    finish: Finish<'_>,
    columns: std::ops::Range<usize>,
) {
    let (Finish::Bias(bias) | Finish::BiasGelu(bias)) = finish else {
        return;
    };
    let bias = S::as_simd_f32s(&bias[columns]).0;
    for (x, bias) in row.iter_mut().zip(bias) {
        *x = simd.add_f32s(*x, *bias);
        if let Finish::BiasGelu(_) = finish {
            *x = math::gelu(simd, *x);
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of small whole numbers are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Multiply<'a>(View<'a>, &'a Panels, Target<'a>);

    impl WithSimd for Multiply<'_> {
        type Output = ();
        fn with_simd<S: Simd>(mut self, simd: S) {
            multiply(
                simd,
                self.0,
                self.1,
                Finish::Plain,
                &mut self.2,
                &mut Vec::new(),
            );
        }
    }

    /// Small whole numbers: their sums are exact in f32, so the products must be equal, not close.
    fn matrix(rows: usize, columns: usize, seed: usize) -> Vec<f32> {
        (0..rows * columns)
            .map(|i| ((i * 7 + seed * 13) % 17) as f32 - 8.0)
            .collect()
    }

    fn whole(data: &[f32], rows: usize, columns: usize) -> View<'_> {
        View {
            data,
            rows,
            columns,
            stride: columns,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_schoolbook(rows in 1usize..200, depth in 1usize..40, wide in 1usize..5, seed in 0usize..100) {
            let columns = wide * 16;
            let (a, b) = (matrix(rows, depth, seed), matrix(columns, depth, seed + 1));
            let mut panels = Panels::default();
            panels.pack_transposed(whole(&b, columns, depth));
            let mut out = vec![f32::NAN; rows * columns];
            let target = Target { data: &mut out, columns, stride: columns };
            Arch::new().dispatch(Multiply(whole(&a, rows, depth), &panels, target));
            for r in 0..rows {
                for c in 0..columns {
                    let want: f32 = (0..depth).map(|d| a[r * depth + d] * b[c * depth + d]).sum();
                    prop_assert_eq!(out[r * columns + c], want);
                }
            }
        }

        #[test]
        fn both_packings_are_the_same_matrix(rows in 1usize..40, columns in 1usize..40) {
            let plain = matrix(rows, columns, 3);
            let turned: Vec<f32> = (0..columns * rows).map(|i| plain[(i % rows) * columns + i / rows]).collect();
            let (mut one, mut two) = (Panels::default(), Panels::default());
            one.pack(whole(&plain, rows, columns));
            two.pack_transposed(whole(&turned, columns, rows));
            prop_assert_eq!(one.data, two.data);
        }
    }
}
