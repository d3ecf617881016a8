//! Rotary position embedding: by which angles the numbers of a head are turned at a position.
//!
//! Angles are computed for the positions of a step, in f64, and rounded once: tables in half precision are why ready-made models
//! drift after some hundred tokens, and a table over all positions would only cost memory. The ways to stretch a model over more
//! positions than it was trained for follow the papers (linear interpolation; YaRN, arXiv 2309.00071, section 3) with the constants
//! of llama.cpp; factors of Llama 3 come as a tensor. An unknown way is refused: guessing would give fluent nonsense.

use crate::error::ModelError;
use crate::weights::numbers;

use super::arch::{Family, Pairs};
use super::config::{Keys, unsupported};
use super::gguf::Gguf;

/// Base of the frequencies when a file names none.
const DEFAULT_BASE: f64 = 10_000.0;
/// YaRN: rotations over the trained context above which a frequency is kept, and below which it is stretched.
const YARN_BETA_FAST: f64 = 32.0;
const YARN_BETA_SLOW: f64 = 1.0;
/// YaRN: growth of the attention's temperature with the logarithm of the factor.
const YARN_TEMPERATURE: f64 = 0.1;
/// Name of the tensor with Llama 3's factors.
const FACTORS: &str = "rope_freqs.weight";

/// Angles per position of one network.
#[derive(Clone, Debug)]
pub(super) struct Rope {
    pairs: Pairs,
    /// Angle per position of each pair.
    frequencies: Vec<f64>,
    /// What the turned numbers are scaled by; not 1 with YaRN only.
    scale: f32,
}

/// Cosine and sine for some positions: `head_dim / 2` of each per row.
#[derive(Default)]
pub(super) struct Angles {
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
}

impl Rope {
    /// Reads base, scaling and factors for heads of `head_dim`.
    pub(super) fn read(
        file: &Gguf,
        family: &'static Family,
        head_dim: usize,
    ) -> Result<Self, ModelError> {
        let keys = Keys { file, family };
        let turned = keys.number("rope.dimension_count")?;
        if turned.is_some_and(|turned| (turned - head_dim as f64).abs() > 0.5) {
            return Err(unsupported(file, "heads that are turned in part"));
        }
        let base = keys.number("rope.freq_base")?.unwrap_or(DEFAULT_BASE);
        if !base.is_finite() || base <= 1.0 {
            return Err(file.damaged(format!("{} is {base}", keys.name("rope.freq_base"))));
        }
        let mut frequencies: Vec<f64> = (0..head_dim / 2)
            .map(|pair| base.powf(-2.0 * pair as f64 / head_dim as f64))
            .collect();
        let scale = scale(&keys, base, &mut frequencies)?;
        if file.info(FACTORS).is_some() {
            let factors = numbers(&file.tensor(FACTORS, &[head_dim / 2])?)?;
            if !factors.iter().all(|factor| *factor > 0.0) {
                return Err(file.damaged(format!("tensor {FACTORS} is not positive")));
            }
            for (frequency, factor) in frequencies.iter_mut().zip(factors) {
                *frequency /= f64::from(factor);
            }
        }
        Ok(Self {
            pairs: family.pairs,
            frequencies,
            scale,
        })
    }

    /// Replaces `angles` by those of these positions, row after row.
    pub(super) fn fill(&self, positions: impl Iterator<Item = usize>, angles: &mut Angles) {
        angles.cos.clear();
        angles.sin.clear();
        for position in positions {
            for frequency in &self.frequencies {
                let (sin, cos) = (position as f64 * frequency).sin_cos();
                angles.cos.push(cos as f32 * self.scale);
                angles.sin.push(sin as f32 * self.scale);
            }
        }
    }

    /// Turns one head by the angles of its row, from `head` into `out`.
    pub(super) fn turn(&self, head: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]) {
        match self.pairs {
            Pairs::Halves => {
                let (first, second) = head.split_at(head.len() / 2);
                let (low, high) = out.split_at_mut(head.len() / 2);
                for i in 0..first.len() {
                    low[i] = first[i] * cos[i] - second[i] * sin[i];
                    high[i] = first[i] * sin[i] + second[i] * cos[i];
                }
            }
            Pairs::Neighbours => {
                let (pairs, _) = head.as_chunks::<2>();
                let (turned, _) = out.as_chunks_mut::<2>();
                for (i, ([x, y], out)) in pairs.iter().zip(turned).enumerate() {
                    *out = [x * cos[i] - y * sin[i], x * sin[i] + y * cos[i]];
                }
            }
        }
    }
}

