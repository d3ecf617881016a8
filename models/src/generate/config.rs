//! The sizes of a network, read from a checked header and compared with what the code can compute.
//!
//! Every number is bounded before anything is sized by it. What the kernels cannot do (a head that is no whole number of vectors,
//! an unknown way to stretch positions) is refused here, with the key that says it.

use crate::error::ModelError;

use super::arch::{self, Family};
use super::gguf::Gguf;
use super::rope::Rope;

/// Head sizes must be multiples of this: the widest vector of f32.
const HEAD_WIDTH: usize = 16;
/// Largest head that the attention kernels have room for.
const MAX_HEAD_DIM: usize = 256;
/// No published dense model is larger in any of these.
const MAX_LAYERS: u64 = 256;
const MAX_WIDTH: u64 = 1 << 17;
const MAX_VOCABULARY: usize = 1 << 20;
const MAX_CONTEXT: u64 = 1 << 20;
/// Super-blocks of the K quants: other widths take candle's slow path.
const FAST_WIDTH: usize = 256;

/// Sizes and constants of one network.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) family: &'static Family,
    pub(super) layers: usize,
    /// Width of the stream between the layers.
    pub(super) hidden: usize,
    /// Width inside the feed-forward part.
    pub(super) inner: usize,
    pub(super) heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` heads of queries.
    pub(super) kv_heads: usize,
    pub(super) head_dim: usize,
    pub(super) vocabulary: usize,
    /// Positions that the model was trained for.
    pub(super) context: usize,
    /// Added to the mean square in the normalisations.
    pub(super) epsilon: f32,
    pub(super) rope: Rope,
}

impl Config {
    /// Reads and checks. The vocabulary is the number of rows of the embedding.
    pub(super) fn read(file: &Gguf) -> Result<Self, ModelError> {
        let name = file.text("general.architecture")?.unwrap_or_default();
        let Some(family) = arch::find(name) else {
            let known = arch::names();
            return Err(unsupported(
                file,
                format!("architecture {name:?}, not one of {known}"),
            ));
        };
        let keys = Keys { file, family };
        let hidden = keys.size("embedding_length", MAX_WIDTH)?;
        let heads = keys.size("attention.head_count", MAX_WIDTH)?;
        let head_dim = match keys.optional("attention.key_length")? {
            Some(size) => size,
            None => hidden / heads,
        };
        let config = Self {
            family,
            layers: keys.size("block_count", MAX_LAYERS)?,
            hidden,
            inner: keys.size("feed_forward_length", MAX_WIDTH)?,
            heads,
            kv_heads: keys.optional("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            vocabulary: vocabulary(file)?,
            context: keys.size("context_length", MAX_CONTEXT)?,
            epsilon: keys.epsilon()?,
            rope: Rope::read(file, family, head_dim)?,
        };
        config.check(&keys)?;
        Ok(config)
    }

    /// Whether the quantised products take the fast path of the kernels.
    pub(super) fn is_fast(&self) -> bool {
        self.hidden.is_multiple_of(FAST_WIDTH) && self.inner.is_multiple_of(FAST_WIDTH)
    }

    fn check(&self, keys: &Keys<'_>) -> Result<(), ModelError> {
        let file = keys.file;
        if !self.heads.is_multiple_of(self.kv_heads) {
            let reason = format!(
                "shares {} heads of keys among {} heads",
                self.kv_heads, self.heads
            );
            return Err(file.damaged(reason));
        }
        if !self.head_dim.is_multiple_of(HEAD_WIDTH) || self.head_dim > MAX_HEAD_DIM {
            return Err(unsupported(file, format!("heads of {}", self.head_dim)));
        }
        let values = keys.optional("attention.value_length")?;
        if values.is_some_and(|size| size != self.head_dim) {
            return Err(unsupported(file, "keys and values of different sizes"));
        }
        if !self.hidden.is_multiple_of(HEAD_WIDTH) || !self.inner.is_multiple_of(HEAD_WIDTH) {
            let reason = format!("layers of {} and {}", self.hidden, self.inner);
            return Err(unsupported(file, reason));
        }
        if keys.optional("expert_count")?.is_some() {
            return Err(unsupported(file, "experts"));
        }
        Ok(())
    }
}

/// A file that is what it claims to be, and needs what this code does not compute.
pub(super) fn unsupported(file: &Gguf, what: impl Into<String>) -> ModelError {
    ModelError::Unsupported {
        path: file.file().path().to_owned(),
        what: what.into(),
    }
}

fn vocabulary(file: &Gguf) -> Result<usize, ModelError> {
    let shape = file.info("token_embd.weight").map(|info| &info.shape[..]);
    match shape {
        Some([rows, _]) if *rows <= MAX_VOCABULARY => Ok(*rows),
        Some([rows, _]) => Err(file.damaged(format!("claims {rows} tokens"))),
        _ => Err(file.damaged("has no embedding of tokens")),
    }
}

/// Values under the prefix of a family.
pub(super) struct Keys<'a> {
    pub(super) file: &'a Gguf,
    pub(super) family: &'static Family,
}

impl Keys<'_> {
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.family.name)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        self.file.number(&self.name(key))
    }

    fn size(&self, key: &str, limit: u64) -> Result<usize, ModelError> {
        let key = self.name(key);
        match self.file.whole(&key)? {
            Some(size) if (1..=limit).contains(&size) => Ok(size as usize),
            Some(size) => Err(self.file.damaged(format!("{key} is {size}"))),
            None => Err(self.file.damaged(format!("has no {key}"))),
        }
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, ModelError> {
        match self.file.whole(&self.name(key))? {
            None => Ok(None),
            Some(_) => self.size(key, MAX_WIDTH).map(Some),
        }
    }

    fn epsilon(&self) -> Result<f32, ModelError> {
        let key = "attention.layer_norm_rms_epsilon";
        match self.number(key)? {
            Some(epsilon) if epsilon > 0.0 && epsilon < 1.0 => Ok(epsilon as f32),
            _ => Err(self.file.damaged(format!("has no sane {}", self.name(key)))),
        }
    }
}
