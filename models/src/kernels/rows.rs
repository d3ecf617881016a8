//! What the decoder does between products, row by row: normalisation, gating, sums.

use pulp::{Arch, Simd, WithSimd};

use super::{math, pool};

/// Rows given to a thread at a time: less work than this is not worth waking one.
const ROWS_PER_TASK: usize = 16;

/// `out = x / rms(x) * weight`, a row of `weight.len()` numbers at a time.
pub(crate) fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let width = ROWS_PER_TASK * weight.len();
    let tasks: Vec<_> = x.chunks(width).zip(out.chunks_mut(width)).collect();
    pool::for_each(tasks, |(x, out)| {
        Arch::new().dispatch(RmsNorm {
            x,
            weight,
            epsilon,
            out,
        });
    });
}

/// The same for one row, without leaving the thread.
pub(crate) fn rms_norm_row(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    Arch::new().dispatch(RmsNorm {
        x,
        weight,
        epsilon,
        out,
    });
}

/// `out = silu(gate) * up` over rows of `width` numbers.
pub(crate) fn silu_times(gate: &[f32], up: &[f32], width: usize, out: &mut [f32]) {
    let width = ROWS_PER_TASK * width;
    let parts = gate.chunks(width).zip(up.chunks(width));
    let tasks: Vec<_> = parts.zip(out.chunks_mut(width)).collect();
    pool::for_each(tasks, |((gate, up), out)| {
        Arch::new().dispatch(SiluTimes { gate, up, out });
    });
}

/// `x += y`.
pub(crate) fn add(x: &mut [f32], y: &[f32]) {
    Arch::new().dispatch(Add { x, y });
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    epsilon: f32,
    out: &'a mut [f32],
}

impl WithSimd for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = self.weight.len();
        let weight = S::as_simd_f32s(self.weight).0;
        let rows = self
            .x
            .chunks_exact(width)
            .zip(self.out.chunks_exact_mut(width));
        for (x, out) in rows {
            let x = S::as_simd_f32s(x).0;
            let mut squares = simd.splat_f32s(0.0);
            for x in x {
                squares = simd.mul_add_e_f32s(*x, *x, squares);
            }
            let mean = simd.reduce_sum_f32s(squares) / width as f32;
            let scale = simd.splat_f32s(1.0 / (mean + self.epsilon).sqrt());
            let out = S::as_mut_simd_f32s(out).0;
            for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
                *out = simd.mul_f32s(simd.mul_f32s(*x, scale), *weight);
            }
        }
    }
}

struct SiluTimes<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for SiluTimes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let inputs = S::as_simd_f32s(self.gate)
            .0
            .iter()
            .zip(S::as_simd_f32s(self.up).0);
        let outputs = S::as_mut_simd_f32s(self.out).0;
        for (out, (gate, up)) in outputs.iter_mut().zip(inputs) {
            *out = simd.mul_f32s(math::silu(simd, *gate), *up);
        }
    }
}

struct Add<'a> {
    x: &'a mut [f32],
    y: &'a [f32],
}

impl WithSimd for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let x = S::as_mut_simd_f32s(self.x).0;
        for (x, y) in x.iter_mut().zip(S::as_simd_f32s(self.y).0) {
            *x = simd.add_f32s(*x, *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 29) % 61) as f32 * 0.1 - 3.0)
            .collect()
    }

    #[test]
    fn a_normalised_row_has_unit_mean_square() {
        let (x, weight) = (numbers(50 * 64), vec![2.0; 64]);
        let mut out = vec![0.0; x.len()];
        rms_norm(&x, &weight, 1e-6, &mut out);
        for row in out.chunks_exact(64) {
            let mean = row.iter().map(|x| x * x).sum::<f32>() / 64.0;
            assert!((mean - 4.0).abs() < 1e-4, "{mean}");
        }
        let mut one = vec![0.0; 64];
        rms_norm_row(&x[64..128], &weight, 1e-6, &mut one);
        assert_eq!(one, out[64..128]);
    }

    #[test]
    fn gates_and_sums_agree_with_scalars() {
        let (gate, up) = (numbers(40 * 32), numbers(40 * 32 + 7));
        let mut out = vec![0.0; gate.len()];
        silu_times(&gate, &up[7..], 32, &mut out);
        for ((out, gate), up) in out.iter().zip(&gate).zip(&up[7..]) {
            assert!((out - gate / (1.0 + (-gate).exp()) * up).abs() < 1e-5);
        }
        let mut sum = gate.clone();
        add(&mut sum, &out);
        assert!(
            sum.iter()
                .zip(gate.iter().zip(&out))
                .all(|(s, (a, b))| (s - (a + b)).abs() < 1e-6)
        );
    }
}
