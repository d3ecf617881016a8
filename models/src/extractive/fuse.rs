//! One score out of the words, the meaning and the shape of a sentence.
//!
//! The weights are those of the evaluation (`examples/eval_extractive.rs` prints it); the words alone are a fair
//! ranking already, so without an embedding model they simply take the whole weight.

use super::corpus::Shape;

/// Weight of the sentence's own cosine to the prompt.
const COSINE: f32 = 0.5;
/// Weight of the cosine of the sentence with its neighbours.
const WINDOW: f32 = 0.2;
/// Weight of the words beside an embedding.
const LEXICAL: f32 = 0.3;
/// Weight of the share of the prompt's words that are there at all.
const COVERAGE: f32 = 0.1;
/// Weight of the prompt's words that stand side by side.
const PHRASE: f32 = 0.1;
/// A shorter sentence seldom says anything by itself.
const MIN_WORDS: usize = 4;

/// Everything known about one candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signals {
    /// BM25 as a share of the best one.
    pub(super) lexical: f32,
    pub(super) coverage: f32,
    /// See `phrase`.
    pub(super) phrase: f32,
    /// Cosine of the sentence and of its window to the prompt.
    pub(super) cosine: Option<(f32, f32)>,
    /// What its form adds, see `fit`.
    pub(super) bonus: f32,
    pub(super) shape: Shape,
    pub(super) words: usize,
}

/// The score of a candidate, about 0 to 1.
pub(super) fn fuse(signals: &Signals) -> f32 {
    let words = LEXICAL * signals.lexical + COVERAGE * signals.coverage;
    let base = match signals.cosine {
        Some((own, window)) => COSINE * own.max(0.0) + WINDOW * window.max(0.0) + words,
        None => words / (LEXICAL + COVERAGE),
    };
    base + PHRASE * signals.phrase + signals.bonus - penalty(signals)
}

/// What a shape costs: a heading or a question repeats the prompt's words without answering it.
fn penalty(signals: &Signals) -> f32 {
    let shape = match signals.shape {
        Shape::Prose | Shape::Row => 0.0,
        Shape::Heading => 0.25,
        Shape::Question => 0.3,
        Shape::Contents => 0.5,
    };
    let fragment = if signals.words < MIN_WORDS && signals.shape != Shape::Row {
        0.1
    } else {
        0.0
    };
    shape + fragment
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Signals = Signals {
        lexical: 0.5,
        coverage: 0.5,
        phrase: 0.0,
        cosine: None,
        bonus: 0.0,
        shape: Shape::Prose,
        words: 12,
    };

    #[test]
    fn better_signals_score_higher() {
        let base = fuse(&PLAIN);
        assert!(
            fuse(&Signals {
                lexical: 0.9,
                ..PLAIN
            }) > base
        );
        assert!(
            fuse(&Signals {
                bonus: 0.1,
                ..PLAIN
            }) > base
        );
        for shape in [Shape::Heading, Shape::Question, Shape::Contents] {
            assert!(fuse(&Signals { shape, ..PLAIN }) < base);
        }
        let near = Signals {
            cosine: Some((0.7, 0.6)),
            ..PLAIN
        };
        assert!(
            fuse(&near)
                > fuse(&Signals {
                    cosine: Some((0.2, 0.1)),
                    ..PLAIN
                })
        );
    }
}
