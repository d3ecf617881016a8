//! Many rows at once.
//!
//! The lanes of the vectors are rows: a lane is one query of one head, and all lanes of a tile share keys and values. So a score is a
//! number of the key times a vector, a weighted sum a number of the value times a vector, and softmax compares vectors; nothing is
//! ever summed across a vector, and keys and values are read in the order in which they lie.

use pulp::{Simd, WithSimd};

use super::super::math;
use super::{BLOCK_TOKENS, Heads, LANES, NEVER, Rows, Scratch};

/// Keys, or numbers of a value, that are multiplied at a time. With [`WIDE`] vectors of lanes each that is 16 sums in registers.
const DEEP: usize = 4;
/// Vectors of lanes at a time, on processors with 32 vector registers.
const WIDE: usize = 4;
/// The same on processors with 16.
const NARROW: usize = 2;

/// The work of one tile.
pub(super) struct Tile<'a, 'b> {
    pub(super) heads: Heads,
    pub(super) rows: Rows<'a>,
    pub(super) scratch: &'b mut Scratch,
}

impl WithSimd for Tile<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, WIDE>(simd);
        } else {
            self.run::<S, NARROW>(simd);
        }
    }
}

impl Tile<'_, '_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        let rows = self.rows.queries.len() / self.heads.width();
        let used = rows * self.heads.group();
        let lanes = used
            .next_multiple_of(V * S::F32_LANES)
            .max(LANES.min(V * S::F32_LANES));
        self.place_rows(rows, lanes);
        for head in 0..self.heads.kv {
            self.start(head, rows, lanes);
            for block in 0..self.rows.blocks.len() {
                self.block::<S, V>(simd, (head, block), rows, lanes);
            }
            self.finish(head, rows, lanes);
        }
    }

    /// The position of each lane's token. Lanes without one see everything, and are thrown away.
    fn place_rows(&mut self, rows: usize, lanes: usize) {
        let positions = &mut self.scratch.positions;
        positions.clear();
        for _ in 0..self.heads.group() {
            positions.extend((0..rows).map(|row| (self.rows.first + row) as f32));
        }
        positions.resize(lanes, f32::MAX);
    }

    /// Lays the queries of a head out by lanes, scaled by 1/sqrt(size), and clears the sums.
    fn start(&mut self, head: usize, rows: usize, lanes: usize) {
        let Heads { size, .. } = self.heads;
        let group = self.heads.group();
        let scale = 1.0 / (size as f32).sqrt();
        let scratch = &mut *self.scratch;
        scratch.queries.clear();
        scratch.queries.resize(size * lanes, 0.0);
        for (row, queries) in self
            .rows
            .queries
            .chunks_exact(self.heads.width())
            .enumerate()
        {
            let queries = queries[head * group * size..].chunks_exact(size);
            for (member, query) in queries.take(group).enumerate() {
                let slots = scratch.queries[member * rows + row..].iter_mut();
                let slots = slots.step_by(lanes).zip(query);
                slots.for_each(|(slot, x)| *slot = x * scale);
            }
        }
        for (buffer, count, value) in [
            (&mut scratch.sums, size * lanes, 0.0),
            (&mut scratch.highest, lanes, NEVER),
            (&mut scratch.totals, lanes, 0.0),
            (&mut scratch.rescale, lanes, 1.0),
        ] {
            buffer.clear();
            buffer.resize(count, value);
        }
        scratch.scores.resize(BLOCK_TOKENS * lanes, 0.0);
    }

    /// Adds what one block of keys and values contributes.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        (head, block): (usize, usize),
        rows: usize,
        lanes: usize,
    ) {
        let start = block * BLOCK_TOKENS;
        let last = self.rows.first + rows - 1;
        let tokens = BLOCK_TOKENS.min(last + 1 - start);
        let padded = tokens.next_multiple_of(DEEP);
        let scratch = &mut *self.scratch;
        scratch.unpack(self.heads, self.rows.blocks[block], head, (tokens, padded));
        let size = self.heads.size;
        let stride = lanes / S::F32_LANES;
        let scores = S::as_mut_simd_f32s(&mut scratch.scores[..padded * lanes]).0;
        score::<S, V>(
            simd,
            &scratch.keys[..padded * size],
            S::as_simd_f32s(&scratch.queries).0,
            scores,
            stride,
        );
        if start + padded > self.rows.first {
            mask(simd, scores, S::as_simd_f32s(&scratch.positions).0, start);
        }
        soften(
            simd,
            scores,
            [
                S::as_mut_simd_f32s(&mut scratch.highest).0,
                S::as_mut_simd_f32s(&mut scratch.totals).0,
                S::as_mut_simd_f32s(&mut scratch.rescale).0,
            ],
        );
        gather::<S, V>(
            simd,
            &scratch.values[..padded * size],
            scores,
            S::as_mut_simd_f32s(&mut scratch.sums).0,
            S::as_simd_f32s(&scratch.rescale).0,
        );
    }

    /// Divides by the totals and writes the lanes back as rows.
    fn finish(&mut self, head: usize, rows: usize, lanes: usize) {
        let Heads { size, .. } = self.heads;
        let group = self.heads.group();
        let scratch = &*self.scratch;
        let width = self.heads.width();
        for (row, out) in self.rows.out.chunks_exact_mut(width).enumerate() {
            let out = out[head * group * size..].chunks_exact_mut(size);
            for (member, out) in out.take(group).enumerate() {
                let lane = member * rows + row;
                let scale = 1.0 / scratch.totals[lane];
                let sums = scratch.sums[lane..].iter().step_by(lanes);
                out.iter_mut()
                    .zip(sums)
                    .for_each(|(out, sum)| *out = sum * scale);
            }
        }
    }
}

