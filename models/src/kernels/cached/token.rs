//! One token of a sequence: a row is too little to fill the lanes of `tile`, so here the lanes are the numbers of a head.

use pulp::{Simd, WithSimd};

use super::super::math;
use super::{BLOCK_TOKENS, Heads, NEVER, OneHead, Scratch};

/// Vectors of a value that are summed in registers at a time.
const WIDE: usize = 8;

/// The work of one head of keys.
pub(super) struct Token<'a, 'b> {
    pub(super) heads: Heads,
    pub(super) work: OneHead<'a>,
    pub(super) scratch: &'b mut Scratch,
}

impl WithSimd for Token<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let group = self.heads.group();
        self.work.out.fill(0.0);
        let scratch = &mut *self.scratch;
        for (buffer, value) in [(&mut scratch.highest, NEVER), (&mut scratch.totals, 0.0)] {
            buffer.clear();
            buffer.resize(group, value);
        }
        scratch.scores.resize(group * BLOCK_TOKENS, 0.0);
        for block in 0..self.work.blocks.len() {
            self.block(simd, block);
        }
        let outs = self.work.out.chunks_exact_mut(self.heads.size);
        for (out, total) in outs.zip(&self.scratch.totals) {
            for x in out {
                *x /= total;
            }
        }
    }
}

impl Token<'_, '_> {
    #[inline(always)]
    fn block<S: Simd>(&mut self, simd: S, block: usize) {
        let Heads { size, .. } = self.heads;
        let start = block * BLOCK_TOKENS;
        let tokens = BLOCK_TOKENS.min(self.work.position + 1 - start);
        let scratch = &mut *self.scratch;
        let head = self.work.head;
        scratch.unpack(self.heads, self.work.blocks[block], head, (tokens, tokens));
        let members = self
            .work
            .queries
            .chunks_exact(size)
            .zip(self.work.out.chunks_exact_mut(size));
        for (member, (query, out)) in members.enumerate() {
            let scores = &mut scratch.scores[member * BLOCK_TOKENS..][..BLOCK_TOKENS];
            score(simd, query, &scratch.keys[..tokens * size], scores);
            let highest = &mut scratch.highest[member];
            let total = &mut scratch.totals[member];
            let rescale = soften(simd, scores, highest, total);
            let values = &scratch.values[..tokens * size];
            gather(simd, values, &scores[..tokens], rescale, out);
        }
    }
}

/// The product of the query with each key; places behind the last key get [`NEVER`].
#[inline(always)]
fn score<S: Simd>(simd: S, query: &[f32], keys: &[f32], scores: &mut [f32]) {
    let scale = 1.0 / (query.len() as f32).sqrt();
    scores.fill(NEVER);
    let query_vectors = S::as_simd_f32s(query).0;
    for (score, key) in scores.iter_mut().zip(keys.chunks_exact(query.len())) {
        let mut sum = simd.splat_f32s(0.0);
        for (q, k) in query_vectors.iter().zip(S::as_simd_f32s(key).0) {
            sum = simd.mul_add_e_f32s(*q, *k, sum);
        }
        *score = simd.reduce_sum_f32s(sum) * scale;
    }
}

/// Turns scores into weights and returns what older sums must be scaled by.
#[inline(always)]
fn soften<S: Simd>(simd: S, scores: &mut [f32], highest: &mut f32, total: &mut f32) -> f32 {
    let before = *highest;
    let scores = S::as_mut_simd_f32s(scores).0;
    let mut top = simd.splat_f32s(before);
    for score in scores.iter() {
        top = simd.max_f32s(top, *score);
    }
    *highest = simd.reduce_max_f32s(top);
    let top = simd.splat_f32s(*highest);
    let mut sum = simd.splat_f32s(0.0);
    for score in scores {
        *score = math::exp_negative(simd, simd.sub_f32s(*score, top));
        sum = simd.add_f32s(sum, *score);
    }
    let rescale = (before - *highest).exp();
    *total = *total * rescale + simd.reduce_sum_f32s(sum);
    rescale
}

/// Adds the weighted values to `out`.
#[inline(always)]
fn gather<S: Simd>(simd: S, values: &[f32], weights: &[f32], rescale: f32, out: &mut [f32]) {
    let size = out.len();
    let rescale = simd.splat_f32s(rescale);
    let out = S::as_mut_simd_f32s(out).0;
    for (index, out) in out.chunks_mut(WIDE).enumerate() {
        let mut sums = [simd.splat_f32s(0.0); WIDE];
        for (sum, out) in sums.iter_mut().zip(out.iter()) {
            *sum = simd.mul_f32s(*out, rescale);
        }
        for (value, weight) in values.chunks_exact(size).zip(weights) {
            let weight = simd.splat_f32s(*weight);
            let value = &S::as_simd_f32s(value).0[index * WIDE..];
            for (sum, x) in sums.iter_mut().zip(value) {
                *sum = simd.mul_add_e_f32s(*x, weight, *sum);
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = sum);
    }
}
