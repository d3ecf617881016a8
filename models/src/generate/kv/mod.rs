//! The cached keys and values of sequences, in blocks of 64 tokens.
//!
//! A block holds its tokens for all layers, so that memory is counted, shared and given back in one unit. Blocks are shared between
//! sequences that begin alike (`prefix`): a shared block is copied before anything is written to it. A sequence reserves its longest
//! possible length before it starts, so that none is ever stopped in the middle for want of memory.

mod prefix;

use std::sync::Arc;

use half::f16;

use crate::kernels::cached::{BLOCK_TOKENS, Heads};

use prefix::{Node, Prefix};

/// Keys and values of up to [`BLOCK_TOKENS`] tokens.
#[derive(Clone)]
pub(super) struct Block(Box<[f16]>);

impl Block {
    /// One layer's part.
    pub(super) fn layer(&self, numbers: usize, layer: usize) -> &[f16] {
        &self.0[layer * numbers..][..numbers]
    }

    /// The same, to be written.
    pub(super) fn layer_mut(&mut self, numbers: usize, layer: usize) -> &mut [f16] {
        &mut self.0[layer * numbers..][..numbers]
    }
}

/// Blocks needed for this many tokens.
pub(super) fn blocks_for(tokens: usize) -> usize {
    tokens.div_ceil(BLOCK_TOKENS)
}

/// The memory of one model's sequences.
pub(super) struct Cache {
    /// Numbers of one block.
    numbers: usize,
    /// Blocks that may exist.
    budget: usize,
    /// Blocks promised to sequences that run.
    reserved: usize,
    prefix: Prefix,
}

/// The tokens of one sequence that are cached.
pub(super) struct Sequence {
    pub(super) blocks: Vec<Arc<Block>>,
    /// The cached tokens; the blocks may hold more, of a step that was broken off.
    tokens: Vec<u32>,
    /// Node of the last full block, under which the next one is remembered.
    node: Node,
    reserved: usize,
    numbers: usize,
}

impl Cache {
    /// An empty cache that takes at most `bytes`, and at least one block.
    pub(super) fn new(layers: usize, heads: Heads, bytes: u64) -> Self {
        let numbers = layers * heads.layer_numbers();
        Self {
            numbers,
            budget: (bytes / (numbers * size_of::<f16>()) as u64).max(1) as usize,
            reserved: 0,
            prefix: Prefix::default(),
        }
    }

    /// Tokens of the longest sequence that can ever run.
    pub(super) fn capacity(&self) -> usize {
        self.budget * BLOCK_TOKENS
    }

    /// Bytes of the blocks that are promised or remembered.
    pub(super) fn bytes(&self) -> u64 {
        let blocks = self.reserved + self.prefix.unused();
        (blocks * self.numbers * size_of::<f16>()) as u64
    }

    /// Starts a sequence of at most `longest` tokens with what is cached of its beginning. None while there is no room.
    pub(super) fn begin(&mut self, prompt: &[u32], longest: usize) -> Option<Sequence> {
        let reserved = blocks_for(longest);
        if self.reserved + reserved > self.budget {
            return None;
        }
        let found = self.prefix.find(prompt);
        self.reserved += reserved;
        let sequence = Sequence {
            blocks: found.blocks,
            tokens: prompt[..found.tokens].to_vec(),
            node: found.node,
            reserved,
            numbers: self.numbers,
        };
        self.prefix.shrink(self.budget - self.reserved);
        Some(sequence)
    }

    /// Remembers the blocks that a sequence has filled since the last call, for others that begin alike.
    pub(super) fn remember(&mut self, sequence: &mut Sequence) {
        while let Some((block, tokens)) = sequence.next_full(sequence.node.depth) {
            sequence.node = self.prefix.insert(sequence.node, tokens, block);
        }
    }

    /// Ends a sequence. What it cached stays for others as long as there is room.
    pub(super) fn end(&mut self, mut sequence: Sequence) {
        self.remember(&mut sequence);
        let full = sequence.node.depth;
        let rest = &sequence.tokens[full * BLOCK_TOKENS..];
        if let Some(block) = sequence.blocks.get(full).filter(|_| !rest.is_empty()) {
            self.prefix.insert(sequence.node, rest, Arc::clone(block));
        }
        self.reserved -= sequence.reserved;
        drop(sequence);
        self.prefix.shrink(self.budget - self.reserved);
    }
}

impl Sequence {
    /// Number of cached tokens, which is the position of the next one.
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Adds blocks until there is room for `more` tokens.
    pub(super) fn grow(&mut self, more: usize) {
        let wanted = blocks_for(self.len() + more);
        while self.blocks.len() < wanted {
            let numbers = vec![f16::ZERO; self.numbers];
            self.blocks
                .push(Arc::new(Block(numbers.into_boxed_slice())));
        }
    }

    /// Counts tokens as cached, after all layers have written them.
    pub(super) fn commit(&mut self, tokens: &[u32]) {
        self.tokens.extend_from_slice(tokens);
    }

    fn next_full(&self, full: usize) -> Option<(Arc<Block>, &[u32])> {
        let tokens = self.tokens[full * BLOCK_TOKENS..].first_chunk::<BLOCK_TOKENS>()?;
        Some((Arc::clone(&self.blocks[full]), tokens))
    }
}

#[cfg(test)]
mod tests;
