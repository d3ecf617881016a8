//! Finds the tensors of a network in its file.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Tensor};

use crate::error::ModelError;
use crate::kernels::pool;
use crate::weights::numbers;

use super::super::config::Config;
use super::super::gguf::Gguf;
use super::{Biases, HeadNorms, Layer, Network};

/// Rows of the warm-up: fewer would leave the layouts for several rows unmade.
const WARM_ROWS: usize = 2;

impl Network {
    /// Loads the network of a checked file.
    pub(in crate::generate) fn load(file: &Gguf) -> Result<Self, ModelError> {
        let config = Config::read(file)?;
        file.file().prefetch();
        if !config.is_fast() {
            tracing::warn!(
                hidden = config.hidden,
                inner = config.inner,
                "the widths of this model are no multiples of 256: its products take the slow path"
            );
        }
        let Config {
            hidden, vocabulary, ..
        } = config;
        let load = Load {
            file,
            config: &config,
        };
        let embedding = file.tensor("token_embd.weight", &[vocabulary, hidden])?;
        let head = match file.info("output.weight") {
            Some(_) => load.product("output.weight", vocabulary, hidden)?,
            // A tied head is the same bytes of the file again, not a copy.
            None => load.product("token_embd.weight", vocabulary, hidden)?,
        };
        let layers = (0..config.layers).map(|layer| load.layer(layer));
        let network = Self {
            layers: layers.collect::<Result<_, _>>()?,
            norm: load.vector("output_norm.weight", hidden)?,
            embedding,
            head,
            config: config.clone(),
        };
        network.warm_up()?;
        file.file().release();
        Ok(network)
    }

    /// Multiplies once with every weight, on all threads: candle lays weights out for its kernels at their first use, one after the
    /// other, and the first prompt would wait for it. The head is left out: with one row it is used as it is.
    fn warm_up(&self) -> Result<(), ModelError> {
        let weights = self.layers.iter().flat_map(|layer| {
            [
                &layer.query,
                &layer.key,
                &layer.value,
                &layer.mix,
                &layer.gate,
                &layer.up,
                &layer.down,
            ]
        });
        let weights: Vec<&Arc<QTensor>> = weights
            .filter_map(|weight| match weight {
                QMatMul::QTensor(tensor) => Some(tensor),
                QMatMul::Tensor(_) | QMatMul::TensorF16(_) => None,
            })
            .collect();
        let share = weights.len().div_ceil(pool::threads()).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = weights
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().try_for_each(|weight| warm(weight))))
                .collect();
            parts.into_iter().try_for_each(|part| {
                let died = |_| ModelError::Inference("the warm-up died".to_owned());
                part.join().map_err(died)?
            })
        })
    }
}

fn warm(weight: &QTensor) -> Result<(), ModelError> {
    let (_, inputs) = weight.shape().dims2()?;
    let x = Tensor::zeros((WARM_ROWS, inputs), candle_core::DType::F32, &Device::Cpu)?;
    x.apply_op1_no_bwd(weight)?;
    Ok(())
}

struct Load<'a> {
    file: &'a Gguf,
    config: &'a Config,
}

impl Load<'_> {
    fn layer(&self, layer: usize) -> Result<Layer, ModelError> {
        let Config {
            family,
            hidden,
            inner,
            heads,
            kv_heads,
            head_dim,
            ..
        } = *self.config;
        let (queries, keys) = (heads * head_dim, kv_heads * head_dim);
        let name = |part: &str| format!("blk.{layer}.{part}");
        let product = |part: &str, outputs, inputs| {
            self.product(&name(&format!("{part}.weight")), outputs, inputs)
        };
        let vector = |part: &str, size| self.vector(&name(part), size);
        let biases = || {
            Ok::<_, ModelError>(Biases {
                query: vector("attn_q.bias", queries)?,
                key: vector("attn_k.bias", keys)?,
                value: vector("attn_v.bias", keys)?,
            })
        };
        let head_norms = || {
            Ok::<_, ModelError>(HeadNorms {
                query: vector("attn_q_norm.weight", head_dim)?,
                key: vector("attn_k_norm.weight", head_dim)?,
            })
        };
        Ok(Layer {
            attention_norm: vector("attn_norm.weight", hidden)?,
            query: product("attn_q", queries, hidden)?,
            key: product("attn_k", keys, hidden)?,
            value: product("attn_v", keys, hidden)?,
            biases: family.biased.then(biases).transpose()?,
            head_norms: family.normed_heads.then(head_norms).transpose()?,
            mix: product("attn_output", hidden, queries)?,
            inner_norm: vector("ffn_norm.weight", hidden)?,
            gate: product("ffn_gate", inner, hidden)?,
            up: product("ffn_up", inner, hidden)?,
            down: product("ffn_down", hidden, inner)?,
        })
    }

    fn product(&self, name: &str, outputs: usize, inputs: usize) -> Result<QMatMul, ModelError> {
        let tensor = self.file.tensor(name, &[outputs, inputs])?;
        Ok(QMatMul::from_arc(Arc::new(tensor))?)
    }

    fn vector(&self, name: &str, size: usize) -> Result<Vec<f32>, ModelError> {
        numbers(&self.file.tensor(name, &[size])?)
    }
}
