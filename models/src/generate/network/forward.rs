//! One step: the new tokens of some sequences go through all layers.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::error::ModelError;
use crate::kernels::buffers::Buffer;
use crate::kernels::cached::{BLOCK_TOKENS, Heads, Span, attend};
use crate::kernels::quantised::{Matrix, multiply};
use crate::kernels::{pool, rows};

use super::super::kv::{Block, Sequence};
use super::super::rope::{Angles, Rope};
use super::{Layer, Network};

/// Largest head; see `config`.
const MAX_HEAD: usize = 256;

/// The new tokens of one sequence.
pub(in crate::generate) struct Input<'a> {
    /// Where their keys and values go.
    pub(in crate::generate) sequence: &'a mut Sequence,
    /// At least one.
    pub(in crate::generate) tokens: &'a [u32],
    /// Whether the scores behind the last of them are wanted.
    pub(in crate::generate) scores: bool,
}

impl Network {
    /// Runs the tokens and caches their keys and values. Returns one row of scores, a number for each token of the vocabulary, for
    /// each input that wants them, in order.
    ///
    /// `stopped` is asked between layers. When it says so the step ends with [`ModelError::Cancelled`], and no sequence has changed.
    pub(in crate::generate) fn step(
        &self,
        inputs: &mut [Input<'_>],
        stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let ids: Vec<u32> = inputs
            .iter()
            .flat_map(|input| input.tokens)
            .copied()
            .collect();
        let mut angles = Angles::default();
        let positions = inputs.iter().flat_map(|input| {
            let first = input.sequence.len();
            first..first + input.tokens.len()
        });
        self.config.rope.fill(positions, &mut angles);
        for input in inputs.iter_mut() {
            input.sequence.grow(input.tokens.len());
        }
        let mut x = self.embed(ids)?;
        let mut normed = self.buffers.take(x.len());
        for (index, layer) in self.layers.iter().enumerate() {
            if stopped() {
                return Err(ModelError::Cancelled);
            }
            rows::rms_norm(&x, &layer.attention_norm, self.config.epsilon, &mut normed);
            let context = self.attention(layer, index, (&normed, &angles), inputs)?;
            let width = self.heads().width();
            rows::add(&mut x, &self.product(&layer.mix, &context, width)?);
            rows::rms_norm(&x, &layer.inner_norm, self.config.epsilon, &mut normed);
            rows::add(&mut x, &self.feed_forward(layer, &normed)?);
        }
        let scores = self.scores(&x, inputs)?;
        for input in inputs {
            input.sequence.commit(input.tokens);
        }
        Ok(scores)
    }

    /// The scores behind the last tokens of the inputs that want them.
    fn scores(&self, x: &[f32], inputs: &[Input<'_>]) -> Result<Vec<Vec<f32>>, ModelError> {
        let hidden = self.config.hidden;
        let mut end = 0;
        let mut last = Vec::new();
        for input in inputs {
            end += input.tokens.len();
            if input.scores {
                let row = &x[(end - 1) * hidden..end * hidden];
                let start = last.len();
                last.resize(start + hidden, 0.0);
                rows::rms_norm_row(row, &self.norm, self.config.epsilon, &mut last[start..]);
            }
        }
        if last.is_empty() {
            return Ok(Vec::new());
        }
        let scores = self.product(&self.head, &last, hidden)?;
        let rows = scores.chunks_exact(self.config.vocabulary);
        Ok(rows.map(<[f32]>::to_vec).collect())
    }

    /// The product of rows of `width` numbers with one matrix.
    fn product(&self, weights: &Matrix, x: &[f32], width: usize) -> Result<Buffer<'_>, ModelError> {
        multiply(&[weights], x, width, &self.buffers)?
            .pop()
            .ok_or_else(lost)
    }

    fn embed(&self, ids: Vec<u32>) -> Result<Vec<f32>, ModelError> {
        let rows = self.embedding.embedding(&Tensor::new(ids, &Device::Cpu)?)?;
        Ok(rows.flatten_all()?.to_vec1()?)
    }

    fn feed_forward(&self, layer: &Layer, input: &[f32]) -> Result<Buffer<'_>, ModelError> {
        let results = multiply(
            &[&layer.gate, &layer.up],
            input,
            self.config.hidden,
            &self.buffers,
        )?;
        let [gate, up] = &results[..] else {
            return Err(lost());
        };
        let inner = self.config.inner;
        let mut gated = self.buffers.take(gate.len());
        rows::silu_times(gate, up, inner, &mut gated);
        self.product(&layer.down, &gated, inner)
    }

    fn attention(
        &self,
        layer: &Layer,
        index: usize,
        (input, angles): (&[f32], &Angles),
        inputs: &mut [Input<'_>],
    ) -> Result<Buffer<'_>, ModelError> {
        let (heads, hidden) = (self.heads(), self.config.hidden);
        let results = multiply(
            &[&layer.query, &layer.key, &layer.value],
            input,
            hidden,
            &self.buffers,
        )?;
        let [query, key, value] = &results[..] else {
            return Err(lost());
        };
        let mut queries = self.buffers.take(query.len());
        let place = Place {
            heads,
            layer,
            index,
            rope: &self.config.rope,
            angles,
            epsilon: self.config.epsilon,
        };
        place.write([query, key, value], &mut queries, inputs);
        let mut context = self.buffers.take(queries.len());
        attend(heads, spans(heads, index, inputs, &queries, &mut context));
        Ok(context)
    }
}

