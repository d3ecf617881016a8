//! Sharing, copying and forgetting of blocks.

use super::*;

const HEADS: Heads = Heads {
    count: 2,
    kv: 1,
    size: 16,
};

fn cache(blocks: u64) -> Cache {
    let block = 2 * HEADS.layer_numbers() * size_of::<f16>();
    Cache::new(2, HEADS, blocks * block as u64)
}

/// Tokens that differ from each other, after a number that tells prompts apart.
fn prompt(kind: u32, tokens: u32) -> Vec<u32> {
    (0..tokens).map(|token| kind * 10_000 + token).collect()
}

/// Runs a prompt through: every token writes its own number.
fn run(cache: &mut Cache, prompt: &[u32]) -> (Sequence, usize) {
    let mut sequence = cache.begin(prompt, prompt.len() + 10).unwrap();
    let reused = sequence.len();
    sequence.grow(prompt.len() - reused);
    for (position, token) in prompt.iter().enumerate().skip(reused) {
        let block = Arc::make_mut(&mut sequence.blocks[position / BLOCK_TOKENS]);
        block.layer_mut(HEADS.layer_numbers(), 0)[position % BLOCK_TOKENS] =
            f16::from_f32((*token % 1000) as f32);
    }
    sequence.commit(&prompt[reused..]);
    cache.remember(&mut sequence);
    (sequence, reused)
}

fn written(sequence: &Sequence) -> Vec<u32> {
    let number = |position: usize| {
        let block = &sequence.blocks[position / BLOCK_TOKENS];
        block.layer(HEADS.layer_numbers(), 0)[position % BLOCK_TOKENS].to_f32() as u32
    };
    (0..sequence.len()).map(number).collect()
}

#[test]
fn a_prompt_that_begins_alike_reuses_and_copies() {
    let mut cache = cache(32);
    let long = prompt(1, 200);
    let (first, reused) = run(&mut cache, &long);
    assert_eq!(reused, 0);
    let (same, reused) = run(&mut cache, &long);
    assert_eq!(
        reused, 192,
        "full blocks are shared while the first still runs"
    );
    cache.end(first);
    cache.end(same);
    let mut other = long[..170].to_vec();
    other.extend(prompt(2, 40));
    let (other_run, reused) = run(&mut cache, &other);
    assert_eq!(
        reused, 170,
        "the part of a block that is the same is copied"
    );
    let expected: Vec<u32> = other.iter().map(|token| token % 1000).collect();
    assert_eq!(written(&other_run), expected);
    let (again, reused) = run(&mut cache, &long);
    assert_eq!(reused, 199, "all but the last token");
    let expected: Vec<u32> = long.iter().map(|token| token % 1000).collect();
    assert_eq!(written(&again), expected, "the copy changed nothing");
}

#[test]
fn another_beginning_reuses_nothing() {
    let mut cache = cache(32);
    let (first, _) = run(&mut cache, &prompt(1, 130));
    cache.end(first);
    let mut shifted = prompt(1, 130);
    shifted.insert(0, 7);
    assert_eq!(run(&mut cache, &shifted).1, 0);
}

#[test]
fn memory_is_promised_before_a_start_and_old_blocks_make_room() {
    let mut cache = cache(4);
    assert_eq!(cache.capacity(), 256);
    assert!(cache.begin(&prompt(1, 10), 257).is_none());
    let (first, _) = run(&mut cache, &prompt(1, 100));
    assert!(cache.begin(&prompt(2, 10), 180).is_none());
    cache.end(first);
    let remembered = cache.bytes();
    assert!(remembered > 0);
    let (second, reused) = run(&mut cache, &prompt(2, 200));
    assert_eq!(reused, 0);
    assert!(
        cache.bytes() <= 2 * remembered,
        "four blocks are all there is"
    );
    cache.end(second);
    assert_eq!(
        run(&mut cache, &prompt(1, 100)).1,
        0,
        "forgotten for the second"
    );
}

#[test]
fn what_is_in_use_is_never_forgotten() {
    let mut cache = cache(4);
    let (first, _) = run(&mut cache, &prompt(1, 70));
    let (second, _) = run(&mut cache, &prompt(2, 70));
    cache.end(second);
    cache.prefix.shrink(0);
    let expected: Vec<u32> = (0..70).collect();
    assert_eq!(written(&first), expected);
    assert_eq!(cache.prefix.unused(), 0);
}
