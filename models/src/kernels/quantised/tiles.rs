//! A matrix of weights as tiles, and its product with rows.

use std::arch::x86_64::{__m512, __m512i};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;

use candle_core::quantized::QTensor;
use pulp::bytemuck::{Zeroable, cast_slice, cast_slice_mut};
use pulp::x86::V4;

use super::activations::{Activations, Block};
use super::layout::{BLOCK, COLUMNS, Format};
use super::tile::{Expanded, Layout, Packed, Q4, Q6, add_products, expand};
use crate::kernels::buffers::{Buffer, Buffers};
use crate::kernels::pool;

/// Tiles that are multiplied side by side, so that a number of a row is loaded once for both.
const ABREAST: usize = 2;
/// Rows at a time when tiles are expanded: 6 rows by 2 tiles have their sums in registers.
const ROWS: usize = 6;
/// With more rows than this, tiles are expanded once for all.
const FEW: usize = 8;
/// Tasks for each thread, for threads that come late.
const TASKS_PER_THREAD: usize = 4;

/// Weights of one product.
pub(crate) struct Tiles {
    /// Proof of the instructions that the kernels need.
    simd: V4,
    format: Format,
    lines: Vec<__m512i>,
    /// Blocks of a column.
    depth: usize,
    columns: usize,
}

/// What a row of results is put together from.
enum Task<'a> {
    /// Results of all rows for some tiles, tile after tile.
    Tiles(&'a Tiles, Range<usize>, &'a mut [f32]),
    /// Results of all tiles for some rows.
    Rows(&'a Tiles, Range<usize>, &'a mut [f32]),
}

impl Tiles {
    /// Lays out a tensor; none if its format or shape has no tiles, its bytes cannot be seen, or the processor lacks AVX-512.
    pub(super) fn pack(tensor: &QTensor) -> Option<Self> {
        let simd = V4::try_new()?;
        let format = Format::of(tensor.dtype())?;
        let (columns, inputs) = tensor.shape().dims2().ok()?;
        if !columns.is_multiple_of(ABREAST * COLUMNS) || !inputs.is_multiple_of(BLOCK) {
            return None;
        }
        let depth = inputs / BLOCK;
        let mut lines = vec![Zeroable::zeroed(); columns / COLUMNS * depth * format.lines()];
        format.pack(&tensor.data().ok()?, depth, cast_slice_mut(&mut lines));
        Some(Self {
            simd,
            format,
            lines,
            depth,
            columns,
        })
    }

    /// The tile of some columns at some block of the depth, and what follows.
    #[inline(always)]
    fn tile(&self, tile: usize, block: usize) -> &[__m512i] {
        &self.lines[(tile * self.depth + block) * self.format.lines()..]
    }
}

thread_local! {
    /// The rows that a thread multiplies, kept for their memory: 2 MB for 512 rows of 3072.
    static ACTIVATIONS: RefCell<Activations> = RefCell::default();
}

/// Computes the products of the same rows with several matrices, in one parallel region.
pub(super) fn multiply<'a>(weights: &[&Tiles], x: &[f32], buffers: &'a Buffers) -> Vec<Buffer<'a>> {
    let Some(Tiles { simd, depth, .. }) = weights.first() else {
        return Vec::new();
    };
    ACTIVATIONS.with_borrow_mut(|activations| {
        activations.round(*simd, x, *depth);
        multiply_rounded(*simd, weights, activations, buffers)
    })
}

fn multiply_rounded<'a>(
    simd: V4,
    weights: &[&Tiles],
    x: &Activations,
    buffers: &'a Buffers,
) -> Vec<Buffer<'a>> {
    let rows = x.rows;
    let mut results: Vec<Buffer<'_>> = weights
        .iter()
        .map(|weights| buffers.take(rows * weights.columns))
        .collect();
    let shares = if pool::threads() == 1 {
        1
    } else {
        pool::threads() * TASKS_PER_THREAD
    };
    let mut tasks = Vec::new();
    for (weights, out) in weights.iter().zip(&mut results) {
        if rows <= FEW {
            let tiles = weights.columns / COLUMNS;
            let share = tiles.div_ceil(shares);
            for (index, out) in out.chunks_mut(share * COLUMNS * rows).enumerate() {
                let first = index * share;
                tasks.push(Task::Tiles(weights, first..tiles.min(first + share), out));
            }
        } else {
            let share = rows.div_ceil(pool::threads()).next_multiple_of(ROWS);
            for (index, out) in out.chunks_mut(share * weights.columns).enumerate() {
                let first = index * share;
                tasks.push(Task::Rows(weights, first..rows.min(first + share), out));
            }
        }
    }
    pool::for_each(tasks, |task| run(simd, task, x));
    if 1 < rows && rows <= FEW {
        for out in &mut results {
            let mut by_row = buffers.take(out.len());
            to_rows(out, rows, &mut by_row);
            *out = by_row;
        }
    }
    results
}

/// From the results of one tile after the other to rows.
fn to_rows(tiles: &[f32], rows: usize, out: &mut [f32]) {
    let columns = tiles.len() / rows;
    for (row, out) in out.chunks_exact_mut(columns).enumerate() {
        let parts = tiles.chunks_exact(COLUMNS).skip(row).step_by(rows);
        for (out, part) in out.as_chunks_mut::<COLUMNS>().0.iter_mut().zip(parts) {
            out.copy_from_slice(part);
        }
    }
}

