//! How near sentences are to the centre of their document.
//!
//! Comparing each sentence with the average of all is linear where `TextRank` compares all pairs, and picks nearly
//! the same sentences.

use super::corpus::Corpus;
use super::mmr::dot;

/// Lexical centrality of some sentences, 0 to 1: tf-idf against the sum over all of them.
pub(super) fn centrality(corpus: &Corpus<'_>, sentences: &[usize]) -> Vec<f32> {
    let total = corpus.sentences.len() as f32;
    let mut counts = vec![0.0_f32; corpus.lexicon.len()];
    for term in sentences.iter().flat_map(|at| &corpus.sentences[*at].terms) {
        counts[*term as usize] += 1.0;
    }
    // A word that stands once is no subject of the document.
    let weight = |term: u32| {
        let count = counts[term as usize];
        let idf = (1.0 + total / (1.0 + corpus.document_frequency[term as usize] as f32)).ln();
        if count > 1.0 {
            count.ln_1p() * idf
        } else {
            0.0
        }
    };
    let raw: Vec<f32> = sentences
        .iter()
        .map(|at| {
            let mut terms = corpus.sentences[*at].terms.clone();
            terms.sort_unstable();
            terms.dedup();
            let sum: f32 = terms.iter().map(|term| weight(*term)).sum();
            sum / (4.0 + terms.len() as f32).powf(0.75)
        })
        .collect();
    let best = raw.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    raw.into_iter().map(|value| value / best).collect()
}

/// Cosine of each vector to the direction of their mean.
pub(super) fn centroid_cosines(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        for (sum, value) in mean.iter_mut().zip(vector) {
            *sum += value;
        }
    }
    let length = dot(&mean, &mean).sqrt().max(f32::MIN_POSITIVE);
    vectors
        .iter()
        .map(|vector| dot(vector, &mean) / length)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::CancelFlag;
    use crate::passage::passages_from_page;

    #[test]
    fn the_subject_is_central() {
        let page = "The bridge has a toll. The toll of the bridge pays its repair. A cat slept on a warm stone.";
        let passages = passages_from_page(1, page);
        let corpus = Corpus::build(&passages, &CancelFlag::default()).unwrap();
        let values = centrality(&corpus, &[0, 1, 2]);
        assert!(values[0] > values[2] && values[1] > values[2], "{values:?}");
        let cosines = centroid_cosines(&[vec![1.0, 0.0], vec![0.8, 0.6], vec![0.0, 1.0]]);
        assert!(cosines[1] > cosines[0] && cosines[1] > cosines[2]);
    }
}
