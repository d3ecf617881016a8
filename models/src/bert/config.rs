//! The part of a BERT's `config.json` that decides what is computed.
//!
//! Everything our forward pass does not implement is refused here, before any weight is read, so that a model never runs with a
//! silently different meaning.

use std::path::Path;

use serde::Deserialize;

use crate::error::ModelError;
use crate::kernels::attention::HEAD_WIDTH;
use crate::kernels::linear::WIDTH;

/// Largest sizes we accept; several times those of BERT-large. They bound what a wrong file can make us allocate.
const MAX_HIDDEN: usize = 8192;
const MAX_LAYERS: usize = 128;

/// The shape of the network.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f32,
    hidden_act: String,
    #[serde(default = "absolute")]
    position_embedding_type: String,
}

/// What an absent `position_embedding_type` means.
fn absolute() -> String {
    "absolute".to_owned()
}

impl Config {
    /// Reads and checks the file.
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read(path).map_err(ModelError::io(path))?;
        let config: Self = serde_json::from_slice(&text)
            .map_err(|error| ModelError::damaged(path, error.to_string()))?;
        config
            .check()
            .map_err(|reason| ModelError::damaged(path, reason))?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if self.hidden_act != "gelu" || self.position_embedding_type != "absolute" {
            return Err(format!(
                "activation {} with {} positions is not supported",
                self.hidden_act, self.position_embedding_type
            ));
        }
        let sizes = [
            self.vocab_size,
            self.num_hidden_layers,
            self.max_position_embeddings,
            self.type_vocab_size,
        ];
        if sizes.contains(&0) || self.num_hidden_layers > MAX_LAYERS {
            return Err("a size is zero or absurd".to_owned());
        }
        for size in [self.hidden_size, self.intermediate_size] {
            if size == 0 || size > MAX_HIDDEN || !size.is_multiple_of(WIDTH) {
                return Err(format!(
                    "a layer of {size} is not supported: not a multiple of {WIDTH} up to {MAX_HIDDEN}"
                ));
            }
        }
        if self.num_attention_heads == 0
            || !self
                .hidden_size
                .is_multiple_of(self.num_attention_heads * HEAD_WIDTH)
        {
            return Err(format!(
                "{} heads do not divide {} into multiples of {HEAD_WIDTH}",
                self.num_attention_heads, self.hidden_size
            ));
        }
        Ok(())
    }

    /// Width of one attention head.
    pub(super) fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINILM: &str = r#"{"vocab_size":30522,"hidden_size":384,"num_hidden_layers":6,"num_attention_heads":12,"intermediate_size":1536,
        "max_position_embeddings":512,"type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu","model_type":"bert"}"#;

    fn check(text: &str) -> Result<(), String> {
        serde_json::from_str::<Config>(text)
            .map_err(|error| error.to_string())?
            .check()
    }

    #[test]
    fn the_shape_of_minilm_is_accepted() {
        assert_eq!(check(MINILM), Ok(()));
    }

    #[test]
    fn what_the_forward_pass_cannot_do_is_refused() {
        for (from, to) in [
            ("\"gelu\"", "\"relu\""),
            (
                "\"bert\"",
                "\"bert\",\"position_embedding_type\":\"relative_key\"",
            ),
            (":384", ":400"),
            (":384", ":0"),
            (":1536", ":99999968"),
            (":12,", ":48,"),
            (":12,", ":0,"),
            (":6,", ":0,"),
            (":6,", ":100000,"),
            ("30522", "0"),
        ] {
            assert!(
                check(&MINILM.replacen(from, to, 1)).is_err(),
                "{from} -> {to}"
            );
        }
    }
}
