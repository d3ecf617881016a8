//! Which texts are computed together.
//!
//! Batches are cut by tokens, not by texts: with a fixed number of texts every engine we measured became slower from 8 to 64 texts,
//! because the intermediate results left the cache. Longest first, so that the last batches are the short ones and no core waits long.

/// Tokens per batch. Sentences per second of CPU time, 512 sentences of 43 tokens, median of 3 runs on one core: 163 with 64 tokens,
/// 178 with 128, 182 with 256, 179 with 512 and 1024, 170 with 2048. Smaller batches also stop sooner when cancelled.
const TOKEN_BUDGET: usize = 256;

/// Groups the indices of the texts, given their lengths in tokens. A text longer than the budget is a batch of its own.
pub(super) fn plan(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0;
    for index in order {
        match batches.last_mut() {
            Some(batch) if lengths[index] <= room => batch.push(index),
            _ => {
                batches.push(vec![index]);
                room = TOKEN_BUDGET;
            }
        }
        room = room.saturating_sub(lengths[index]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_within_the_budget(lengths in proptest::collection::vec(1usize..400, 0..60)) {
            let batches = plan(&lengths);
            let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for batch in &batches {
                let tokens: usize = batch.iter().map(|&index| lengths[index]).sum();
                prop_assert!(batch.len() == 1 || tokens <= TOKEN_BUDGET);
            }
        }

        #[test]
        fn no_two_neighbouring_batches_fit_into_one(lengths in proptest::collection::vec(1usize..400, 0..60)) {
            for pair in plan(&lengths).windows(2) {
                let first: usize = pair[0].iter().map(|&index| lengths[index]).sum();
                prop_assert!(first + lengths[pair[1][0]] > TOKEN_BUDGET);
            }
        }
    }
}
