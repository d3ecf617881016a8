//! The products of tiles with rounded rows, on processors with AVX-512.
//!
//! A byte of a weight times a byte of a row, summed in twos to 16 bits (`vpmaddubsw`), then scaled and summed in twos to 32
//! (`vpmaddwd`): all whole numbers, exact, until a block of 256 is complete. `vpdpbusd` would sum in fours, but these instructions run on
//! more ports and are reached through `pulp` without unsafe code.
//!
//! Few rows take the weights apart as they go (`Packed`); with many rows a block is taken apart once for all (`Expanded`).

use std::arch::x86_64::{__m256i, __m512, __m512i};

use pulp::bytemuck::{cast, cast_slice};
use pulp::x86::V4;

use super::activations::Block;
use super::layout::{
    FACTORS, PAIRS, Q4_LINES, Q4_MINIMUMS, Q4_PAIR, Q6_LINES, Q6_PAIR, Q6_UPPER, WORDS,
};

/// A word vector for each four weights of a block.
pub(super) type Expanded = [__m512i; PAIRS * WORDS];

/// What differs between the formats.
pub(super) trait Layout {
    /// Lines of a tile.
    const LINES: usize;
    /// Whether eight words fit into a sum of 16 bits: 8 · 2 · 15 · 127 does. Of six bits, 2 · 2 · 63 · 127, only two words do.
    const LONG: bool;

    /// Word vector `4 * QUAD + index` of a pair.
    fn word<const QUAD: usize>(simd: V4, tile: &[__m512i], pair: usize, index: usize) -> __m512i;

    /// The scales of the words `8 * half` and on, two for each column.
    fn scales(simd: V4, tile: &[__m512i], pair: usize, half: usize) -> __m512i;

    /// The result of a block, from the scaled sum of its weights as they are stored.
    fn finish(simd: V4, tile: &[__m512i], block: &Block, sum: __m512i) -> __m512;
}

/// `Q4_K`: a weight is `factor * scale * number - factor' * minimum`.
pub(super) struct Q4;

impl Layout for Q4 {
    const LINES: usize = Q4_LINES;
    const LONG: bool = true;

    #[inline(always)]
    fn word<const QUAD: usize>(simd: V4, tile: &[__m512i], pair: usize, index: usize) -> __m512i {
        lower::<QUAD>(simd, tile, pair * Q4_PAIR + index)
    }

    #[inline(always)]
    fn scales(simd: V4, tile: &[__m512i], pair: usize, _: usize) -> __m512i {
        let scales: &[__m256i] = cast_slice(&tile[..Q4_MINIMUMS]);
        simd.avx512bw._mm512_cvtepu8_epi16(scales[pair])
    }

    #[inline(always)]
    fn finish(simd: V4, tile: &[__m512i], block: &Block, sum: __m512i) -> __m512 {
        let (f, bw) = (simd.avx512f, simd.avx512bw);
        let minimums: &[__m256i] = cast_slice(&tile[Q4_MINIMUMS..FACTORS]);
        let mut least = f._mm512_set1_epi32(0);
        for (minimums, sums) in minimums.iter().zip(block.wide_sums) {
            let minimums = bw._mm512_cvtepu8_epi16(*minimums);
            let product = bw._mm512_madd_epi16(minimums, f._mm512_set1_epi32(sums));
            least = f._mm512_add_epi32(least, product);
        }
        let [factors, of_minimums]: [__m256i; 2] = cast(tile[FACTORS]);
        let least = f._mm512_mul_ps(f._mm512_cvtph_ps(of_minimums), f._mm512_cvtepi32_ps(least));
        f._mm512_fmsub_ps(f._mm512_cvtph_ps(factors), f._mm512_cvtepi32_ps(sum), least)
    }
}

/// `Q6_K`: a weight is `factor * scale * (number - 32)`.
pub(super) struct Q6;

impl Layout for Q6 {
    const LINES: usize = Q6_LINES;
    const LONG: bool = false;

    #[inline(always)]
    fn word<const QUAD: usize>(simd: V4, tile: &[__m512i], pair: usize, index: usize) -> __m512i {
        let (f, bw) = (simd.avx512f, simd.avx512bw);
        let line = tile[FACTORS + 1 + pair * Q6_PAIR + index];
        let shifted = match QUAD {
            0 => bw._mm512_slli_epi16::<4>(line),
            1 => bw._mm512_slli_epi16::<2>(line),
            2 => line,
            _ => bw._mm512_srli_epi16::<2>(line),
        };
        let upper = f._mm512_and_si512(shifted, f._mm512_set1_epi8(0x30));
        f._mm512_or_si512(
            upper,
            lower::<QUAD>(simd, tile, pair * Q6_PAIR + Q6_UPPER + index),
        )
    }

