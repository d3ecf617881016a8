//! Layer normalisation of a sum: `norm(x + residual)`, the way BERT closes each half of a layer.

use candle_core::{CpuStorage, CustomOp2, Layout, Shape};
use pulp::{Arch, Simd, WithSimd};

use super::contiguous;

/// The weights of one normalisation. Their length must be a multiple of [`super::linear::WIDTH`].
pub(crate) struct AddNorm {
    /// Scale per column.
    pub(crate) weight: Vec<f32>,
    /// Offset per column.
    pub(crate) bias: Vec<f32>,
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

impl AddNorm {
    /// Normalises every row of `x` in place.
    pub(crate) fn normalise(&self, x: &mut [f32]) {
        Arch::new().dispatch(Normalise { norm: self, x });
    }
}

impl CustomOp2 for AddNorm {
    fn name(&self) -> &'static str {
        "add-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        if x_layout.shape() != residual_layout.shape()
            || x_layout.shape().dims2()?.1 != self.weight.len()
        {
            candle_core::bail!("the two sides of a normalised sum differ in shape");
        }
        let x = contiguous(x, x_layout)?;
        let residual = contiguous(residual, residual_layout)?;
        let mut sum: Vec<f32> = x.iter().zip(residual).map(|(x, r)| x + r).collect();
        self.normalise(&mut sum);
        Ok((CpuStorage::F32(sum), x_layout.shape().clone()))
    }
}

struct Normalise<'a> {
    norm: &'a AddNorm,
    x: &'a mut [f32],
}

impl WithSimd for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (weight, bias) = (
            S::as_simd_f32s(&self.norm.weight).0,
            S::as_simd_f32s(&self.norm.bias).0,
        );
        let columns = self.norm.weight.len();
        for row in self.x.chunks_exact_mut(columns) {
            let row = S::as_mut_simd_f32s(row).0;
            let mean = simd.splat_f32s(sum(simd, row, |x| x) / columns as f32);
            let square = |x| {
                let distance = simd.sub_f32s(x, mean);
                simd.mul_f32s(distance, distance)
            };
            let variance = sum(simd, row, square) / columns as f32;
            let scale = simd.splat_f32s(1.0 / (variance + self.norm.epsilon).sqrt());
            for ((x, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                let unit = simd.mul_f32s(simd.sub_f32s(*x, mean), scale);
                *x = simd.mul_add_e_f32s(unit, *weight, *bias);
            }
        }
    }
}

#[inline(always)]
fn sum<S: Simd>(simd: S, row: &[S::f32s], of: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let mut total = simd.splat_f32s(0.0);
    for x in row {
        total = simd.add_f32s(total, of(*x));
    }
    simd.reduce_sum_f32s(total)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::*;

    #[test]
    fn agrees_with_the_definition_in_f64() {
        let norm = AddNorm {
            weight: (0..32u8).map(f32::from).collect(),
            bias: vec![5.0; 32],
            epsilon: 1e-12,
        };
        let x: Vec<f32> = (0..96u8).map(|i| f32::from(i) * f32::from(i % 7)).collect();
        let half =
            Tensor::from_vec(x.iter().map(|x| x / 2.0).collect(), (3, 32), &Device::Cpu).unwrap();
        let got = half
            .apply_op2_no_bwd(&half, &norm)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap();
        for (got, x) in got.iter().zip(x.chunks_exact(32)) {
            let mean = x.iter().copied().map(f64::from).sum::<f64>() / 32.0;
            let variance = x
                .iter()
                .map(|x| (f64::from(*x) - mean).powi(2))
                .sum::<f64>()
                / 32.0;
            for (i, (got, x)) in got.iter().zip(x).enumerate() {
                let want = (f64::from(*x) - mean) / variance.sqrt() * i as f64 + 5.0;
                assert!(
                    (f64::from(*got) - want).abs() < 1e-5,
                    "column {i}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn different_shapes_are_an_error() {
        let norm = AddNorm {
            weight: vec![1.0; 32],
            bias: vec![0.0; 32],
            epsilon: 1e-12,
        };
        let one = Tensor::zeros((1, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
        let two = Tensor::zeros((2, 32), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(one.apply_op2_no_bwd(&two, &norm).is_err());
    }
}
