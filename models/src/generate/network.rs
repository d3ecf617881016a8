//! The weights of a decoder and its forward pass over the new tokens of several sequences.
//!
//! The tokens of all sequences of a step form one matrix with a row per token, so one product serves them all: that is where
//! batches get their speed. Only the attention looks at sequences. A row's result depends on the other rows in rounding only.
//!
//! The arithmetic is in `kernels`; what has no kernel there is multiplied by candle, on the weights in the mapped file (`weights`).

mod forward;
mod load;
#[cfg(test)]
mod tests;

use candle_core::quantized::QTensor;

use crate::kernels::buffers::Buffers;
use crate::kernels::cached::Heads;
use crate::kernels::quantised::Matrix;

use super::config::Config;

pub(super) use forward::Input;

/// A loaded network.
pub(super) struct Network {
    config: Config,
    embedding: QTensor,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: Matrix,
    /// Memory of the results inside a step.
    buffers: Buffers,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    biases: Option<Biases>,
    head_norms: Option<HeadNorms>,
    mix: Matrix,
    inner_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

struct Biases {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
}

struct HeadNorms {
    query: Vec<f32>,
    key: Vec<f32>,
}

impl Network {
    /// Its sizes.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The heads of every layer.
    pub(super) fn heads(&self) -> Heads {
        Heads {
            count: self.config.heads,
            kv: self.config.kv_heads,
            size: self.config.head_dim,
        }
    }
}