    #[inline(always)]
    fn scales(simd: V4, tile: &[__m512i], pair: usize, half: usize) -> __m512i {
        let scales: &[__m256i] = cast_slice(&tile[..FACTORS]);
        simd.avx512bw._mm512_cvtepi8_epi16(scales[2 * pair + half])
    }

    #[inline(always)]
    fn finish(simd: V4, tile: &[__m512i], block: &Block, sum: __m512i) -> __m512 {
        let (f, bw) = (simd.avx512f, simd.avx512bw);
        let mut over = f._mm512_set1_epi32(0);
        for (index, sums) in block.sums.into_iter().enumerate() {
            let scales = Self::scales(simd, tile, index / 2, index % 2);
            let product = bw._mm512_madd_epi16(scales, f._mm512_set1_epi32(sums));
            over = f._mm512_add_epi32(over, product);
        }
        let sum = f._mm512_sub_epi32(sum, f._mm512_slli_epi32::<5>(over));
        let [factors, _]: [__m256i; 2] = cast(tile[FACTORS]);
        f._mm512_mul_ps(f._mm512_cvtph_ps(factors), f._mm512_cvtepi32_ps(sum))
    }
}

/// The lower four bits of a word vector, which both formats keep alike.
#[inline(always)]
fn lower<const QUAD: usize>(simd: V4, tile: &[__m512i], line: usize) -> __m512i {
    let line = tile[FACTORS + 1 + QUAD % 2 * 4 + line];
    let shifted = if QUAD < 2 {
        line
    } else {
        simd.avx512bw._mm512_srli_epi16::<4>(line)
    };
    let f = simd.avx512f;
    f._mm512_and_si512(shifted, f._mm512_set1_epi8(15))
}

/// Takes the weights of a block apart.
#[inline(always)]
pub(super) fn expand<L: Layout>(simd: V4, tile: &[__m512i], words: &mut Expanded) {
    let tile = &tile[..L::LINES];
    for pair in 0..PAIRS {
        for index in 0..4 {
            let at = pair * WORDS + index;
            words[at] = L::word::<0>(simd, tile, pair, index);
            words[at + 4] = L::word::<1>(simd, tile, pair, index);
            words[at + 8] = L::word::<2>(simd, tile, pair, index);
            words[at + 12] = L::word::<3>(simd, tile, pair, index);
        }
    }
}

/// Where word vectors come from, for tiles that lie side by side.
pub(super) trait Source {
    fn word<const QUAD: usize>(&self, simd: V4, tile: usize, pair: usize, index: usize) -> __m512i;
}

/// From tiles as they are stored.
pub(super) struct Packed<'a, L, const C: usize>(
    pub(super) [&'a [__m512i]; C],
    pub(super) std::marker::PhantomData<L>,
);

impl<L: Layout, const C: usize> Source for Packed<'_, L, C> {
    #[inline(always)]
    fn word<const QUAD: usize>(&self, simd: V4, tile: usize, pair: usize, index: usize) -> __m512i {
        L::word::<QUAD>(simd, &self.0[tile][..L::LINES], pair, index)
    }
}

impl<const C: usize> Source for &[Expanded; C] {
    #[inline(always)]
    fn word<const QUAD: usize>(&self, _: V4, tile: usize, pair: usize, index: usize) -> __m512i {
        self[tile][pair * WORDS + QUAD * 4 + index]
    }
}

/// Adds the products of a block of `R` rows with that of `C` tiles to `sums`.
#[inline(always)]
pub(super) fn add_products<L: Layout, const R: usize, const C: usize>(
    simd: V4,
    words: &impl Source,
    tiles: [&[__m512i]; C],
    rows: [&Block; R],
    sums: [&mut [__m512; C]; R],
) {
    let zero = simd.avx512f._mm512_set1_epi32(0);
    let tiles = tiles.map(|tile| &tile[..L::LINES]);
    let mut whole = [[zero; C]; R];
    for pair in 0..PAIRS {
        let run = Half {
            simd,
            words,
            tiles,
            rows,
            pair,
        };
        run.add::<L, 0, 1>(&mut whole);
        run.add::<L, 2, 3>(&mut whole);
    }
    let f = simd.avx512f;
    for ((sums, whole), row) in sums.into_iter().zip(whole).zip(rows) {
        let scale = f._mm512_set1_ps(row.scale);
        for ((sum, whole), tile) in sums.iter_mut().zip(whole).zip(tiles) {
            *sum = f._mm512_fmadd_ps(scale, L::finish(simd, tile, row, whole), *sum);
        }
    }
}

