//! Products of rows with quantised weights.
//!
//! candle lays weights out for its own kernels, but takes 6 bits for the four of `Q4_K` and 10 for the six of `Q6_K`, and scales in f32
//! after every 32 weights. With our tiles (`layout`, `tile`), in tokens per processor second of one core, Qwen3-0.6B's shape as
//! `Q4_K_M`, `make bench-models` before and after (`half::widen` and the buffers that are used again included): one sequence at 512
//! tokens 19.5 and 33.7, four 31 and 64, eight 40 and 68, prompts 160 and 214. llama.cpp in the last run: 24, 32, 32, and 126.
//!
//! Other formats and shapes, and processors without AVX-512, keep candle's products.

#[cfg(target_arch = "x86_64")]
mod activations;
#[cfg(target_arch = "x86_64")]
mod layout;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod tile;
#[cfg(target_arch = "x86_64")]
mod tiles;

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{DType, Device, Module, Result, Tensor};

use super::buffers::{Buffer, Buffers};
#[cfg(target_arch = "x86_64")]
use tiles::Tiles;

/// Rows of the warm-up of candle's products: fewer would leave its layouts for several rows unmade.
const WARM_ROWS: usize = 2;

/// The weights of one product, output x input.
pub(crate) enum Matrix {
    /// Laid out for our kernels.
    #[cfg(target_arch = "x86_64")]
    Tiled(Tiles),
    /// As candle has it.
    Plain(QMatMul),
}

impl Matrix {
    /// Takes a tensor as it is.
    pub(crate) fn new(tensor: QTensor) -> Result<Self> {
        Ok(Self::Plain(QMatMul::from_arc(Arc::new(tensor))?))
    }

    /// Lays the weights out for our kernels, if they can be.
    pub(crate) fn lay_out(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if let Self::Plain(QMatMul::QTensor(tensor)) = self
            && let Some(tiles) = Tiles::pack(tensor)
        {
            *self = Self::Tiled(tiles);
        }
    }

    /// Multiplies once: candle lays weights out at their first use, and the first prompt would wait for it.
    pub(crate) fn warm(&self) -> Result<()> {
        if let Self::Plain(QMatMul::QTensor(tensor)) = self {
            let (_, inputs) = tensor.shape().dims2()?;
            let x = Tensor::zeros((WARM_ROWS, inputs), DType::F32, &Device::Cpu)?;
            x.apply_op1_no_bwd(tensor.as_ref())?;
        }
        Ok(())
    }
}

/// The products of the same rows, of `width` numbers, with some weights: `x W^T` for each.
pub(crate) fn multiply<'a>(
    weights: &[&Matrix],
    x: &[f32],
    width: usize,
    buffers: &'a Buffers,
) -> Result<Vec<Buffer<'a>>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(tiles) = all(weights, |matrix| match matrix {
        Matrix::Tiled(tiles) => Some(tiles),
        Matrix::Plain(_) => None,
    }) {
        return Ok(tiles::multiply(&tiles, x, buffers));
    }
    let plain = all(weights, |matrix| match matrix {
        Matrix::Plain(plain) => Some(plain),
        #[cfg(target_arch = "x86_64")]
        Matrix::Tiled(_) => None,
    });
    match plain {
        Some(plain) => {
            let results = multiply_plain(&plain, x, width)?;
            Ok(results.into_iter().map(|one| buffers.adopt(one)).collect())
        }
        None => weights
            .iter()
            .map(|one| Ok(multiply(&[one], x, width, buffers)?.swap_remove(0)))
            .collect(),
    }
}

fn all<'a, T>(weights: &[&'a Matrix], kind: impl Fn(&'a Matrix) -> Option<T>) -> Option<Vec<T>> {
    weights.iter().map(|matrix| kind(matrix)).collect()
}

/// candle does weights of one type in one go where it can, and rounds the rows once.
fn multiply_plain(weights: &[&QMatMul], x: &[f32], width: usize) -> Result<Vec<Vec<f32>>> {
    let x = Tensor::from_slice(x, (x.len() / width, width), &Device::Cpu)?;
    let tensors: Option<Vec<&QTensor>> = weights
        .iter()
        .map(|weights| match weights {
            QMatMul::QTensor(tensor) => Some(tensor.as_ref()),
            QMatMul::Tensor(_) | QMatMul::TensorF16(_) => None,
        })
        .collect();
    if let Some(tensors) = tensors.filter(|all| all.iter().all(|t| t.dtype() == all[0].dtype()))
        && let Some(results) = QTensor::gemv_fused_shared_lhs(&tensors, &x)?
    {
        return results.iter().map(numbers).collect();
    }
    weights
        .iter()
        .map(|weights| numbers(&weights.forward(&x)?))
        .collect()
}

fn numbers(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
