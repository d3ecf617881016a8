//! The weights of a decoder and its forward pass over the new tokens of several sequences.
//!
//! The tokens of all sequences of a step form one matrix with a row per token, so one product serves them all: that is where
//! batches get their speed. Only the attention looks at sequences. A row's result depends on the other rows in rounding only.
//!
//! Products are candle's, on quantised weights that stay in the mapped file (`weights`); what lies between is in `kernels`.

mod forward;
mod load;
#[cfg(test)]
mod tests;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Module, Storage, Tensor};

use crate::error::ModelError;
use crate::kernels::cached::Heads;

use super::config::Config;

pub(super) use forward::Input;

/// A loaded network.
pub(super) struct Network {
    config: Config,
    embedding: QTensor,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    head: QMatMul,
}

struct Layer {
    attention_norm: Vec<f32>,
    query: QMatMul,
    key: QMatMul,
    value: QMatMul,
    biases: Option<Biases>,
    head_norms: Option<HeadNorms>,
    mix: QMatMul,
    inner_norm: Vec<f32>,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
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

/// A matrix of f32 for candle's products.
fn matrix(numbers: Vec<f32>, width: usize) -> Result<Tensor, ModelError> {
    let rows = numbers.len() / width;
    Ok(Tensor::from_vec(numbers, (rows, width), &Device::Cpu)?)
}

/// Products that share their input. Candle does them in one go where it can, and quantises the input once.
fn products(weights: &[&QMatMul], x: &Tensor) -> Result<Vec<Tensor>, ModelError> {
    let tensors: Vec<&QTensor> = weights
        .iter()
        .filter_map(|weight| match weight {
            QMatMul::QTensor(tensor) => Some(tensor.as_ref()),
            QMatMul::Tensor(_) | QMatMul::TensorF16(_) => None,
        })
        .collect();
    if tensors.len() == weights.len()
        && let Some(results) = QTensor::gemv_fused_shared_lhs(&tensors, x)?
    {
        return Ok(results);
    }
    weights
        .iter()
        .map(|weight| Ok(weight.forward(x)?))
        .collect()
}

/// Shows the numbers of a contiguous tensor without a copy.
fn with_numbers<R>(tensor: &Tensor, look: impl FnOnce(&[f32]) -> R) -> Result<R, ModelError> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => {
            Ok(look(&storage.as_slice::<f32>()?[start..end]))
        }
        _ => Err(ModelError::Inference(
            "a result is not contiguous in memory".to_owned(),
        )),
    }
}