/// Eight words of a pair, in two quads.
struct Half<'a, S, const R: usize, const C: usize> {
    simd: V4,
    words: &'a S,
    tiles: [&'a [__m512i]; C],
    rows: [&'a Block; R],
    pair: usize,
}

impl<S: Source, const R: usize, const C: usize> Half<'_, S, R, C> {
    #[inline(always)]
    fn add<L: Layout, const FIRST: usize, const SECOND: usize>(
        &self,
        whole: &mut [[__m512i; C]; R],
    ) {
        let scales = self
            .tiles
            .map(|tile| L::scales(self.simd, tile, self.pair, FIRST / 2));
        if L::LONG {
            let zero = self.simd.avx512f._mm512_set1_epi32(0);
            let mut sums = [[zero; C]; R];
            self.sum_quad::<FIRST>(&mut sums);
            self.sum_quad::<SECOND>(&mut sums);
            self.scale(scales, &sums, whole);
        } else {
            self.scale_quad::<FIRST>(scales, whole);
            self.scale_quad::<SECOND>(scales, whole);
        }
    }

    /// Adds the products of four words, unscaled.
    #[inline(always)]
    fn sum_quad<const QUAD: usize>(&self, sums: &mut [[__m512i; C]; R]) {
        let (f, bw) = (self.simd.avx512f, self.simd.avx512bw);
        for index in 0..4 {
            let weights: [__m512i; C] = std::array::from_fn(
                #[inline(always)]
                |tile| self.words.word::<QUAD>(self.simd, tile, self.pair, index),
            );
            for (sums, row) in sums.iter_mut().zip(self.rows) {
                let x = f._mm512_set1_epi32(row.words[self.pair * WORDS + QUAD * 4 + index]);
                for (sum, weights) in sums.iter_mut().zip(weights) {
                    *sum = bw._mm512_add_epi16(*sum, bw._mm512_maddubs_epi16(weights, x));
                }
            }
        }
    }

    /// Adds the products of four words, scaled two by two.
    #[inline(always)]
    fn scale_quad<const QUAD: usize>(&self, scales: [__m512i; C], whole: &mut [[__m512i; C]; R]) {
        let (f, bw) = (self.simd.avx512f, self.simd.avx512bw);
        for index in [0, 2] {
            let weights: [[__m512i; 2]; C] = std::array::from_fn(
                #[inline(always)]
                |tile| {
                    let first = self.words.word::<QUAD>(self.simd, tile, self.pair, index);
                    let second = self
                        .words
                        .word::<QUAD>(self.simd, tile, self.pair, index + 1);
                    [first, second]
                },
            );
            for (whole, row) in whole.iter_mut().zip(self.rows) {
                let at = self.pair * WORDS + QUAD * 4 + index;
                let (x, y) = (row.words[at], row.words[at + 1]);
                let (x, y) = (f._mm512_set1_epi32(x), f._mm512_set1_epi32(y));
                for ((whole, [first, second]), scales) in whole.iter_mut().zip(weights).zip(scales)
                {
                    let first = bw._mm512_maddubs_epi16(first, x);
                    let sum = bw._mm512_add_epi16(first, bw._mm512_maddubs_epi16(second, y));
                    *whole = f._mm512_add_epi32(*whole, bw._mm512_madd_epi16(sum, scales));
                }
            }
        }
    }

    #[inline(always)]
    fn scale(&self, scales: [__m512i; C], sums: &[[__m512i; C]; R], whole: &mut [[__m512i; C]; R]) {
        let (f, bw) = (self.simd.avx512f, self.simd.avx512bw);
        for (whole, sums) in whole.iter_mut().zip(sums) {
            for ((whole, sum), scales) in whole.iter_mut().zip(sums).zip(scales) {
                *whole = f._mm512_add_epi32(*whole, bw._mm512_madd_epi16(*sum, scales));
            }
        }
    }
}
