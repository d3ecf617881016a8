//! Maximal marginal relevance: picks good candidates that do not say the same thing twice.

/// Weight of relevance against novelty; the value of the evaluation.
const LAMBDA: f32 = 0.75;

/// Indices of up to `limit` candidates in the order they were picked. `alike` compares two candidates, 0 to 1.
pub(super) fn pick(
    scores: &[f32],
    limit: usize,
    alike: impl Fn(usize, usize) -> f32,
) -> Vec<usize> {
    let mut picked: Vec<usize> = Vec::new();
    // Largest likeness of each candidate to anything picked so far.
    let mut nearest = vec![0.0_f32; scores.len()];
    while picked.len() < limit.min(scores.len()) {
        let gain = |at: usize| LAMBDA * scores[at] - (1.0 - LAMBDA) * nearest[at];
        let open = (0..scores.len()).filter(|at| !picked.contains(at));
        let Some(best) = open.max_by(|a, b| gain(*a).total_cmp(&gain(*b)).then(b.cmp(a))) else {
            break;
        };
        for (at, likeness) in nearest.iter_mut().enumerate() {
            *likeness = likeness.max(alike(at, best));
        }
        picked.push(best);
    }
    picked
}

/// Dot product of two vectors of length one.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Share of the terms that two sentences have in common, 0 to 1.
pub(super) fn overlap(a: &[u32], b: &[u32]) -> f32 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    let common = a.iter().filter(|term| b.contains(term)).count();
    common as f32 / a.len().min(b.len()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_gives_way_to_something_new() {
        let texts: [&[u32]; 3] = [&[1, 2, 3], &[1, 2, 3], &[7, 8]];
        let picked = pick(&[0.9, 0.89, 0.7], 2, |a, b| overlap(texts[a], texts[b]));
        assert_eq!(picked, [0, 2]);
    }

    #[test]
    fn ties_keep_the_order_and_limits_hold() {
        assert_eq!(pick(&[0.5, 0.5], 5, |_, _| 0.0), [0, 1]);
        assert!(pick(&[], 3, |_, _| 0.0).is_empty());
    }
}
