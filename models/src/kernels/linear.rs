//! A linear layer with packed weights: `x W^T + b`, with GELU when asked for.
//!
//! Shapes must be multiples of [`WIDTH`]; the configuration of a model is checked for that before its weights are read.

use candle_core::{CpuStorage, CustomOp1, Layout, Shape};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{Finish, Panels, Target, View, multiply};
use super::{contiguous, threads};

/// Layer sizes must be multiples of this: the widest panel, two AVX-512 vectors.
pub(crate) const WIDTH: usize = 32;
/// Fewest rows worth a thread of their own: one tile.
const MIN_ROWS_PER_THREAD: usize = 12;

/// What follows the product and the bias.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Nothing.
    None,
    /// GELU with the exact error function.
    Gelu,
}

/// The weights of one layer, ready for the kernel.
pub(crate) struct Linear {
    panels: Panels,
    bias: Vec<f32>,
    inputs: usize,
    activation: Activation,
}

impl Linear {
    /// `weight` is output x input, row-major, as model files have it; `bias` has one number per output.
    pub(crate) fn new(weight: &[f32], bias: Vec<f32>, activation: Activation) -> Self {
        let inputs = weight.len() / bias.len();
        let mut panels = Panels::default();
        panels.pack_transposed(View {
            data: weight,
            rows: bias.len(),
            columns: inputs,
            stride: inputs,
        });
        Self {
            panels,
            bias,
            inputs,
            activation,
        }
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        let rows = x.len() / self.inputs;
        let per_thread = rows.div_ceil(threads()).max(MIN_ROWS_PER_THREAD);
        if per_thread >= rows {
            return Arch::new().dispatch(Rows { layer: self, x, y });
        }
        let parts = y
            .par_chunks_mut(per_thread * self.bias.len())
            .zip(x.par_chunks(per_thread * self.inputs));
        parts.for_each(|(y, x)| Arch::new().dispatch(Rows { layer: self, x, y }));
    }
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, inputs) = layout.shape().dims2()?;
        if inputs != self.inputs {
            candle_core::bail!("a linear layer of {} inputs got {inputs}", self.inputs);
        }
        let mut out = vec![0.0; rows * self.bias.len()];
        self.apply(contiguous(storage, layout)?, &mut out);
        Ok((CpuStorage::F32(out), Shape::from((rows, self.bias.len()))))
    }
}

/// Some rows of one layer's work, for one thread.
struct Rows<'a> {
    layer: &'a Linear,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Linear {
            panels,
            bias,
            inputs,
            activation,
        } = self.layer;
        let left = View {
            data: self.x,
            rows: self.x.len() / inputs,
            columns: *inputs,
            stride: *inputs,
        };
        let finish = match activation {
            Activation::None => Finish::Bias(bias),
            Activation::Gelu => Finish::BiasGelu(bias),
        };
        let mut target = Target {
            data: self.y,
            columns: bias.len(),
            stride: bias.len(),
        };
        multiply(simd, left, panels, finish, &mut target, &mut Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    fn layer(activation: Activation) -> Linear {
        let weight: Vec<f32> = (0..64u16 * 32)
            .map(|i| f32::from(i % 11) * 0.1 - 0.5)
            .collect();
        Linear::new(
            &weight,
            (0..64u8).map(|i| f32::from(i) * 0.01).collect(),
            activation,
        )
    }

    fn run(op: &Linear, rows: usize) -> Vec<f32> {
        let x: Vec<f32> = (0..rows * 32)
            .map(|i| (i % 23) as f32 * 0.1 - 1.0)
            .collect();
        let x = Tensor::from_vec(x, (rows, 32), &Device::Cpu).unwrap();
        x.apply_op1_no_bwd(op)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    }

    #[test]
    fn agrees_with_candle() {
        let x: Vec<f32> = (0..50 * 32).map(|i| (i % 23) as f32 * 0.1 - 1.0).collect();
        let x = Tensor::from_vec(x, (50, 32), &Device::Cpu).unwrap();
        let weight: Vec<f32> = (0..64u16 * 32)
            .map(|i| f32::from(i % 11) * 0.1 - 0.5)
            .collect();
        let weight = Tensor::from_vec(weight, (64, 32), &Device::Cpu).unwrap();
        let bias: Vec<f32> = (0..64u8).map(|i| f32::from(i) * 0.01).collect();
        let want = x.matmul(&weight.t().unwrap()).unwrap();
        let want = want
            .broadcast_add(&Tensor::new(bias.as_slice(), &Device::Cpu).unwrap())
            .unwrap();
        for (activation, want) in [
            (Activation::None, want.clone()),
            (Activation::Gelu, want.gelu_erf().unwrap()),
        ] {
            let want: Vec<f32> = want.flatten_all().unwrap().to_vec1().unwrap();
            let got = run(&layer(activation), 50);
            let worst = got
                .iter()
                .zip(&want)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(worst < 2e-6, "{worst}");
        }
    }

    #[test]
    fn a_row_has_the_same_bits_in_every_batch() {
        let op = layer(Activation::Gelu);
        let many = run(&op, 200);
        for rows in [1, 5, 12, 13, 97] {
            assert_eq!(run(&op, rows), many[..rows * 64]);
        }
    }

    #[test]
    fn a_wrong_width_is_an_error() {
        let x = Tensor::zeros((2, 16), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(x.apply_op1_no_bwd(&layer(Activation::None)).is_err());
    }
}
