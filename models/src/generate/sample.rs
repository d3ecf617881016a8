//! The choice of the next token from its scores.
//!
//! The best `top_k` are selected before anything else: with a vocabulary of 152,000 tokens, a softmax over all of them takes 6 ms a
//! token and a selection 0.5 ms. Then the repeat penalty, temperature, `top_p` and `min_p`, in this order. The same seed and scores
//! give the same tokens on any machine; the scores themselves differ in rounding between machines and batches.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Tokens back for which the repeat penalty holds.
const PENALTY_WINDOW: usize = 64;
/// Candidates that are looked at when `top_k` names none.
const MAX_CANDIDATES: usize = 1024;

/// How to choose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the best token always; higher is more varied.
    pub temperature: f32,
    /// Candidates, the best ones; 0 for as many as make a difference (1024).
    pub top_k: usize,
    /// Fewest candidates that have this probability together; 1 for all.
    pub top_p: f32,
    /// Candidates with at least this share of the best one's probability; 0 for all.
    pub min_p: f32,
    /// What the scores of the last 64 tokens are divided by (multiplied, when negative); 1 for no penalty.
    pub repeat_penalty: f32,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    /// Always the best token, and a light penalty: answers from documents should not vary, and small models tend to loop.
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.0,
            repeat_penalty: 1.1,
            seed: 0,
        }
    }
}

/// The state of one sequence's choices.
pub(super) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    /// The last tokens, in a ring.
    recent: Vec<u32>,
    next: usize,
    /// Candidates of the last choice; kept for its memory.
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling) -> Self {
        Self {
            sampling,
            random: ChaCha8Rng::seed_from_u64(sampling.seed),
            recent: Vec::with_capacity(PENALTY_WINDOW),
            next: 0,
            candidates: Vec::new(),
        }
    }

    /// Chooses a token. Scores that are no numbers are never chosen; none when all are such.
    pub(super) fn choose(&mut self, scores: &mut [f32]) -> Option<u32> {
        self.penalise(scores);
        let token = if self.sampling.temperature > 0.0 {
            self.draw(scores)
        } else {
            best(scores)
        }?;
        if self.recent.len() < PENALTY_WINDOW {
            self.recent.push(token);
        } else {
            self.recent[self.next] = token;
            self.next = (self.next + 1) % PENALTY_WINDOW;
        }
        Some(token)
    }

    fn penalise(&self, scores: &mut [f32]) {
        let penalty = self.sampling.repeat_penalty;
        for (index, &token) in self.recent.iter().enumerate() {
            let again = self.recent[..index].contains(&token);
            if let Some(score) = scores.get_mut(token as usize).filter(|_| !again) {
                *score = if *score > 0.0 {
                    *score / penalty
                } else {
                    *score * penalty
                };
            }
        }
    }

    fn draw(&mut self, scores: &[f32]) -> Option<u32> {
        let limit = match self.sampling.top_k {
            0 => MAX_CANDIDATES,
            top_k => top_k,
        };
        let candidates = &mut self.candidates;
        candidates.clear();
        let numbered = scores.iter().copied().zip(0..);
        candidates.extend(numbered.filter(|(score, _)| score.is_finite()));
        let order = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if candidates.len() > limit {
            candidates.select_nth_unstable_by(limit - 1, order);
            candidates.truncate(limit);
        }
        candidates.sort_unstable_by(order);
        let &(top, _) = candidates.first()?;
        let temperature = self.sampling.temperature;
        let weights = candidates.iter_mut();
        weights.for_each(|(score, _)| *score = ((*score - top) / temperature).exp());
        let total: f32 = candidates.iter().map(|(weight, _)| weight).sum();
        let (mut sum, mut kept) = (0.0, 0.0);
        let mut count = 0;
        for (weight, _) in candidates.iter() {
            if count > 0 && (sum >= self.sampling.top_p * total || *weight < self.sampling.min_p) {
                break;
            }
            sum += weight;
            kept += weight;
            count += 1;
        }
        // 24 bits are what an f32 below 1 holds.
        let draw = (self.random.next_u32() >> 8) as f32 / (1u32 << 24) as f32 * kept;
        let mut passed = 0.0;
        let chosen = candidates[..count].iter().find(|(weight, _)| {
            passed += weight;
            passed > draw
        });
        Some(chosen.unwrap_or(&candidates[count - 1]).1)
    }
}

/// The highest score; of equal ones the lowest token.
fn best(scores: &[f32]) -> Option<u32> {
    let mut best: Option<(f32, u32)> = None;
    for (&score, token) in scores.iter().zip(0..) {
        if score.is_finite() && best.is_none_or(|(top, _)| score > top) {
            best = Some((score, token));
        }
    }
    best.map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(temperature: f32) -> Sampling {
        Sampling {
            temperature,
            top_k: 0,
            top_p: 1.0,
            repeat_penalty: 1.0,
            ..Sampling::default()
        }
    }

    fn draws(sampling: Sampling, scores: &[f32], count: usize) -> Vec<u32> {
        let mut sampler = Sampler::new(sampling);
        (0..count)
            .map(|_| sampler.choose(&mut scores.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn without_temperature_the_best_wins_and_ties_go_to_the_lowest() {
        assert_eq!(draws(plain(0.0), &[1.0, 3.0, 3.0, f32::NAN], 2), [1, 1]);
        assert_eq!(Sampler::new(plain(0.0)).choose(&mut [f32::NAN; 3]), None);
        assert_eq!(Sampler::new(plain(1.0)).choose(&mut [f32::NAN; 3]), None);
    }

    #[test]
    fn a_seed_decides() {
        let scores: Vec<f32> = (0..50u8).map(|i| f32::from(i % 7)).collect();
        let seeded = |seed| draws(Sampling { seed, ..plain(1.0) }, &scores, 40);
        assert_eq!(seeded(1), seeded(1));
        assert_ne!(seeded(1), seeded(2));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let scores: Vec<f32> = [0.6f32, 0.3, 0.1].iter().map(|p| p.ln()).collect();
        let drawn = draws(plain(1.0), &scores, 20_000);
        for (token, share) in [(0, 0.6), (1, 0.3), (2, 0.1)] {
            let found = drawn.iter().filter(|&&d| d == token).count() as f64 / 20_000.0;
            assert!((found - share).abs() < 0.015, "{token}: {found}");
        }
    }

    #[test]
    fn each_limit_removes_candidates() {
        let scores: Vec<f32> = [0.5f32, 0.3, 0.15, 0.05].iter().map(|p| p.ln()).collect();
        let highest = |sampling| draws(sampling, &scores, 2000).into_iter().max().unwrap();
        assert_eq!(highest(plain(1.0)), 3);
        assert_eq!(
            highest(Sampling {
                top_k: 2,
                ..plain(1.0)
            }),
            1
        );
        assert_eq!(
            highest(Sampling {
                top_p: 0.75,
                ..plain(1.0)
            }),
            1
        );
        assert_eq!(
            highest(Sampling {
                min_p: 0.2,
                ..plain(1.0)
            }),
            2
        );
    }

    #[test]
    fn a_repeated_token_loses_to_one_nearly_as_good() {
        let penalised = Sampling {
            repeat_penalty: 1.5,
            ..plain(0.0)
        };
        assert_eq!(draws(penalised, &[2.0, 1.9, -1.0], 3), [0, 1, 0]);
        assert_eq!(draws(penalised, &[-1.0, -1.2, -9.0], 2), [0, 1]);
    }
}