fn lost() -> ModelError {
    ModelError::Inference("a product has no result".to_owned())
}

/// One layer's part of the blocks of every sequence, with its queries and the place of its results.
fn spans<'a>(
    heads: Heads,
    layer: usize,
    inputs: &'a [Input<'_>],
    mut queries: &'a [f32],
    mut out: &'a mut [f32],
) -> Vec<Span<'a>> {
    let mut spans = Vec::with_capacity(inputs.len());
    for input in inputs {
        let numbers = input.tokens.len() * heads.width();
        let (own, rest) = queries.split_at(numbers);
        let (own_out, rest_out) = out.split_at_mut(numbers);
        let layer_of = |block: &'a Arc<Block>| block.layer(heads.layer_numbers(), layer);
        spans.push(Span {
            queries: own,
            out: own_out,
            first: input.sequence.len(),
            blocks: input.sequence.blocks.iter().map(layer_of).collect(),
        });
        (queries, out) = (rest, rest_out);
    }
    spans
}

/// Turns queries and keys and writes keys and values into the cache.
struct Place<'a> {
    heads: Heads,
    layer: &'a Layer,
    index: usize,
    rope: &'a Rope,
    angles: &'a Angles,
    epsilon: f32,
}

/// The rows of one sequence that fall into one block.
struct Part<'a> {
    /// Row of the first, counted over all sequences.
    row: usize,
    rows: usize,
    /// Place of the first row's token in the block.
    token: usize,
    queries: &'a mut [f32],
    block: &'a mut [f16],
}

impl Place<'_> {
    fn write(&self, products: [&[f32]; 3], queries: &mut [f32], inputs: &mut [Input<'_>]) {
        let parts = self.parts(queries, inputs);
        pool::for_each(parts, |mut part| self.write_part(products, &mut part));
    }

    fn parts<'b>(&self, mut queries: &'b mut [f32], inputs: &'b mut [Input<'_>]) -> Vec<Part<'b>> {
        let mut parts = Vec::new();
        let mut row = 0;
        for input in inputs {
            let first = input.sequence.len();
            let mut position = first;
            let end = first + input.tokens.len();
            for block in &mut input.sequence.blocks[first / BLOCK_TOKENS..] {
                let token = position % BLOCK_TOKENS;
                let rows = (BLOCK_TOKENS - token).min(end - position);
                if rows == 0 {
                    break;
                }
                let (own, rest) = queries.split_at_mut(rows * self.heads.width());
                queries = rest;
                let block = Arc::make_mut(block);
                parts.push(Part {
                    row,
                    rows,
                    token,
                    queries: own,
                    block: block.layer_mut(self.heads.layer_numbers(), self.index),
                });
                row += rows;
                position += rows;
            }
        }
        parts
    }

    fn write_part(&self, [query, key, value]: [&[f32]; 3], part: &mut Part<'_>) {
        let Heads { size, kv, .. } = self.heads;
        let width = self.heads.width();
        let norms = self.layer.head_norms.as_ref();
        let biases = self.layer.biases.as_ref();
        for row in 0..part.rows {
            let at = part.row + row;
            let queries = &mut part.queries[row * width..][..width];
            for head in 0..self.heads.count {
                let bias = biases.map(|b| &b.query[head * size..][..size]);
                let from = &query[at * width + head * size..][..size];
                let norm = norms.map(|norms| &norms.query[..]);
                self.turn(from, (bias, norm), at, &mut queries[head * size..][..size]);
            }
            for head in 0..kv {
                let mut turned = [0.0; MAX_HEAD];
                let turned = &mut turned[..size];
                let range = head * size..(head + 1) * size;
                let own = at * kv * size + range.start;
                let bias = biases.map(|b| &b.key[range.clone()]);
                let norm = norms.map(|norms| &norms.key[..]);
                self.turn(&key[own..own + size], (bias, norm), at, turned);
                let start = self.heads.key_at(head, part.token + row);
                part.block[start..start + size].convert_from_f32_slice(turned);
                turned.copy_from_slice(&value[own..own + size]);
                if let Some(biases) = biases {
                    add(turned, &biases.value[range]);
                }
                let start = start + self.heads.value_distance();
                part.block[start..start + size].convert_from_f32_slice(turned);
            }
        }
    }

    /// Adds the bias, normalises, and turns one head of the row `at`.
    fn turn(
        &self,
        head: &[f32],
        (bias, norm): (Option<&[f32]>, Option<&[f32]>),
        at: usize,
        out: &mut [f32],
    ) {
        let mut buffer = [0.0; MAX_HEAD];
        let size = head.len();
        let angles = at * size / 2..(at + 1) * size / 2;
        let (cos, sin) = (&self.angles.cos[angles.clone()], &self.angles.sin[angles]);
        match (bias, norm) {
            (None, None) => self.rope.turn(head, cos, sin, out),
            (None, Some(norm)) => {
                rows::rms_norm_row(head, norm, self.epsilon, &mut buffer[..size]);
                self.rope.turn(&buffer[..size], cos, sin, out);
            }
            (Some(bias), norm) => {
                buffer[..size].copy_from_slice(head);
                add(&mut buffer[..size], bias);
                if let Some(norm) = norm {
                    let biased = buffer;
                    rows::rms_norm_row(&biased[..size], norm, self.epsilon, &mut buffer[..size]);
                }
                self.rope.turn(&buffer[..size], cos, sin, out);
            }
        }
    }
}

fn add(x: &mut [f32], y: &[f32]) {
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
}
