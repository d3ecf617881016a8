//! Finds the tensors of a network in its file.

use std::sync::Mutex;

use crate::error::ModelError;
use crate::kernels::buffers::Buffers;
use crate::kernels::pool;
use crate::kernels::quantised::Matrix;
use crate::weights::numbers;

use super::super::config::Config;
use super::super::gguf::Gguf;
use super::{Biases, HeadNorms, Layer, Network};

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
        let mut network = Self {
            layers: layers.collect::<Result<_, _>>()?,
            norm: load.vector("output_norm.weight", hidden)?,
            embedding,
            head,
            config: config.clone(),
            buffers: Buffers::default(),
        };
        network.prepare()?;
        file.file().release();
        Ok(network)
    }

    /// Lays out all weights for the kernels, on all threads. The first prompt would wait for it.
    fn prepare(&mut self) -> Result<(), ModelError> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            [
                &mut layer.query,
                &mut layer.key,
                &mut layer.value,
                &mut layer.mix,
                &mut layer.gate,
                &mut layer.up,
                &mut layer.down,
            ]
        });
        // Not warmed: candle takes a head as it is, with one row.
        let head = std::iter::once((&mut self.head, false));
        let queue = Mutex::new(head.chain(layers.map(|matrix| (matrix, true))));
        let next = || queue.lock().ok()?.next();
        let work = || {
            while let Some((matrix, is_warmed)) = next() {
                matrix.lay_out();
                if is_warmed {
                    matrix.warm()?;
                }
            }
            Ok(())
        };
        // Threads of their own: candle's pool, on which kernels run, waits for itself when it is asked to warm from within.
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..pool::threads()).map(|_| scope.spawn(work)).collect();
            threads.into_iter().try_for_each(|thread| {
                let died = |_| ModelError::Inference("the layout of the weights died".to_owned());
                thread.join().map_err(died)?
            })
        })
    }
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

    fn product(&self, name: &str, outputs: usize, inputs: usize) -> Result<Matrix, ModelError> {
        let tensor = self.file.tensor(name, &[outputs, inputs])?;
        Ok(Matrix::new(tensor)?)
    }

    fn vector(&self, name: &str, size: usize) -> Result<Vec<f32>, ModelError> {
        numbers(&self.file.tensor(name, &[size])?)
    }
}
