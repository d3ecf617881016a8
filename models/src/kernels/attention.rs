//! Attention of each sentence over itself, for sentences that lie one after the other without padding.
//!
//! The input has one row per token: its query, key and value. The scale 1/sqrt(head size) is part of the query weights. Sentences
//! never see each other, so no mask exists.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{Finish, Panels, Target, View, multiply};
use super::{contiguous, math, threads};

/// Head sizes must be multiples of this: the widest vector, so that a head is a whole number of vectors.
pub(crate) const HEAD_WIDTH: usize = 16;

/// One attention over a batch.
pub(crate) struct Attention<'a> {
    /// Tokens of each sentence; together, the rows of the input.
    pub(crate) lengths: &'a [usize],
    /// Number of heads.
    pub(crate) heads: usize,
}

impl CustomOp1 for Attention<'_> {
    fn name(&self) -> &'static str {
        "sentence-attention"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, columns) = layout.shape().dims2()?;
        let hidden = columns / 3;
        if self.lengths.iter().sum::<usize>() != rows
            || !hidden.is_multiple_of(self.heads * HEAD_WIDTH)
        {
            candle_core::bail!(
                "an attention of {} heads does not fit {rows} x {columns}",
                self.heads
            );
        }
        let mut out = vec![0.0; rows * hidden];
        let sentences = self.split(contiguous(storage, layout)?, &mut out, hidden);
        if threads() == 1 {
            let mut scratch = Scratch::default();
            for sentence in sentences {
                Arch::new().dispatch(sentence.with(&mut scratch));
            }
        } else {
            let run = |scratch: &mut Scratch, sentence: Sentence<'_>| {
                Arch::new().dispatch(sentence.with(scratch));
            };
            sentences
                .into_par_iter()
                .for_each_init(Scratch::default, run);
        }
        Ok((CpuStorage::F32(out), Shape::from((rows, hidden))))
    }
}

impl Attention<'_> {
    fn split<'b>(
        &self,
        mut qkv: &'b [f32],
        mut out: &'b mut [f32],
        hidden: usize,
    ) -> Vec<Sentence<'b>> {
        let mut sentences = Vec::with_capacity(self.lengths.len());
        for &tokens in self.lengths {
            let (input, input_rest) = qkv.split_at(tokens * 3 * hidden);
            let (output, output_rest) = out.split_at_mut(tokens * hidden);
            sentences.push(Sentence {
                qkv: input,
                out: output,
                tokens,
                hidden,
                heads: self.heads,
            });
            (qkv, out) = (input_rest, output_rest);
        }
        sentences
    }
}

struct Sentence<'a> {
    qkv: &'a [f32],
    out: &'a mut [f32],
    tokens: usize,
    hidden: usize,
    heads: usize,
}

impl<'a> Sentence<'a> {
    fn with(self, scratch: &'a mut Scratch) -> Run<'a> {
        Run {
            sentence: self,
            scratch,
        }
    }
}

/// Buffers that the heads of many sentences share.
#[derive(Default)]
struct Scratch {
    keys: Panels,
    values: Panels,
    scores: Vec<f32>,
    tiles: Vec<f32>,
}

struct Run<'a> {
    sentence: Sentence<'a>,
    scratch: &'a mut Scratch,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Scratch {
            keys,
            values,
            scores,
            tiles,
        } = self.scratch;
        let Sentence {
            qkv,
            out,
            tokens,
            hidden,
            heads,
        } = self.sentence;
        let size = hidden / heads;
        for head in 0..heads {
            let part = |index: usize| View {
                data: &qkv[index * hidden + head * size..],
                rows: tokens,
                columns: size,
                stride: 3 * hidden,
            };
            keys.pack_transposed(part(1));
            values.pack(part(2));
            let stride = keys.padded_columns();
            scores.resize(tokens * stride, 0.0);
            let mut all = Target {
                data: scores,
                columns: stride,
                stride,
            };
            multiply(simd, part(0), keys, Finish::Plain, &mut all, tiles);
            scores
                .chunks_exact_mut(stride)
                .for_each(|row| softmax(simd, row, tokens));
            let weights = View {
                data: scores,
                rows: tokens,
                columns: tokens,
                stride,
            };
            let mut context = Target {
                data: &mut out[head * size..],
                columns: size,
                stride: hidden,
            };
            multiply(simd, weights, values, Finish::Plain, &mut context, tiles);
        }
    }
}

