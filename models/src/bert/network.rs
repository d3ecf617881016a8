//! The BERT encoder over token rows.
//!
//! All tokens of a batch form one matrix with a row per token: no padding, no mask. Queries, keys and values come from one product.
//! The pooler of the original network is not computed; sentence models do not use it.

use candle_core::{Device, Tensor};

use crate::error::ModelError;
use crate::kernels::attention::Attention;
use crate::kernels::linear::{Activation, Linear};
use crate::kernels::norm::AddNorm;
use crate::safetensors::SafeTensors;

use super::config::Config;

/// The weights, packed for the kernels.
pub(super) struct Network {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    heads: usize,
}

struct Embeddings {
    /// One row per token of the vocabulary.
    words: Vec<f32>,
    /// One row per position, with the embedding of the first segment added: we have no second one.
    positions: Vec<f32>,
    norm: AddNorm,
}

struct Layer {
    /// Query, key and value as one layer; the query is scaled by 1/sqrt(head size).
    attend: Linear,
    mix: Linear,
    mix_norm: AddNorm,
    expand: Linear,
    contract: Linear,
    contract_norm: AddNorm,
}

impl Network {
    /// Reads and packs all weights.
    pub(super) fn load(config: &Config, file: &mut SafeTensors) -> Result<Self, ModelError> {
        let prefix = if file.contains("bert.embeddings.word_embeddings.weight") {
            "bert."
        } else {
            ""
        };
        let mut loader = Loader {
            file,
            config,
            prefix,
        };
        let embeddings = loader.embeddings()?;
        let layers = (0..config.num_hidden_layers)
            .map(|index| loader.layer(index))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            embeddings,
            layers,
            heads: config.num_attention_heads,
        })
    }

    /// Width of the token states and of the vectors.
    pub(super) fn hidden(&self) -> usize {
        self.embeddings.norm.weight.len()
    }

    /// The last hidden state of every token, sentence after sentence. The ids must be within the vocabulary.
    pub(super) fn forward(&self, sentences: &[&[u32]]) -> Result<Tensor, ModelError> {
        let lengths: Vec<usize> = sentences.iter().map(|sentence| sentence.len()).collect();
        let mut x = self.embeddings.look_up(sentences)?;
        for layer in &self.layers {
            let context = x
                .apply_op1_no_bwd(&layer.attend)?
                .apply_op1_no_bwd(&Attention {
                    lengths: &lengths,
                    heads: self.heads,
                })?;
            let mixed = context
                .apply_op1_no_bwd(&layer.mix)?
                .apply_op2_no_bwd(&x, &layer.mix_norm)?;
            let wide = mixed.apply_op1_no_bwd(&layer.expand)?;
            x = wide
                .apply_op1_no_bwd(&layer.contract)?
                .apply_op2_no_bwd(&mixed, &layer.contract_norm)?;
        }
        Ok(x)
    }
}

impl Embeddings {
    fn look_up(&self, sentences: &[&[u32]]) -> Result<Tensor, ModelError> {
        let width = self.norm.weight.len();
        let rows: usize = sentences.iter().map(|sentence| sentence.len()).sum();
        let mut x = Vec::with_capacity(rows * width);
        for sentence in sentences {
            for (&id, position) in sentence.iter().zip(self.positions.chunks_exact(width)) {
                let Some(word) = self
                    .words
                    .get(id as usize * width..(id as usize + 1) * width)
                else {
                    return Err(ModelError::Inference(format!(
                        "token {id} is not in the vocabulary"
                    )));
                };
                x.extend(
                    word.iter()
                        .zip(position)
                        .map(|(word, position)| word + position),
                );
            }
        }
        self.norm.normalise(&mut x);
        Ok(Tensor::from_vec(x, (rows, width), &Device::Cpu)?)
    }
}

/// Reads tensors by their names in the model file.
struct Loader<'a> {
    file: &'a mut SafeTensors,
    config: &'a Config,
    /// Some exports put everything below `bert.`.
    prefix: &'static str,
}

impl Loader<'_> {
    fn embeddings(&mut self) -> Result<Embeddings, ModelError> {
        let Config {
            vocab_size,
            hidden_size,
            max_position_embeddings,
            type_vocab_size,
            ..
        } = *self.config;
        let words = self.read(
            "embeddings.word_embeddings.weight",
            &[vocab_size, hidden_size],
        )?;
        let mut positions = self.read(
            "embeddings.position_embeddings.weight",
            &[max_position_embeddings, hidden_size],
        )?;
        let segments = self.read(
            "embeddings.token_type_embeddings.weight",
            &[type_vocab_size, hidden_size],
        )?;
        for row in positions.chunks_exact_mut(hidden_size) {
            row.iter_mut()
                .zip(&segments)
                .for_each(|(position, segment)| *position += segment);
        }
        Ok(Embeddings {
            words,
            positions,
            norm: self.norm("embeddings")?,
        })
    }

    fn layer(&mut self, index: usize) -> Result<Layer, ModelError> {
        let Config {
            hidden_size: hidden,
            intermediate_size: wide,
            ..
        } = *self.config;
        let at = format!("encoder.layer.{index}");
        Ok(Layer {
            attend: self.attend(&format!("{at}.attention.self"))?,
            mix: self.linear(
                &format!("{at}.attention.output.dense"),
                hidden,
                hidden,
                Activation::None,
            )?,
            mix_norm: self.norm(&format!("{at}.attention.output"))?,
            expand: self.linear(
                &format!("{at}.intermediate.dense"),
                hidden,
                wide,
                Activation::Gelu,
            )?,
            contract: self.linear(
                &format!("{at}.output.dense"),
                wide,
                hidden,
                Activation::None,
            )?,
            contract_norm: self.norm(&format!("{at}.output"))?,
        })
    }

    fn attend(&mut self, at: &str) -> Result<Linear, ModelError> {
        let hidden = self.config.hidden_size;
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for part in ["query", "key", "value"] {
            weight.extend(self.read(&format!("{at}.{part}.weight"), &[hidden, hidden])?);
            bias.extend(self.read(&format!("{at}.{part}.bias"), &[hidden])?);
        }
        let scale = 1.0 / (self.config.head_size() as f32).sqrt();
        weight[..hidden * hidden]
            .iter_mut()
            .for_each(|x| *x *= scale);
        bias[..hidden].iter_mut().for_each(|x| *x *= scale);
        Ok(Linear::new(&weight, bias, Activation::None))
    }

    fn linear(
        &mut self,
        at: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Result<Linear, ModelError> {
        let weight = self.read(&format!("{at}.weight"), &[outputs, inputs])?;
        Ok(Linear::new(
            &weight,
            self.read(&format!("{at}.bias"), &[outputs])?,
            activation,
        ))
    }

    fn norm(&mut self, at: &str) -> Result<AddNorm, ModelError> {
        let hidden = self.config.hidden_size;
        Ok(AddNorm {
            weight: self.read(&format!("{at}.LayerNorm.weight"), &[hidden])?,
            bias: self.read(&format!("{at}.LayerNorm.bias"), &[hidden])?,
            epsilon: self.config.layer_norm_eps,
        })
    }

    fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.file.read(&format!("{}{name}", self.prefix), shape)
    }
}
