//! Which sentence of a cited passage a claim rests on: the one that shares the most words with it.

use std::{collections::HashSet, ops::Range};

use crate::extractive::{fold::fold, sentences::sentences};

use super::sources::Sources;

/// Shorter words without a digit say little about what a claim is.
const MIN_WORD_CHARS: usize = 3;

/// The best place among some passages, and the share of the claim's words that stand there, 0 to 1.
pub(super) fn best_place(
    sources: &Sources<'_>,
    among: &[usize],
    claim: &str,
) -> Option<(usize, Range<usize>, f32)> {
    let wanted = words(claim);
    let mut best: Option<(usize, Range<usize>, usize)> = None;
    for &at in among {
        let text = &sources.passage(at).text;
        for range in sentences(text) {
            let shared = words(&text[range.clone()]).intersection(&wanted).count();
            if best.as_ref().is_none_or(|(_, _, most)| shared > *most) {
                best = Some((at, range, shared));
            }
        }
    }
    let (at, range, shared) = best?;
    Some((at, range, shared as f32 / wanted.len().max(1) as f32))
}

fn words(text: &str) -> HashSet<String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| {
            word.chars().count() >= MIN_WORD_CHARS || word.contains(|c: char| c.is_ascii_digit())
        })
        .map(str::to_owned)
        .collect()
}