/// Softmax over the first `count` scores of a row; the rest is padding up to a whole number of vectors and comes out meaningless.
#[inline(always)]
fn softmax<S: Simd>(simd: S, row: &mut [f32], count: usize) {
    row[count..].fill(f32::NEG_INFINITY);
    let row = S::as_mut_simd_f32s(row).0;
    let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in row.iter() {
        highest = simd.max_f32s(highest, *x);
    }
    let highest = simd.splat_f32s(simd.reduce_max_f32s(highest));
    let mut total = simd.splat_f32s(0.0);
    for x in row.iter_mut() {
        *x = math::exp_negative(simd, simd.sub_f32s(*x, highest));
        total = simd.add_f32s(total, *x);
    }
    let scale = simd.splat_f32s(1.0 / simd.reduce_sum_f32s(total));
    for x in row {
        *x = simd.mul_f32s(*x, scale);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    const HIDDEN: usize = 32;

    fn input(rows: usize) -> Vec<f32> {
        (0..rows * 3 * HIDDEN)
            .map(|i| ((i * 31) % 101) as f32 * 0.02 - 1.0)
            .collect()
    }

    fn run(qkv: &[f32], lengths: &[usize], heads: usize) -> candle_core::Result<Vec<f32>> {
        let x = Tensor::from_slice(qkv, (qkv.len() / (3 * HIDDEN), 3 * HIDDEN), &Device::Cpu)?;
        x.apply_op1_no_bwd(&Attention { lengths, heads })?
            .flatten_all()?
            .to_vec1()
    }

    /// The definition, in f64.
    fn reference(qkv: &[f32], tokens: usize, heads: usize) -> Vec<f32> {
        let size = HIDDEN / heads;
        let at = |token: usize, part: usize, i: usize| {
            f64::from(qkv[token * 3 * HIDDEN + part * HIDDEN + i])
        };
        let mut out = vec![0.0; tokens * HIDDEN];
        for (head, query) in (0..heads).flat_map(|head| (0..tokens).map(move |query| (head, query)))
        {
            let columns = head * size..(head + 1) * size;
            let scores: Vec<f64> = (0..tokens)
                .map(|key| {
                    columns
                        .clone()
                        .map(|i| at(query, 0, i) * at(key, 1, i))
                        .sum::<f64>()
                        .exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            for i in columns {
                out[query * HIDDEN + i] = (0..tokens)
                    .map(|key| scores[key] / total * at(key, 2, i))
                    .sum::<f64>() as f32;
            }
        }
        out
    }

    #[test]
    fn agrees_with_the_definition() {
        for (tokens, heads) in [(1, 1), (2, 2), (7, 1), (33, 2), (100, 2)] {
            let qkv = input(tokens);
            let got = run(&qkv, &[tokens], heads).unwrap();
            let worst = got
                .iter()
                .zip(reference(&qkv, tokens, heads))
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 2e-6, "{tokens} tokens, {heads} heads: {worst}");
        }
    }

    #[test]
    fn sentences_do_not_see_each_other() {
        let qkv = input(60);
        let together = run(&qkv, &[25, 1, 34], 2).unwrap();
        let mut alone = run(&qkv[..25 * 3 * HIDDEN], &[25], 2).unwrap();
        alone.extend(run(&qkv[25 * 3 * HIDDEN..26 * 3 * HIDDEN], &[1], 2).unwrap());
        alone.extend(run(&qkv[26 * 3 * HIDDEN..], &[34], 2).unwrap());
        assert_eq!(together, alone);
    }

    #[test]
    fn lengths_that_do_not_add_up_are_an_error() {
        assert!(run(&input(10), &[4, 5], 2).is_err());
    }
}
