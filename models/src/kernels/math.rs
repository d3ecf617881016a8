//! `exp`, GELU and SiLU over vectors of f32.
//!
//! The scalar functions of libm took a fifth of the time of a BERT forward (profile of candle's model). These are accurate to about
//! 2e-7, the rounding of f32 itself, which is what the parity test with the f64 reference relies on.

use pulp::Simd;

/// Below this `exp` is a subnormal number; we return the smallest normal one, 1e-38, instead.
const EXP_MIN: f32 = -87.0;
/// 1.5 * 2^23: adding it moves the integer part of a small number into the lowest bits of the mantissa.
const ROUND_TO_INT: f32 = 12_582_912.0;
/// Width of the f32 mantissa: shifting an integer by it puts it into the exponent.
const MANTISSA_BITS: u32 = 23;
/// ln 2 in two parts: the first has so few bits that its product with an exponent is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// 1/7!, 1/6!, .. 1/0!: the Taylor series of `exp`, whose remainder on |x| <= ln(2)/2 is 5e-9.
const EXP_SERIES: [f32; 8] = [
    1.0 / 5040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
    1.0,
];

/// `exp(x)` for `x <= 0`.
#[inline(always)]
pub(super) fn exp_negative<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = simd.max_f32s(x, simd.splat_f32s(EXP_MIN));
    let rounder = simd.splat_f32s(ROUND_TO_INT);
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), rounder);
    let exponent = simd.sub_f32s(shifted, rounder);
    let rest = simd.mul_add_e_f32s(exponent, simd.splat_f32s(-LN_2_HIGH), x);
    let rest = simd.mul_add_e_f32s(exponent, simd.splat_f32s(-LN_2_LOW), rest);
    let fraction = series(simd, rest, &EXP_SERIES);
    let bits = simd.wrapping_dyn_shl_u32s(
        simd.transmute_u32s_f32s(shifted),
        simd.splat_u32s(MANTISSA_BITS),
    );
    simd.transmute_f32s_u32s(simd.add_u32s(simd.transmute_u32s_f32s(fraction), bits))
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
fn series<S: Simd>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut sum = simd.splat_f32s(0.0);
    for &coefficient in coefficients {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(coefficient));
    }
    sum
}

/// SiLU: `x / (1 + exp(-x))`. The exponential serves up to 87 as well as below zero; beyond, the quotient is zero in f32 anyway.
#[inline(always)]
pub(super) fn silu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let negative = simd.sub_f32s(simd.splat_f32s(0.0), x);
    let power = exp_negative(simd, simd.min_f32s(negative, simd.splat_f32s(-EXP_MIN)));
    simd.div_f32s(x, simd.add_f32s(simd.splat_f32s(1.0), power))
}

/// Abramowitz and Stegun, formula 7.1.26: erfc(z) = t (a1 + a2 t + .. a5 t^4) exp(-z^2) with t = 1 / (1 + p z), error <= 1.5e-7.
const ERFC_P: f32 = 0.327_591_1;
/// a5 .. a1 of the same formula, then its factor t without a constant.
const ERFC_SERIES: [f32; 6] = [
    1.061_405_4,
    -1.453_152,
    1.421_413_7,
    -0.284_496_73,
    0.254_829_6,
    0.0,
];

/// GELU with the exact error function: x times the normal distribution function at x.
///
/// Written as `max(x, 0) - |x| erfc(|x| / sqrt 2) / 2`, which loses no digits for negative x.
#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    // Not abs and neg: pulp builds them from bit operations that are not inlined at the optimisation level of debug builds.
    let size = simd.max_f32s(x, simd.sub_f32s(zero, x));
    let scaled = simd.mul_f32s(size, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
    let one = simd.splat_f32s(1.0);
    let t = simd.div_f32s(
        one,
        simd.mul_add_e_f32s(scaled, simd.splat_f32s(ERFC_P), one),
    );
    let gauss = exp_negative(simd, simd.sub_f32s(zero, simd.mul_f32s(scaled, scaled)));
    let erfc = simd.mul_f32s(series(simd, t, &ERFC_SERIES), gauss);
    let tail = simd.mul_f32s(simd.mul_f32s(size, simd.splat_f32s(0.5)), erfc);
    simd.sub_f32s(simd.max_f32s(x, zero), tail)
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Apply<'a, F>(&'a mut [f32], F);

    trait Function {
        fn call<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s;
    }
    struct Exp;
    impl Function for Exp {
        fn call<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s {
            exp_negative(simd, x)
        }
    }
    struct Silu;
    impl Function for Silu {
        fn call<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s {
            silu(simd, x)
        }
    }
    struct Gelu;
    impl Function for Gelu {
        fn call<S: Simd>(&self, simd: S, x: S::f32s) -> S::f32s {
            gelu(simd, x)
        }
    }
    impl<F: Function> WithSimd for Apply<'_, F> {
        type Output = ();
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = self.1.call(simd, *x);
            }
        }
    }

    /// 1600 points from `low` to `high`: a multiple of every vector width.
    fn points(low: f32, high: f32) -> Vec<f32> {
        (0..1600u16)
            .map(|i| low + (high - low) * f32::from(i) / 1599.0)
            .collect()
    }

    /// The error function in f64: its Maclaurin series, which converges everywhere and is exact enough below 5.
    fn erf(x: f64) -> f64 {
        if x.abs() > 5.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn exp_agrees_with_f64() {
        let xs = points(-86.9, 0.0);
        let mut ys = xs.clone();
        Arch::new().dispatch(Apply(&mut ys, Exp));
        for (x, y) in xs.iter().zip(&ys) {
            let want = f64::from(*x).exp();
            assert!(
                (f64::from(*y) / want - 1.0).abs() < 3e-7,
                "exp({x}) = {y}, not {want}"
            );
        }
    }

    #[test]
    fn exp_of_very_small_numbers_is_tiny_and_finite() {
        let mut ys = vec![-1e30f32; 64];
        Arch::new().dispatch(Apply(&mut ys, Exp));
        assert!(ys.iter().all(|y| (0.0..1e-37).contains(y)));
    }

    #[test]
    fn gelu_agrees_with_f64() {
        let xs = points(-12.0, 12.0);
        let mut ys = xs.clone();
        Arch::new().dispatch(Apply(&mut ys, Gelu));
        for (x, y) in xs.iter().zip(&ys) {
            let x = f64::from(*x);
            let want = 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2));
            assert!(
                (f64::from(*y) - want).abs() < 3e-7 * (1.0 + x.abs()),
                "gelu({x}) = {y}, not {want}"
            );
        }
    }

    #[test]
    fn silu_agrees_with_f64() {
        let xs = points(-120.0, 120.0);
        let mut ys = xs.clone();
        Arch::new().dispatch(Apply(&mut ys, Silu));
        for (x, y) in xs.iter().zip(&ys) {
            let x = f64::from(*x);
            let want = x / (1.0 + (-x).exp());
            assert!(
                (f64::from(*y) - want).abs() < 3e-7 * (1.0 + x.abs()),
                "silu({x}) = {y}, not {want}"
            );
        }
    }
}
