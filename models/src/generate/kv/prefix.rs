//! Blocks of ended and running sequences, found again by the tokens they hold.
//!
//! The blocks form a tree: a node is reached from the one before it by its tokens, so a block is reused only after exactly the same
//! beginning. Tokens are compared, not hashes: a collision would answer from another document. The tree has at most some hundred
//! nodes, which a scan goes through in microseconds.

use std::sync::Arc;

use crate::kernels::cached::BLOCK_TOKENS;

use super::Block;

/// A place in the tree; the default is its root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    id: u64,
    /// Full blocks up to here.
    pub(super) depth: usize,
}

struct Entry {
    node: Node,
    parent: u64,
    tokens: Vec<u32>,
    block: Arc<Block>,
    /// When it was last used, in calls of `find` and `insert`.
    used: u64,
}

/// The tree.
#[derive(Default)]
pub(super) struct Prefix {
    entries: Vec<Entry>,
    ids: u64,
    clock: u64,
}

/// What is cached of a prompt's beginning.
#[derive(Default)]
pub(super) struct Found {
    pub(super) blocks: Vec<Arc<Block>>,
    pub(super) tokens: usize,
    /// Of the last full block.
    pub(super) node: Node,
}

impl Prefix {
    /// The longest known beginning of a prompt, its last token always left out: its scores must be computed.
    pub(super) fn find(&mut self, prompt: &[u32]) -> Found {
        self.clock += 1;
        let mut found = Found::default();
        let wanted = &prompt[..prompt.len().saturating_sub(1)];
        while let Some((index, tokens)) = self.best_child(found.node, &wanted[found.tokens..]) {
            let entry = &mut self.entries[index];
            entry.used = self.clock;
            found.blocks.push(Arc::clone(&entry.block));
            found.tokens += tokens;
            if tokens < BLOCK_TOKENS {
                break;
            }
            found.node = entry.node;
        }
        found
    }

    /// Adds a block behind `parent`; a known one, or one that holds more, is kept instead.
    pub(super) fn insert(&mut self, parent: Node, tokens: &[u32], block: Arc<Block>) -> Node {
        self.clock += 1;
        let clock = self.clock;
        let mut children = self
            .entries
            .iter_mut()
            .filter(|entry| entry.parent == parent.id);
        if let Some(known) = children.find(|entry| entry.tokens.starts_with(tokens)) {
            known.used = clock;
            return known.node;
        }
        self.entries.retain(|entry| {
            entry.parent != parent.id
                || entry.tokens.len() == BLOCK_TOKENS
                || !tokens.starts_with(&entry.tokens)
        });
        self.ids += 1;
        let full = tokens.len() == BLOCK_TOKENS;
        let node = Node {
            id: self.ids,
            depth: parent.depth + usize::from(full),
        };
        self.entries.push(Entry {
            node,
            parent: parent.id,
            tokens: tokens.to_vec(),
            block,
            used: clock,
        });
        node
    }

    /// Blocks that no sequence uses.
    pub(super) fn unused(&self) -> usize {
        let unused = |entry: &&Entry| Arc::strong_count(&entry.block) == 1;
        self.entries.iter().filter(unused).count()
    }

    /// Forgets unused blocks, the longest unused first, until at most `keep` are left. A block is forgotten after those behind it.
    pub(super) fn shrink(&mut self, keep: usize) {
        while self.unused() > keep {
            let leaves = self.entries.iter().enumerate().filter(|(_, entry)| {
                Arc::strong_count(&entry.block) == 1
                    && !self
                        .entries
                        .iter()
                        .any(|other| other.parent == entry.node.id)
            });
            let Some((index, _)) = leaves.min_by_key(|(_, entry)| entry.used) else {
                return;
            };
            self.entries.swap_remove(index);
        }
    }

    fn best_child(&self, node: Node, wanted: &[u32]) -> Option<(usize, usize)> {
        let common = |entry: &Entry| {
            let pairs = entry.tokens.iter().zip(wanted);
            pairs.take_while(|(a, b)| a == b).count()
        };
        let children = self.entries.iter().enumerate();
        let children = children.filter(|(_, entry)| entry.parent == node.id);
        let found = children.map(|(index, entry)| (index, common(entry)));
        found
            .filter(|(_, tokens)| *tokens > 0)
            .max_by_key(|(_, tokens)| *tokens)
    }
}
