//! The families of networks that the decoder computes. All share one forward pass; a family says where they differ.
//!
//! Adding a family: a file with its [`Family`] and a line in [`FAMILIES`]. A network that differs in more than these fields (hybrid
//! convolutions, experts) needs code in `forward` first, and is refused until then.

mod llama;
mod qwen2;
mod qwen3;

/// What is particular about a family.
#[derive(Debug)]
pub(super) struct Family {
    /// `general.architecture` of its files, and prefix of their values.
    pub(super) name: &'static str,
    /// Which two numbers of a head are turned together.
    pub(super) pairs: Pairs,
    /// Queries, keys and values have biases.
    pub(super) biased: bool,
    /// Every head of queries and keys is normalised before it is turned.
    pub(super) normed_heads: bool,
    /// Chat template of a file that has none.
    pub(super) template: &'static str,
    /// Texts of the tokens that end a turn, besides the ones the file names.
    pub(super) ends: &'static [&'static str],
}

/// How rotary position embedding pairs the numbers of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairs {
    /// 0 with 1, 2 with 3: files of llama are permuted so.
    Neighbours,
    /// The first half with the second.
    Halves,
}

/// In the order of their age.
const FAMILIES: &[&Family] = &[&llama::FAMILY, &qwen2::FAMILY, &qwen3::FAMILY];

/// The family of this name.
pub(super) fn find(name: &str) -> Option<&'static Family> {
    FAMILIES.iter().copied().find(|family| family.name == name)
}

/// All names, for the message about a file of another family.
pub(super) fn names() -> String {
    let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
    names.join(", ")
}
