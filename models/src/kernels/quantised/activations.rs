//! Rows of numbers as the kernels of `tile` multiply them: in blocks of 256, each rounded to 8 bits by the largest of its numbers.
//!
//! This is how candle and llama.cpp round for these formats (`Q8_K`), but for ties.

use std::arch::x86_64::{__m128i, __m512};

use pulp::bytemuck::{cast, cast_slice};
use pulp::x86::V4;

use super::layout::{BLOCK, PAIRS, WORDS};
use crate::kernels::pool;

/// Rows given to a thread at a time.
const ROWS_PER_TASK: usize = 64;
/// What the number that is largest becomes, as `Q8_K` has it.
const LARGEST: f32 = -127.0;

/// A block of one row.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Block {
    /// Four numbers each; which ones, `layout` says.
    pub(super) words: [i32; PAIRS * WORDS],
    /// Sums over the numbers that meet one scale of `Q6_K`, two in each.
    pub(super) sums: [i32; 2 * PAIRS],
    /// The same for `Q4_K`.
    pub(super) wide_sums: [i32; PAIRS],
    /// What a number of 1 stands for.
    pub(super) scale: f32,
}

const ZERO: Block = Block {
    words: [0; PAIRS * WORDS],
    sums: [0; 2 * PAIRS],
    wide_sums: [0; PAIRS],
    scale: 0.0,
};

/// Rounded rows: for each block of the depth, that of every row.
#[derive(Default)]
pub(super) struct Activations {
    pub(super) blocks: Vec<Block>,
    pub(super) rows: usize,
}

impl Activations {
    /// Rounds rows of `depth` blocks in place of those before.
    pub(super) fn round(&mut self, simd: V4, x: &[f32], depth: usize) {
        self.rows = x.len() / (depth * BLOCK);
        self.blocks.resize(self.rows * depth, ZERO);
        let (x, _) = x.as_chunks::<BLOCK>();
        let mut tasks = Vec::new();
        for (at, blocks) in self.blocks.chunks_mut(self.rows).enumerate() {
            for (part, blocks) in blocks.chunks_mut(ROWS_PER_TASK).enumerate() {
                tasks.push((&x[part * ROWS_PER_TASK * depth + at..], blocks));
            }
        }
        pool::for_each(tasks, |(x, blocks)| {
            simd.vectorize(
                #[inline(always)]
                || {
                    for (x, block) in x.iter().step_by(depth).zip(blocks) {
                        round(simd, x, block);
                    }
                },
            );
        });
    }
}

/// Rounds one block. One without any number but zeros, or with one that is none, comes out as zeros.
#[inline(always)]
fn round(simd: V4, x: &[f32; BLOCK], block: &mut Block) {
    let f = simd.avx512f;
    let (groups, _) = x.as_chunks::<16>();
    let mut highest = f._mm512_set1_ps(0.0);
    let mut lowest = highest;
    for group in groups {
        let group: __m512 = cast(*group);
        highest = f._mm512_max_ps(highest, group);
        lowest = f._mm512_min_ps(lowest, group);
    }
    let (highest, lowest) = (
        f._mm512_reduce_max_ps(highest),
        f._mm512_reduce_min_ps(lowest),
    );
    let largest = if highest >= -lowest { highest } else { lowest };
    let factor = LARGEST / largest;
    if !factor.is_finite() {
        *block = ZERO;
        return;
    }
    block.scale = factor.recip();
    let factor = f._mm512_set1_ps(factor);
    let mut bytes = [[0i32; 4]; BLOCK / 16];
    let mut sums = [0i32; BLOCK / 16];
    for ((group, bytes), sum) in groups.iter().zip(&mut bytes).zip(&mut sums) {
        let rounded = f._mm512_cvtps_epi32(f._mm512_mul_ps(cast(*group), factor));
        *sum = f._mm512_reduce_add_epi32(rounded);
        *bytes = cast(f._mm512_cvtepi32_epi8(rounded));
    }
    for pair in 0..PAIRS {
        for half in 0..2 {
            let (first, second) = (4 * pair + half, 4 * pair + half + 2);
            let (a, b): (__m128i, __m128i) = (cast(bytes[first]), cast(bytes[second]));
            let words = [
                simd.sse2._mm_unpacklo_epi16(a, b),
                simd.sse2._mm_unpackhi_epi16(a, b),
            ];
            block.words[pair * WORDS + half * 8..][..8].copy_from_slice(cast_slice(&words));
            block.sums[2 * pair + half] = two(sums[first], sums[second]);
        }
        let of = |first: usize| sums[first] + sums[first + 1];
        block.wide_sums[pair] = two(of(4 * pair), of(4 * pair + 2));
    }
}

/// Two numbers of 16 bits in one of 32.
fn two(low: i32, high: i32) -> i32 {
    low & 0xFFFF | high << 16
}