/// Stretches the frequencies as the file says, and returns the scale of the turned numbers.
fn scale(keys: &Keys<'_>, base: f64, frequencies: &mut [f64]) -> Result<f32, ModelError> {
    let file = keys.file;
    let kind = file
        .text(&keys.name("rope.scaling.type"))?
        .unwrap_or("none");
    if kind == "none" {
        return Ok(1.0);
    }
    let factor = keys.number("rope.scaling.factor")?.unwrap_or(1.0);
    if !(1.0..=1024.0).contains(&factor) {
        return Err(file.damaged(format!("stretches positions by {factor}")));
    }
    match kind {
        "linear" => {
            for frequency in frequencies {
                *frequency /= factor;
            }
            Ok(1.0)
        }
        "yarn" => {
            let trained = keys.number("rope.scaling.original_context_length")?;
            let Some(trained) = trained.filter(|trained| *trained >= 1.0) else {
                return Err(file.damaged("stretches by yarn from no trained length"));
            };
            stretch_by_yarn(frequencies, base, factor, trained);
            let temperature = keys.number("rope.scaling.attn_factor")?.unwrap_or(1.0);
            Ok((temperature * (1.0 + YARN_TEMPERATURE * factor.ln())) as f32)
        }
        other => Err(unsupported(
            file,
            format!("positions stretched by {other:?}"),
        )),
    }
}

/// Keeps the frequencies that turn often within the trained context, divides those that hardly turn, and blends between.
fn stretch_by_yarn(frequencies: &mut [f64], base: f64, factor: f64, trained: f64) {
    let count = frequencies.len() as f64;
    let pair_with =
        |rotations: f64| count * (trained / (rotations * std::f64::consts::TAU)).ln() / base.ln();
    let low = pair_with(YARN_BETA_FAST).floor().max(0.0);
    let high = pair_with(YARN_BETA_SLOW).ceil().min(2.0 * count - 1.0);
    for (pair, frequency) in frequencies.iter_mut().enumerate() {
        let along = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
        *frequency = *frequency * (1.0 - along) + *frequency / factor * along;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(pairs: Pairs) -> Rope {
        Rope {
            pairs,
            frequencies: vec![1.0, 0.01],
            scale: 1.0,
        }
    }

    #[test]
    fn a_turn_keeps_lengths_and_depends_on_the_distance_only() {
        for pairs in [Pairs::Halves, Pairs::Neighbours] {
            let rope = rope(pairs);
            let (q, k) = ([0.3, -1.0, 2.0, 0.5], [1.0, 0.25, -0.5, 0.75]);
            let product = |at_q: usize, at_k: usize| {
                let mut angles = Angles::default();
                rope.fill([at_q, at_k].into_iter(), &mut angles);
                let (mut a, mut b) = ([0.0; 4], [0.0; 4]);
                rope.turn(&q, &angles.cos[..2], &angles.sin[..2], &mut a);
                rope.turn(&k, &angles.cos[2..], &angles.sin[2..], &mut b);
                a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>()
            };
            assert!((product(0, 0) - product(90_000, 90_000)).abs() < 1e-5);
            assert!((product(7, 2) - product(40_005, 40_000)).abs() < 1e-5);
            assert!((product(7, 2) - product(2, 7)).abs() > 1e-3);
        }
    }

    #[test]
    fn yarn_keeps_fast_frequencies_and_divides_slow_ones() {
        let base = 1e6f64;
        let plain: Vec<f64> = (0..64)
            .map(|pair| base.powf(-2.0 * f64::from(pair) / 128.0))
            .collect();
        let mut stretched = plain.clone();
        stretch_by_yarn(&mut stretched, base, 4.0, 32768.0);
        assert!((stretched[0] - plain[0]).abs() < 1e-12);
        assert!((stretched[63] - plain[63] / 4.0).abs() < 1e-12);
        assert!(stretched.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
