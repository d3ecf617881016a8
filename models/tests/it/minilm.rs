//! The real model against vectors that numpy computed, when it is installed: in `QUIRE_TEST_MODELS`, else in `models-cache` beside
//! the workspace. Without it there is nothing to test here, and the tests say so.

use std::path::{Path, PathBuf};

use quire_models::{CancelFlag, Embedder, ModelDir, ModelError, open_default_embedder};
use serde::Deserialize;

/// Lowest cosine that counts as the same vector in f32.
const SAME: f32 = 0.999_999;

#[derive(Deserialize)]
struct Fixture {
    vectors: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    text: String,
    vector: Vec<f32>,
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn installed() -> Option<std::sync::Arc<dyn Embedder>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models-cache");
    let root = std::env::var_os("QUIRE_TEST_MODELS").map_or(beside, PathBuf::from);
    match open_default_embedder(&ModelDir::new(root)) {
        Ok(embedder) => Some(embedder),
        Err(ModelError::NotInstalled { model }) => {
            eprintln!("skipped: {model} is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn vectors_agree_with_numpy() {
    let Some(embedder) = installed() else { return };
    let fixture: Fixture = serde_json::from_str(include_str!("minilm_vectors.json")).unwrap();
    let texts: Vec<&str> = fixture
        .vectors
        .iter()
        .map(|known| known.text.as_str())
        .collect();
    let vectors = embedder.embed(&texts, &CancelFlag::default()).unwrap();
    for (known, vector) in fixture.vectors.iter().zip(&vectors) {
        let cosine = dot(&known.vector, vector);
        assert!(cosine > SAME, "cosine {cosine} for {}", known.text);
    }
}

#[test]
fn a_question_is_nearest_to_the_sentence_that_answers_it() {
    let Some(embedder) = installed() else { return };
    let texts = [
        "How much is the monthly rent?",
        "The tenant pays 900 euros each month.",
        "The roof was painted green.",
        "Cats sleep a lot.",
    ];
    let vectors = embedder.embed(&texts, &CancelFlag::default()).unwrap();
    let nearest = (1..4)
        .max_by(|a, b| dot(&vectors[0], &vectors[*a]).total_cmp(&dot(&vectors[0], &vectors[*b])));
    assert_eq!(nearest, Some(1));
}
