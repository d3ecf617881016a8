//! BLIP: a vision transformer and a text decoder that looks at its output, computed by candle's own model.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Module, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::blip::{BlipForConditionalGeneration, Config};
use parking_lot::Mutex;
use tokenizers::Tokenizer;

use crate::cancel::CancelFlag;
use crate::error::ModelError;

use super::picture::planes;
use super::{Captioner, Pixels};

/// File names inside a model's directory, as the hub has them.
const CONFIG_FILE: &str = "config.json";
const TOKENIZER_FILE: &str = "tokenizer.json";
/// Weights in either form; the first that is there is read. Neither is ever run: candle's reader of pickles knows tensors only.
const SAFE_FILE: &str = "model.safetensors";
const PICKLE_FILE: &str = "pytorch_model.bin";
/// The token that a caption begins with (`[DEC]`), and the one that ends it (`[SEP]`).
const BEGIN: u32 = 30_522;
const END: u32 = 102;
/// Longest caption in tokens. The captions of the training are some ten words.
const MOST_TOKENS: usize = 40;
/// Side of a picture that no published model exceeds, in pixels: bounds what a wrong file can make us allocate.
const MAX_SIDE: usize = 1024;

/// A loaded model.
pub struct Blip {
    id: String,
    path: PathBuf,
    tokenizer: Tokenizer,
    side: usize,
    /// The decoder keeps its keys and values inside, so one picture is described at a time.
    network: Mutex<BlipForConditionalGeneration>,
}

impl Blip {
    /// Loads the model in `dir`, whose files must have been verified.
    pub fn open(id: &str, dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join(CONFIG_FILE);
        let config = std::fs::read(&path).map_err(ModelError::io(&path))?;
        let config: Config = serde_json::from_slice(&config)
            .map_err(|error| ModelError::damaged(&path, error.to_string()))?;
        let side = config.vision_config.image_size;
        check(&config).map_err(|reason| ModelError::damaged(&path, reason))?;
        let path = dir.join(TOKENIZER_FILE);
        let tokenizer = std::fs::read(&path).map_err(ModelError::io(&path))?;
        let tokenizer = Tokenizer::from_bytes(tokenizer)
            .map_err(|error| ModelError::damaged(&path, error.to_string()))?;
        let (path, weights) = weights(dir)?;
        let network = BlipForConditionalGeneration::new(&config, weights)
            .map_err(|error| ModelError::damaged(&path, error.to_string()))?;
        Ok(Self {
            id: id.to_owned(),
            path,
            tokenizer,
            side,
            network: Mutex::new(network),
        })
    }
}

/// The best token each time, until the end or the limit.
fn write(
    network: &mut BlipForConditionalGeneration,
    seen: &Tensor,
    cancel: &CancelFlag,
) -> Result<Vec<u32>, ModelError> {
    let (mut last, mut tokens) = (BEGIN, Vec::new());
    while tokens.len() < MOST_TOKENS {
        cancel.check()?;
        let input = Tensor::new(&[[last]], &Device::Cpu)?;
        let scores = network.text_decoder().forward(&input, seen)?;
        last = scores.flatten_all()?.argmax(0)?.to_scalar::<u32>()?;
        if last == END {
            break;
        }
        tokens.push(last);
    }
    Ok(tokens)
}

/// What the decoder needs of a configuration so that nothing in it is out of range.
fn check(config: &Config) -> Result<(), String> {
    let (text, vision) = (&config.text_config, &config.vision_config);
    if vision.patch_size == 0 || !(vision.patch_size..=MAX_SIDE).contains(&vision.image_size) {
        return Err(format!(
            "pictures of {} pixels are not supported",
            vision.image_size
        ));
    }
    let heads = [
        (text.hidden_size, text.num_attention_heads),
        (vision.hidden_size, vision.num_attention_heads),
    ];
    if heads
        .iter()
        .any(|(size, heads)| *heads == 0 || !size.is_multiple_of(*heads))
    {
        return Err("heads do not divide a layer".to_owned());
    }
    if text.vocab_size <= BEGIN as usize || text.max_position_embeddings <= MOST_TOKENS {
        return Err("the text decoder is too small".to_owned());
    }
    Ok(())
}

fn weights(dir: &Path) -> Result<(PathBuf, VarBuilder<'static>), ModelError> {
    let safe = dir.join(SAFE_FILE);
    let damaged = |path: &Path| {
        let path = path.to_owned();
        move |error: candle_core::Error| ModelError::damaged(&path, error.to_string())
    };
    if safe.exists() {
        let tensors =
            candle_core::safetensors::load(&safe, &Device::Cpu).map_err(damaged(&safe))?;
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        return Ok((safe, weights));
    }
    let pickle = dir.join(PICKLE_FILE);
    let weights =
        VarBuilder::from_pth(&pickle, DType::F32, &Device::Cpu).map_err(damaged(&pickle))?;
    Ok((pickle, weights))
}

impl Captioner for Blip {
    fn id(&self) -> &str {
        &self.id
    }

    fn width(&self) -> u32 {
        self.side as u32
    }

    fn caption(
        &self,
        picture: Pixels<'_>,
        cancel: &CancelFlag,
    ) -> Result<Option<String>, ModelError> {
        cancel.check()?;
        let planes = planes(picture, self.side)
            .ok_or_else(|| ModelError::Inference("the picture has another size".to_owned()))?;
        let image = Tensor::from_vec(planes, (1, 3, self.side, self.side), &Device::Cpu)?;
        let mut network = self.network.lock();
        network.reset_kv_cache();
        let seen = network.vision_model().forward(&image)?;
        let tokens = write(&mut network, &seen, cancel)?;
        drop(network);
        let text = self
            .tokenizer
            .decode(&tokens, true)
            .map_err(|error| ModelError::damaged(&self.path, error.to_string()))?;
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((!line.is_empty()).then_some(line))
    }
}

#[cfg(test)]
mod tests;
