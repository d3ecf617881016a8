//! How alike two texts are.

use std::collections::HashMap;

use super::super::words::is_written_without_spaces;

/// Most characters that are compared for order.
const MAX_CHARS: usize = 60_000;

/// Harmonic mean of precision and recall over words, each counted as often as it stands there.
pub(super) fn word_f1(truth: &str, text: &str) -> f64 {
    let (truth, text) = (tokens(truth), tokens(text));
    let mut counts: HashMap<&str, i64> = HashMap::new();
    for word in &truth {
        *counts.entry(word).or_default() += 1;
    }
    let mut found = 0;
    for word in &text {
        if let Some(count) = counts.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    2.0 * f64::from(found) / (truth.len() + text.len()).max(1) as f64
}

/// Twice the longest common subsequence of characters over both lengths, white space normalised.
pub(super) fn order_similarity(truth: &str, text: &str) -> f64 {
    let normal = |text: &str| {
        tokens(text)
            .join(" ")
            .chars()
            .take(MAX_CHARS)
            .collect::<Vec<char>>()
    };
    let (a, b) = (normal(truth), normal(text));
    2.0 * common_subsequence(&a, &b) as f64 / (a.len() + b.len()).max(1) as f64
}

/// Words; every Chinese character is one.
fn tokens(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in text.chars() {
        if is_written_without_spaces(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// Length of the longest common subsequence, 64 characters at a time (Hyyrö 2004).
fn common_subsequence(a: &[char], b: &[char]) -> usize {
    let words = a.len().div_ceil(64);
    let mut places: HashMap<char, Vec<u64>> = HashMap::new();
    for (index, &c) in a.iter().enumerate() {
        places.entry(c).or_insert_with(|| vec![0; words])[index / 64] |= 1 << (index % 64);
    }
    let mut row = vec![u64::MAX; words];
    for c in b {
        let Some(place) = places.get(c) else { continue };
        let mut carry = false;
        for (bits, place) in row.iter_mut().zip(place) {
            let common = *bits & place;
            let (sum, first) = bits.overflowing_add(common);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *bits = sum | (*bits & !place);
        }
    }
    (0..a.len())
        .filter(|&index| row[index / 64] & (1 << (index % 64)) == 0)
        .count()
}

#[test]
fn measures_are_what_they_say() {
    assert!((word_f1("a b c d", "d c b a") - 1.0).abs() < 1e-9);
    assert!((word_f1("a b c", "a b") - 0.8).abs() < 1e-9);
    assert!((order_similarity("abcd", "abxd") - 0.75).abs() < 1e-9);
    let (long, other) = ("ab".repeat(100), "ba".repeat(100));
    assert!((order_similarity(&long, &other) - 0.995).abs() < 1e-9);
}