fn run(simd: V4, task: Task<'_>, x: &Activations) {
    match task {
        Task::Tiles(weights, tiles, out) => match weights.format {
            Format::Q4 => by_tile::<Q4>(simd, weights, tiles, x, out),
            Format::Q6 => by_tile::<Q6>(simd, weights, tiles, x, out),
        },
        Task::Rows(weights, rows, out) => match weights.format {
            Format::Q4 => by_rows::<Q4>(simd, weights, rows, x, out),
            Format::Q6 => by_rows::<Q6>(simd, weights, rows, x, out),
        },
    }
}

fn by_tile<L: Layout>(
    simd: V4,
    weights: &Tiles,
    tiles: Range<usize>,
    x: &Activations,
    out: &mut [f32],
) {
    let few = FewRows::<L> {
        simd,
        weights,
        tiles,
        x,
        layout: PhantomData,
    };
    match x.rows {
        1 => few.run::<1>(out),
        2 => few.run::<2>(out),
        3 => few.run::<3>(out),
        4 => few.run::<4>(out),
        5 => few.run::<5>(out),
        6 => few.run::<6>(out),
        7 => few.run::<7>(out),
        _ => few.run::<FEW>(out),
    }
}

/// All rows and some tiles.
struct FewRows<'a, L> {
    simd: V4,
    weights: &'a Tiles,
    tiles: Range<usize>,
    x: &'a Activations,
    layout: PhantomData<L>,
}

impl<L: Layout> FewRows<'_, L> {
    fn run<const R: usize>(self, out: &mut [f32]) {
        self.simd.vectorize(
            #[inline(always)]
            || {
                for (tile, out) in self.tiles.clone().zip(out.chunks_exact_mut(R * COLUMNS)) {
                    out.copy_from_slice(cast_slice(&self.sums::<R>(tile)));
                }
            },
        );
    }

    #[inline(always)]
    fn sums<const R: usize>(&self, tile: usize) -> [[__m512; 1]; R] {
        let mut sums = [[self.simd.avx512f._mm512_set1_ps(0.0)]; R];
        let (blocks, _) = self.x.blocks.as_chunks::<R>();
        for (block, rows) in blocks.iter().enumerate() {
            let lines = [self.weights.tile(tile, block)];
            let words = Packed::<L, 1>(lines, PhantomData);
            add_products::<L, R, 1>(self.simd, &words, lines, rows.each_ref(), sums.each_mut());
        }
        sums
    }
}

/// Some rows, all tiles.
fn by_rows<L: Layout>(
    simd: V4,
    weights: &Tiles,
    rows: Range<usize>,
    x: &Activations,
    out: &mut [f32],
) {
    let mut sums: Vec<[__m512; ABREAST]> = vec![Zeroable::zeroed(); rows.len()];
    let mut expanded: [Expanded; ABREAST] = Zeroable::zeroed();
    for first in (0..weights.columns / COLUMNS).step_by(ABREAST) {
        sums.fill(Zeroable::zeroed());
        for block in 0..weights.depth {
            let blocks = &x.blocks[block * x.rows..][rows.clone()];
            let tiles = std::array::from_fn(|tile| weights.tile(first + tile, block));
            simd.vectorize(
                #[inline(always)]
                || {
                    for (words, tile) in expanded.iter_mut().zip(tiles) {
                        expand::<L>(simd, tile, words);
                    }
                },
            );
            let run = ManyRows::<L> {
                simd,
                words: &expanded,
                tiles,
                layout: PhantomData,
            };
            run.add(blocks, &mut sums);
        }
        let rows = out.chunks_exact_mut(weights.columns);
        for (out, sums) in rows.zip(&sums) {
            let out = &mut out[first * COLUMNS..][..ABREAST * COLUMNS];
            out.copy_from_slice(cast_slice(sums));
        }
    }
}

/// Many rows and some tiles, for one block.
struct ManyRows<'a, L> {
    simd: V4,
    words: &'a [Expanded; ABREAST],
    tiles: [&'a [__m512i]; ABREAST],
    layout: PhantomData<L>,
}

impl<L: Layout> ManyRows<'_, L> {
    fn add(&self, rows: &[Block], sums: &mut [[__m512; ABREAST]]) {
        let (whole, rest) = rows.as_chunks::<ROWS>();
        let (whole_sums, rest_sums) = sums.as_chunks_mut::<ROWS>();
        self.simd.vectorize(
            #[inline(always)]
            || {
                for (rows, sums) in whole.iter().zip(whole_sums) {
                    self.add_some(rows, sums);
                }
            },
        );
        self.simd.vectorize(
            #[inline(always)]
            || {
                for (row, sums) in rest.iter().zip(rest_sums) {
                    self.add_some(std::array::from_ref(row), std::array::from_mut(sums));
                }
            },
        );
    }

    #[inline(always)]
    fn add_some<const R: usize>(&self, rows: &[Block; R], sums: &mut [[__m512; ABREAST]; R]) {
        let (rows, sums) = (rows.each_ref(), sums.each_mut());
        add_products::<L, R, ABREAST>(self.simd, &self.words, self.tiles, rows, sums);
    }
}
