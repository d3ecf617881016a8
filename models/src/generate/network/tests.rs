//! The network against llama.cpp, and against itself in other steps.
//!
//! Files are made by a formula, references come from `tests/parity/reference.py`. The tolerances are those of the field: exact formats
//! nearly agree; with quantised weights the two programs also round activations, by 256 numbers here and by 32 there. The bound of a
//! divergence is that of the mean over the lengths, and half of that of each: these nets are narrow, so one number that is rounded to
//! the other side weighs much.

use std::cell::Cell;

use super::super::gguf::Gguf;
use super::super::kv::{Cache, Sequence};
use super::super::testing::{Format, model, tiny};
use super::*;
use crate::error::ModelError;

/// Tokens behind which the references are.
const LENGTHS: [usize; 5] = [1, 64, 512, 2000, 4000];
const CONTEXT: usize = 4200;

/// The tokens of the references.
fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i * 7919 + 13) % 1000).collect()
}

fn load(family: &'static str, format: Format) -> Network {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), model(tiny(family), format)).unwrap();
    Network::load(&Gguf::open(file.path()).unwrap()).unwrap()
}

fn cache(network: &Network) -> Cache {
    Cache::new(network.config().layers, network.heads(), 64 << 20)
}

fn begin(cache: &mut Cache) -> Sequence {
    cache.begin(&[0], CONTEXT).unwrap()
}

