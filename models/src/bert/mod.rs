//! The sentence embedder: a BERT encoder, mean pooling, unit length.
//!
//! Texts are tokenised, sorted into batches of about equally many tokens (`batch`), and run through the network without padding
//! (`network`). Batches are independent, so with enough of them each core works on its own; a lone text is spread over the cores
//! inside the kernels instead. A text has the same vector alone and in any batch, to the last bit.
//!
//! Text beyond the window of the model is not embedded; the caller splits what must be found.

mod batch;
mod config;
mod network;

use std::path::Path;

use rayon::prelude::*;

use crate::cancel::CancelFlag;
use crate::embed::Embedder;
use crate::error::ModelError;
use crate::safetensors::SafeTensors;
use crate::tokenizer::Tokenizer;

use config::Config;
use network::Network;

/// File names inside a model's directory, as the hub has them.
const CONFIG_FILE: &str = "config.json";
const TOKENIZER_FILE: &str = "tokenizer.json";
const WEIGHTS_FILE: &str = "model.safetensors";

/// A loaded BERT with its tokenizer.
pub struct BertEmbedder {
    id: String,
    tokenizer: Tokenizer,
    network: Network,
}

impl BertEmbedder {
    /// Loads the model in `dir`. Its files must have been verified: this checks that they fit together, not where they come from.
    ///
    /// `max_tokens` cuts longer texts; it counts the two tokens that BERT puts around every text.
    pub fn open(id: &str, dir: &Path, max_tokens: usize) -> Result<Self, ModelError> {
        let config = Config::read(&dir.join(CONFIG_FILE))?;
        let tokenizer = Tokenizer::open(
            &dir.join(TOKENIZER_FILE),
            max_tokens.min(config.max_position_embeddings),
        )?;
        let weights = dir.join(WEIGHTS_FILE);
        if tokenizer.vocabulary() > config.vocab_size {
            return Err(ModelError::damaged(
                &weights,
                "has fewer embeddings than the tokenizer has tokens",
            ));
        }
        let network = Network::load(&config, &mut SafeTensors::open(&weights)?)?;
        Ok(Self {
            id: id.to_owned(),
            tokenizer,
            network,
        })
    }

    /// The vectors of the texts of one batch, in its order.
    fn embed_batch(
        &self,
        batch: &[usize],
        tokens: &[Vec<u32>],
        cancel: &CancelFlag,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        cancel.check()?;
        let sentences: Vec<&[u32]> = batch
            .iter()
            .map(|&index| tokens[index].as_slice())
            .collect();
        let states = self
            .network
            .forward(&sentences)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let mut rest = states.as_slice();
        let vectors = sentences.iter().map(|sentence| {
            let (rows, behind) = rest.split_at(sentence.len() * self.network.hidden());
            rest = behind;
            pool(rows, self.network.hidden())
        });
        Ok(vectors.collect())
    }
}

impl Embedder for BertEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.network.hidden()
    }

    fn embed(&self, texts: &[&str], cancel: &CancelFlag) -> Result<Vec<Vec<f32>>, ModelError> {
        let tokens = self.tokenizer.encode_all(texts, cancel)?;
        let lengths: Vec<usize> = tokens.iter().map(Vec::len).collect();
        let batches = batch::plan(&lengths);
        let run = |batch: &Vec<usize>| self.embed_batch(batch, &tokens, cancel);
        let done: Vec<Vec<Vec<f32>>> = if batches.len() < rayon::current_num_threads() {
            batches.iter().map(run).collect::<Result<_, _>>()?
        } else {
            batches.par_iter().map(run).collect::<Result<_, _>>()?
        };
        let mut vectors = vec![Vec::new(); texts.len()];
        for (index, vector) in batches
            .into_iter()
            .flatten()
            .zip(done.into_iter().flatten())
        {
            vectors[index] = vector;
        }
        Ok(vectors)
    }
}

/// The mean of the rows, at unit length. All zeros stay so.
fn pool(rows: &[f32], width: usize) -> Vec<f32> {
    let mut mean = vec![0.0; width];
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    // The length of the sum gives the same direction as the length of the mean.
    let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        for x in &mut mean {
            *x /= length;
        }
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pooled_vector_is_the_direction_of_the_mean() {
        assert_eq!(pool(&[3.0, 0.0, 0.0, 4.0], 2), [0.6, 0.8]);
        assert_eq!(pool(&[1.0, -1.0, -1.0, 1.0], 2), [0.0, 0.0]);
    }
}
