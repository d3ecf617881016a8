//! Causal attention of new tokens over the keys and values that their sequence has cached.
//!
//! Keys and values are f16 in blocks of [`BLOCK_TOKENS`]; for each layer a block holds, head after head, the keys and then the values
//! of its tokens, one row of `size` numbers a token. All sums are f32. Softmax runs along with the sums, block by block (the
//! "online" form, arXiv 2205.14135), so no row of scores is ever longer than a block.
//!
//! One call is one parallel region over all sequences of a step. Rows of a prompt go to `tile`, which computes many rows at once;
//! a sequence with one new token goes to `token`, one task per head of keys. The result of a row depends on the other rows of the
//! call only in rounding, if at all.

mod tile;
mod token;

use std::cell::RefCell;

use ::half::f16;
use pulp::Arch;

use super::half::widen;
use super::pool;

/// Tokens per block.
pub(crate) const BLOCK_TOKENS: usize = 64;
/// Rows of queries times heads that share their keys in one tile: four AVX-512 vectors.
const LANES: usize = 64;
/// A score that no softmax notices; finite, so that differences stay numbers.
const NEVER: f32 = -1e30;

/// The heads of one layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heads {
    /// Of the queries.
    pub(crate) count: usize,
    /// Of keys and values.
    pub(crate) kv: usize,
    /// Numbers per head.
    pub(crate) size: usize,
}

impl Heads {
    /// Heads of queries that share keys.
    pub(crate) fn group(&self) -> usize {
        self.count / self.kv
    }

    /// Numbers of one row of queries.
    pub(crate) fn width(&self) -> usize {
        self.count * self.size
    }

    /// Numbers that one layer has in one block.
    pub(crate) fn layer_numbers(&self) -> usize {
        2 * self.kv * BLOCK_TOKENS * self.size
    }

    /// Where the key of a token starts in a layer's part of a block; the value is [`Heads::value_distance`] behind it.
    pub(crate) fn key_at(&self, head: usize, token: usize) -> usize {
        (2 * head * BLOCK_TOKENS + token) * self.size
    }

    /// See [`Heads::key_at`].
    pub(crate) fn value_distance(&self) -> usize {
        BLOCK_TOKENS * self.size
    }
}

/// The new tokens of one sequence. Their own keys and values are in the cache already.
pub(crate) struct Span<'a> {
    /// Queries, a row per token.
    pub(crate) queries: &'a [f32],
    /// Results, of the same shape.
    pub(crate) out: &'a mut [f32],
    /// Position of the first row.
    pub(crate) first: usize,
    /// This layer's part of each block, up to the one with the last row's token.
    pub(crate) blocks: Vec<&'a [f16]>,
}

/// Computes all spans.
pub(crate) fn attend(heads: Heads, spans: Vec<Span<'_>>) {
    let mut tasks = Vec::new();
    for span in spans {
        if span.queries.len() == heads.width() {
            split_token(heads, span, &mut tasks);
        } else {
            split_rows(heads, span, &mut tasks);
        }
    }
    // The last rows of a prompt see most: first in line, they leave no thread alone with them at the end.
    tasks.reverse();
    pool::for_each(tasks, |task| {
        SCRATCH.with_borrow_mut(|scratch| match task {
            Task::Rows(rows) => Arch::new().dispatch(tile::Tile {
                heads,
                rows,
                scratch,
            }),
            Task::Token(work) => Arch::new().dispatch(token::Token {
                heads,
                work,
                scratch,
            }),
        });
    });
}

enum Task<'a> {
    Rows(Rows<'a>),
    Token(OneHead<'a>),
}

/// Some rows of a span, all heads.
struct Rows<'a> {
    queries: &'a [f32],
    out: &'a mut [f32],
    first: usize,
    blocks: Vec<&'a [f16]>,
}

/// A single row, the heads that share one head of keys.
struct OneHead<'a> {
    queries: &'a [f32],
    out: &'a mut [f32],
    position: usize,
    head: usize,
    blocks: Vec<&'a [f16]>,
}

fn split_rows<'a>(heads: Heads, span: Span<'a>, tasks: &mut Vec<Task<'a>>) {
    let Span {
        queries,
        out,
        first,
        blocks,
    } = span;
    let rows = (LANES / heads.group()).max(1);
    let parts = queries
        .chunks(rows * heads.width())
        .zip(out.chunks_mut(rows * heads.width()));
    for (index, (queries, out)) in parts.enumerate() {
        let first = first + index * rows;
        let last = first + queries.len() / heads.width() - 1;
        tasks.push(Task::Rows(Rows {
            queries,
            out,
            first,
            blocks: blocks[..=last / BLOCK_TOKENS].to_vec(),
        }));
    }
}

fn split_token<'a>(heads: Heads, span: Span<'a>, tasks: &mut Vec<Task<'a>>) {
    let Span {
        queries,
        out,
        first,
        blocks,
    } = span;
    let width = heads.group() * heads.size;
    let parts = queries.chunks_exact(width).zip(out.chunks_exact_mut(width));
    for (head, (queries, out)) in parts.enumerate() {
        tasks.push(Task::Token(OneHead {
            queries,
            out,
            position: first,
            head,
            blocks: blocks.clone(),
        }));
    }
}

thread_local! {
    /// Buffers of a thread, some 200 KB, kept between calls.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Default)]
struct Scratch {
    /// Keys and values of one block and head as f32, a row per token.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Queries, one number of all lanes after the other.
    queries: Vec<f32>,
    /// Scores, then weights: for each key one number per lane.
    scores: Vec<f32>,
    /// Sums of weighted values, laid out like the queries.
    sums: Vec<f32>,
    /// Per lane: highest score so far, sum of the weights, and what older sums must be scaled by.
    highest: Vec<f32>,
    totals: Vec<f32>,
    rescale: Vec<f32>,
    /// Per lane: position of its token.
    positions: Vec<f32>,
}

impl Scratch {
    /// Unpacks keys and values of `tokens` tokens of a head, and zeros up to `padded` tokens.
    fn unpack(
        &mut self,
        heads: Heads,
        block: &[f16],
        head: usize,
        (tokens, padded): (usize, usize),
    ) {
        let start = heads.key_at(head, 0);
        for (half, out) in [
            (&block[start..], &mut self.keys),
            (&block[start + heads.value_distance()..], &mut self.values),
        ] {
            out.resize(BLOCK_TOKENS * heads.size, 0.0);
            widen(
                &half[..tokens * heads.size],
                &mut out[..tokens * heads.size],
            );
            out[tokens * heads.size..padded * heads.size].fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests;