/// Reads some tokens and gives the scores behind the last.
fn read(network: &Network, sequence: &mut Sequence, tokens: &[u32]) -> Vec<f32> {
    let input = Input {
        sequence,
        tokens,
        scores: true,
    };
    network.step(&mut [input], &|| false).unwrap().remove(0)
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Kullback-Leibler divergence of the distributions that two rows of scores stand for.
fn divergence(want: &[f32], got: &[f32]) -> f64 {
    let logs = |scores: &[f32]| -> Vec<f64> {
        let total: f64 = scores.iter().map(|s| f64::from(*s).exp()).sum();
        scores.iter().map(|s| f64::from(*s) - total.ln()).collect()
    };
    let pairs = logs(want).into_iter().zip(logs(got));
    pairs.map(|(p, q)| p.exp() * (p - q)).sum()
}

/// Largest difference and divergence at each length.
fn compare(family: &'static str, format: Format, reference: &[u8]) -> Vec<(f32, f64)> {
    let network = load(family, format);
    let mut sequence = begin(&mut cache(&network));
    let tokens = tokens(LENGTHS[4]);
    let (words, _) = reference.as_chunks();
    let reference: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let rows = reference.chunks_exact(network.config().vocabulary);
    let mut start = 0;
    let mut found = Vec::new();
    for (end, want) in LENGTHS.into_iter().zip(rows) {
        let got = read(&network, &mut sequence, &tokens[start..end]);
        found.push((worst(want, &got), divergence(want, &got)));
        start = end;
    }
    println!("{family} {format:?}: {found:?}");
    found
}

macro_rules! parity {
    ($($name:ident: $family:literal, $format:ident, $file:literal, $difference:expr, $divergence:expr;)*) => {$(
        #[test]
        fn $name() {
            let reference = include_bytes!(concat!("../../../tests/parity/", $file));
            let found = compare($family, Format::$format, reference);
            let mean = found.iter().map(|(_, divergence)| divergence).sum::<f64>() / found.len() as f64;
            assert!(mean <= $divergence, "{mean}");
            for (difference, divergence) in found {
                assert!(difference <= $difference && divergence <= 2.0 * $divergence, "{difference} {divergence}");
            }
        }
    )*};
}

parity! {
    llama_f16_is_llama_cpp: "llama", F16, "llama-f16.bin", 0.01, 5e-6;
    llama_q8_is_llama_cpp: "llama", Q8, "llama-q8_0.bin", 0.5, 2e-3;
    llama_q4_is_llama_cpp: "llama", Q4, "llama-q4_k.bin", 0.3, 1e-3;
    qwen2_f16_is_llama_cpp: "qwen2", F16, "qwen2-f16.bin", 0.01, 5e-6;
    qwen2_q8_is_llama_cpp: "qwen2", Q8, "qwen2-q8_0.bin", 0.5, 2e-3;
    qwen2_q4_is_llama_cpp: "qwen2", Q4, "qwen2-q4_k.bin", 0.3, 1e-3;
    qwen3_f16_is_llama_cpp: "qwen3", F16, "qwen3-f16.bin", 0.01, 5e-6;
    qwen3_q8_is_llama_cpp: "qwen3", Q8, "qwen3-q8_0.bin", 0.5, 2e-3;
    qwen3_q4_is_llama_cpp: "qwen3", Q4, "qwen3-q4_k.bin", 0.3, 1e-3;
}

/// What another order of the same sums may change, in the exact format.
const ROUNDING: f32 = 1e-4;

#[test]
fn pieces_of_a_prompt_are_the_whole_prompt() {
    for family in ["llama", "qwen2", "qwen3"] {
        let network = load(family, Format::F16);
        let mut cache = cache(&network);
        let tokens = tokens(200);
        let whole = read(&network, &mut begin(&mut cache), &tokens);
        let mut sequence = begin(&mut cache);
        let mut last = Vec::new();
        let mut rest = &tokens[..];
        for count in [1, 63, 1, 64, 70, 1] {
            let (piece, behind) = rest.split_at(count);
            last = read(&network, &mut sequence, piece);
            rest = behind;
        }
        assert!(
            rest.is_empty() && worst(&whole, &last) <= ROUNDING,
            "{family}"
        );
    }
}

#[test]
fn a_second_turn_sees_the_first_and_its_answer() {
    let network = load("qwen3", Format::F16);
    let mut cache = cache(&network);
    let tokens = tokens(180);
    let whole = read(&network, &mut begin(&mut cache), &tokens);
    let mut sequence = begin(&mut cache);
    read(&network, &mut sequence, &tokens[..100]);
    for at in 100..130 {
        read(&network, &mut sequence, &tokens[at..=at]);
    }
    let second = read(&network, &mut sequence, &tokens[130..]);
    assert!(worst(&whole, &second) <= ROUNDING);
}

/// Steps several sequences together, each with its own tokens.
fn together(network: &Network, parts: &mut [(&mut Sequence, &[u32])]) -> Vec<Vec<f32>> {
    let mut inputs: Vec<Input<'_>> = parts
        .iter_mut()
        .map(|(sequence, tokens)| Input {
            sequence,
            tokens,
            scores: true,
        })
        .collect();
    network.step(&mut inputs, &|| false).unwrap()
}

#[test]
fn sequences_in_company_get_what_they_get_alone() {
    for (format, limit) in [(Format::F16, 1e-9), (Format::Q8, 2e-3), (Format::Q4, 2e-3)] {
        let network = load("qwen2", format);
        let mut cache = cache(&network);
        let prompts: Vec<Vec<u32>> = [5, 64, 100, 1, 33]
            .iter()
            .enumerate()
            .map(|(index, count)| tokens(300)[index * 40..][..*count].to_vec())
            .collect();
        let mut alone: Vec<Vec<f32>> = Vec::new();
        for prompt in &prompts {
            let mut sequence = begin(&mut cache);
            read(&network, &mut sequence, prompt);
            alone.push(read(&network, &mut sequence, &[7]));
            cache.end(sequence);
        }
        let mut sequences: Vec<Sequence> = prompts
            .iter()
            .map(|_| cache.begin(&[0], 200).unwrap())
            .collect();
        let mut parts: Vec<(&mut Sequence, &[u32])> = sequences
            .iter_mut()
            .zip(prompts.iter().map(Vec::as_slice))
            .collect();
        together(&network, &mut parts);
        let mut parts: Vec<(&mut Sequence, &[u32])> = sequences
            .iter_mut()
            .map(|sequence| (sequence, &[7u32][..]))
            .collect();
        for (alone, company) in alone.iter().zip(together(&network, &mut parts)) {
            let divergence = divergence(alone, &company);
            assert!(divergence <= limit, "{format:?}: {divergence}");
        }
    }
}

#[test]
fn who_joins_and_leaves_changes_nothing_for_the_others() {
    let network = load("llama", Format::F16);
    let mut cache = cache(&network);
    let tokens = tokens(150);
    let mut alone = begin(&mut cache);
    let mut expected = vec![read(&network, &mut alone, &tokens[..70])];
    expected.extend((70..100).map(|at| read(&network, &mut alone, &tokens[at..=at])));
    let mut own = cache.begin(&[0], 200).unwrap();
    let mut found = vec![read(&network, &mut own, &tokens[..70])];
    let mut other = Some(cache.begin(&[0], 200).unwrap());
    for at in 70..100 {
        let mut parts: Vec<(&mut Sequence, &[u32])> = vec![(&mut own, &tokens[at..=at])];
        if let Some(other) = &mut other {
            parts.insert(0, (other, &tokens[at..at + 11]));
        }
        found.push(together(&network, &mut parts).pop().unwrap());
        if at % 3 == 0 {
            // Leaves, and somebody else comes at the next step.
            if let Some(left) = other.take() {
                cache.end(left);
            }
        } else if other.is_none() {
            other = Some(cache.begin(&[0], 400).unwrap());
        }
    }
    let differences = expected.iter().zip(&found).map(|(a, b)| worst(a, b));
    assert!(differences.fold(0.0, f32::max) <= ROUNDING);
}

#[test]
fn a_prompt_that_begins_alike_needs_only_its_end() {
    let network = load("qwen3", Format::F16);
    let mut cache = cache(&network);
    let tokens = tokens(300);
    let mut first = cache.begin(&tokens[..200], 300).unwrap();
    read(&network, &mut first, &tokens[..200]);
    cache.end(first);
    let mut prompt = tokens[..170].to_vec();
    prompt.extend(&tokens[200..260]);
    let mut second = cache.begin(&prompt, 300).unwrap();
    assert_eq!(second.len(), 170);
    let reused = read(&network, &mut second, &prompt[170..]);
    let whole = read(&network, &mut begin(&mut cache), &prompt);
    assert!(worst(&whole, &reused) <= ROUNDING);
}

#[test]
fn a_step_that_is_stopped_changes_nothing() {
    let network = load("qwen3", Format::F16);
    let mut cache = cache(&network);
    let tokens = tokens(200);
    let mut sequence = begin(&mut cache);
    read(&network, &mut sequence, &tokens[..100]);
    let layers = Cell::new(0);
    let stopped = || layers.replace(layers.get() + 1) == 2;
    let mut input = [Input {
        sequence: &mut sequence,
        tokens: &tokens[50..200],
        scores: true,
    }];
    let outcome = network.step(&mut input, &stopped);
    assert!(matches!(outcome, Err(ModelError::Cancelled)));
    assert_eq!(sequence.len(), 100);
    let after = read(&network, &mut sequence, &tokens[100..]);
    let whole = read(&network, &mut begin(&mut cache), &tokens);
    assert!(worst(&whole, &after) <= ROUNDING);
}

#[test]
fn a_token_outside_the_vocabulary_is_an_error() {
    let network = load("llama", Format::Q4);
    let mut sequence = begin(&mut cache(&network));
    let mut input = [Input {
        sequence: &mut sequence,
        tokens: &[1024],
        scores: true,
    }];
    assert!(matches!(
        network.step(&mut input, &|| false),
        Err(ModelError::Inference(_))
    ));
}
