//! Embeds the texts of one document, and knows those that earlier prompts about it have embedded.

use crate::cancel::CancelFlag;
use crate::embed::{Embedder, KnownVectors};
use crate::error::ModelError;

use super::reply::Reply;

/// Texts embedded between two reports of progress.
const BATCH: usize = 16;

/// Embeds texts in batches and reports each.
pub(super) struct Embedding<'a> {
    embedder: &'a dyn Embedder,
    /// Vectors of this document from before.
    known: Option<&'a dyn KnownVectors>,
    cancel: &'a CancelFlag,
    /// Texts embedded so far, and texts announced.
    done: u32,
    total: u32,
}

impl<'a> Embedding<'a> {
    pub(super) fn new(
        embedder: &'a dyn Embedder,
        known: Option<&'a dyn KnownVectors>,
        cancel: &'a CancelFlag,
    ) -> Self {
        Self {
            embedder,
            known,
            cancel,
            done: 0,
            total: 0,
        }
    }

    /// Announces texts, so that progress does not run backwards.
    pub(super) fn expect(&mut self, texts: usize) {
        self.total += texts as u32;
    }

    /// The vector of a prompt, which is no text of the document and is not kept.
    pub(super) fn prompt(
        &mut self,
        text: &str,
        reply: &mut Reply<'_>,
    ) -> Result<Vec<f32>, ModelError> {
        Ok(self.compute(&[text], reply)?.swap_remove(0))
    }

    /// One vector for each text of the document, in order: those that are known from before, and the others computed and kept.
    pub(super) fn embed(
        &mut self,
        texts: &[String],
        reply: &mut Reply<'_>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Some(known) = self.known else {
            return self.compute(&texts, reply);
        };
        let model = self.embedder.id();
        let mut vectors = known.find(model, self.embedder.dimensions(), &texts);
        vectors.resize(texts.len(), None);
        let missing: Vec<usize> = (0..texts.len())
            .filter(|at| vectors[*at].is_none())
            .collect();
        self.report(texts.len() - missing.len(), reply);
        let new: Vec<&str> = missing.iter().map(|at| texts[*at]).collect();
        let computed = self.compute(&new, reply)?;
        if !new.is_empty() {
            known.keep(model, &new, &computed);
        }
        for (at, vector) in missing.into_iter().zip(computed) {
            vectors[at] = Some(vector);
        }
        // Every place was found or computed above.
        Ok(vectors.into_iter().flatten().collect())
    }

    /// An embedder that returns another number of vectors is an error.
    fn compute(
        &mut self,
        texts: &[&str],
        reply: &mut Reply<'_>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let mut out = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            self.cancel.check()?;
            let vectors = self.embedder.embed(batch, self.cancel)?;
            if vectors.len() != batch.len() {
                return Err(ModelError::Inference(format!(
                    "{} vectors for {} texts",
                    vectors.len(),
                    batch.len()
                )));
            }
            out.extend(vectors);
            self.report(batch.len(), reply);
        }
        Ok(out)
    }

    fn report(&mut self, texts: usize, reply: &mut Reply<'_>) {
        if texts > 0 {
            self.done += texts as u32;
            reply.progress(self.done, self.total.max(self.done));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use parking_lot::Mutex;

    use super::*;
    use crate::engine::AnswerSink;

    /// Vectors that say how long a text is; remembers what it was asked.
    #[derive(Default)]
    struct Counting(Mutex<Vec<String>>);

    impl Embedder for Counting {
        fn id(&self) -> &'static str {
            "counting"
        }

        fn dimensions(&self) -> usize {
            1
        }

        fn embed(&self, texts: &[&str], _: &CancelFlag) -> Result<Vec<Vec<f32>>, ModelError> {
            self.0.lock().extend(texts.iter().map(|t| (*t).to_owned()));
            Ok(texts.iter().map(|text| vec![text.len() as f32]).collect())
        }
    }

    #[derive(Debug, Default)]
    struct Memory(Mutex<HashMap<String, Vec<f32>>>);

    impl KnownVectors for Memory {
        fn find(&self, model: &str, dimensions: usize, texts: &[&str]) -> Vec<Option<Vec<f32>>> {
            assert_eq!((model, dimensions), ("counting", 1));
            let known = self.0.lock();
            texts.iter().map(|text| known.get(*text).cloned()).collect()
        }

        fn keep(&self, _: &str, texts: &[&str], vectors: &[Vec<f32>]) {
            let pairs = texts.iter().zip(vectors);
            self.0
                .lock()
                .extend(pairs.map(|(text, vector)| ((*text).to_owned(), vector.clone())));
        }
    }

    #[derive(Default)]
    struct Progress(Vec<(u32, u32)>);

    impl AnswerSink for Progress {
        fn progress(&mut self, done: u32, total: u32) {
            self.0.push((done, total));
        }
        fn chunk(&mut self, _: &str) {}
    }

    #[test]
    fn a_text_of_the_document_is_computed_once_and_a_prompt_each_time() {
        let (embedder, known, cancel) = (
            Counting::default(),
            Memory::default(),
            CancelFlag::default(),
        );
        let mut progress = Progress::default();
        let mut run = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let mut reply = Reply::new(&mut progress);
            let mut embedding = Embedding::new(&embedder, Some(&known), &cancel);
            embedding.expect(1 + texts.len());
            embedding.prompt("why", &mut reply).unwrap();
            embedding.embed(&texts, &mut reply).unwrap()
        };
        assert_eq!(run(&["a", "bb"]), [[1.0], [2.0]]);
        assert_eq!(
            run(&["ccc", "bb", "dddd", "a"]),
            [[3.0], [2.0], [4.0], [1.0]]
        );
        assert_eq!(
            *embedder.0.lock(),
            ["why", "a", "bb", "why", "ccc", "dddd"],
            "only what is new"
        );
        assert_eq!(progress.0, [(1, 3), (3, 3), (1, 5), (3, 5), (5, 5)]);
        assert!(!known.0.lock().contains_key("why"));
    }
}