/// Scores of each key for all lanes; `stride` vectors hold the lanes.
#[inline(always)]
fn score<S: Simd, const V: usize>(
    simd: S,
    keys: &[f32],
    queries: &[S::f32s],
    scores: &mut [S::f32s],
    stride: usize,
) {
    let size = queries.len() / stride;
    let parts = keys
        .chunks_exact(DEEP * size)
        .zip(scores.chunks_exact_mut(DEEP * stride));
    for (keys, scores) in parts {
        let keys: [&[f32]; DEEP] = std::array::from_fn(|deep| &keys[deep * size..][..size]);
        for lane in (0..stride).step_by(V) {
            let mut sums = [[simd.splat_f32s(0.0); V]; DEEP];
            for (at, queries) in queries.chunks_exact(stride).enumerate() {
                let queries = &queries[lane..lane + V];
                for (sums, key) in sums.iter_mut().zip(keys) {
                    add_scaled(simd, key[at], queries, sums);
                }
            }
            for (deep, sums) in sums.iter().enumerate() {
                scores[deep * stride + lane..][..V].copy_from_slice(sums);
            }
        }
    }
}

/// `sums += x * vectors`.
#[inline(always)]
fn add_scaled<S: Simd>(simd: S, x: f32, vectors: &[S::f32s], sums: &mut [S::f32s]) {
    let x = simd.splat_f32s(x);
    for (sum, vector) in sums.iter_mut().zip(vectors) {
        *sum = simd.mul_add_e_f32s(x, *vector, *sum);
    }
}

/// Hides keys from lanes whose token comes before them.
#[inline(always)]
fn mask<S: Simd>(simd: S, scores: &mut [S::f32s], positions: &[S::f32s], start: usize) {
    let never = simd.splat_f32s(NEVER);
    for (key, scores) in scores.chunks_exact_mut(positions.len()).enumerate() {
        let key = simd.splat_f32s((start + key) as f32);
        for (score, position) in scores.iter_mut().zip(positions) {
            let hidden = simd.less_than_f32s(*position, key);
            *score = simd.select_f32s(hidden, never, *score);
        }
    }
}

/// Turns scores into weights relative to the highest score so far, and says by what older sums must be scaled.
#[inline(always)]
fn soften<S: Simd>(
    simd: S,
    scores: &mut [S::f32s],
    [highest, totals, rescale]: [&mut [S::f32s]; 3],
) {
    let stride = highest.len();
    for lane in 0..stride {
        let before = highest[lane];
        let mut top = before;
        for score in scores[lane..].iter().step_by(stride) {
            top = simd.max_f32s(top, *score);
        }
        let mut total = simd.splat_f32s(0.0);
        for score in scores[lane..].iter_mut().step_by(stride) {
            *score = math::exp_negative(simd, simd.sub_f32s(*score, top));
            total = simd.add_f32s(total, *score);
        }
        rescale[lane] = math::exp_negative(simd, simd.sub_f32s(before, top));
        totals[lane] = simd.mul_add_e_f32s(totals[lane], rescale[lane], total);
        highest[lane] = top;
    }
}

/// Adds the weighted values of all keys to the sums.
#[inline(always)]
fn gather<S: Simd, const V: usize>(
    simd: S,
    values: &[f32],
    weights: &[S::f32s],
    sums: &mut [S::f32s],
    rescale: &[S::f32s],
) {
    let stride = rescale.len();
    let size = sums.len() / stride;
    for (index, sums) in sums.chunks_exact_mut(DEEP * stride).enumerate() {
        for lane in (0..stride).step_by(V) {
            let mut parts = [[simd.splat_f32s(0.0); V]; DEEP];
            for (deep, parts) in parts.iter_mut().enumerate() {
                let sums = &sums[deep * stride + lane..][..V];
                for ((part, sum), scale) in parts.iter_mut().zip(sums).zip(&rescale[lane..]) {
                    *part = simd.mul_f32s(*sum, *scale);
                }
            }
            let rows = values.chunks_exact(size).zip(weights.chunks_exact(stride));
            for (value, weights) in rows {
                let weights = &weights[lane..lane + V];
                let value = &value[index * DEEP..][..DEEP];
                for (parts, x) in parts.iter_mut().zip(value) {
                    add_scaled(simd, *x, weights, parts);
                }
            }
            for (deep, parts) in parts.iter().enumerate() {
                sums[deep * stride + lane..][..V].copy_from_slice(parts);
            }
        }
    }
}
