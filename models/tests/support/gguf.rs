//! Writes GGUF files whose weights are a formula, for tests and benchmarks.
//!
//! The same formula is in `tests/parity/reference.py`, which makes the reference scores: number `i` of tensor `t` comes from the hash
//! of `t << 32 | i`, so that both write the same bytes and no file needs to be committed. Quantised blocks are drawn as blocks.

#![expect(
    unreachable_pub,
    reason = "the file is a module of the tests and of the benchmark's maker"
)]

use half::f16;

/// Sizes of a network.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// `general.architecture`.
    pub family: &'static str,
    pub hidden: usize,
    pub inner: usize,
    pub heads: usize,
    pub kv: usize,
    pub size: usize,
    pub layers: usize,
    pub vocabulary: usize,
    pub context: u32,
    pub rope_base: f32,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Largest numbers of the embedding and of a head of its own.
    pub embedding_scale: f64,
}

/// The small networks of the parity tests.
pub fn tiny(family: &'static str) -> Shape {
    let is_tied = family == "qwen3";
    Shape {
        family,
        hidden: 256,
        inner: 512,
        heads: 4,
        kv: 2,
        size: 64,
        layers: 3,
        vocabulary: 1024,
        context: 8192,
        rope_base: if family == "llama" { 5e5 } else { 1e6 },
        tied: is_tied,
        embedding_scale: if is_tied { 0.115 } else { 0.5 },
    }
}

/// How the weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    F16,
    Q8,
    /// Four bits, with six for the embedding, the head, and the values and contractions of some layers, as `Q4_K_M` has it.
    Q4,
}

impl Format {
    fn kind(self, is_fine: bool) -> Kind {
        match (self, is_fine) {
            (Self::F16, _) => Kind::F16,
            (Self::Q8, _) => Kind::Q8,
            (Self::Q4, true) => Kind::Q6,
            (Self::Q4, false) => Kind::Q4,
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Norm,
    Bias,
    F16,
    Q8,
    Q4,
    Q6,
}

struct Entry {
    name: String,
    kind: Kind,
    /// Rows and columns; one row for vectors.
    rows: usize,
    columns: usize,
    scale: f64,
}

/// One value of a header.
pub enum Field<'a> {
    Text(&'a str),
    U32(u32),
    F32(f32),
    Bool(bool),
    Texts(&'a [String]),
    I32s(&'a [i32]),
}

/// splitmix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The hashes of one tensor.
struct Draw {
    at: u64,
}

impl Draw {
    fn next(&mut self) -> u64 {
        self.at += 1;
        mix(self.at - 1)
    }

    /// -1 to 1 in steps of 1/1000.
    fn uniform(&mut self) -> f64 {
        (self.next() % 2001) as f64 / 1000.0 - 1.0
    }
}

fn entries(shape: Shape, format: Format) -> Vec<Entry> {
    let Shape { hidden, inner, .. } = shape;
    let (queries, keys) = (shape.heads * shape.size, shape.kv * shape.size);
    let fine = |is_fine: bool| format.kind(is_fine);
    let mut list = Vec::new();
    let mut add = |name: String, kind: Kind, rows: usize, columns: usize, scale: f64| {
        list.push(Entry::new(name, kind, (rows, columns), scale));
    };
    let scale = shape.embedding_scale;
    add(
        "token_embd.weight".into(),
        fine(true),
        shape.vocabulary,
        hidden,
        scale,
    );
    add("output_norm.weight".into(), Kind::Norm, 1, hidden, 0.1);
    if !shape.tied {
        add(
            "output.weight".into(),
            fine(true),
            shape.vocabulary,
            hidden,
            0.115,
        );
    }
    // The parity models are narrow; wide ones need smaller weights to keep their numbers in bounds.
    let weight = 0.1 * (256.0 / hidden as f64).sqrt();
    for layer in 0..shape.layers {
        let name = |part: &str| format!("blk.{layer}.{part}");
        let is_fine = layer == 0 || shape.layers > 8 && layer % 2 == 0;
        add(name("attn_norm.weight"), Kind::Norm, 1, hidden, 0.1);
        add(name("ffn_norm.weight"), Kind::Norm, 1, hidden, 0.1);
        add(name("attn_q.weight"), fine(false), queries, hidden, weight);
        add(name("attn_k.weight"), fine(false), keys, hidden, weight);
        add(name("attn_v.weight"), fine(is_fine), keys, hidden, weight);
        add(
            name("attn_output.weight"),
            fine(false),
            hidden,
            queries,
            weight,
        );
        add(name("ffn_gate.weight"), fine(false), inner, hidden, weight);
        add(name("ffn_up.weight"), fine(false), inner, hidden, weight);
        add(
            name("ffn_down.weight"),
            fine(is_fine),
            hidden,
            inner,
            weight,
        );
        if shape.family == "qwen2" {
            add(name("attn_q.bias"), Kind::Bias, 1, queries, 0.2);
            add(name("attn_k.bias"), Kind::Bias, 1, keys, 0.2);
            add(name("attn_v.bias"), Kind::Bias, 1, keys, 0.2);
        }
        if shape.family == "qwen3" {
            add(name("attn_q_norm.weight"), Kind::Norm, 1, shape.size, 0.1);
            add(name("attn_k_norm.weight"), Kind::Norm, 1, shape.size, 0.1);
        }
    }
    list
}

impl Entry {
    fn new(name: String, kind: Kind, (rows, columns): (usize, usize), scale: f64) -> Self {
        Self {
            name,
            kind,
            rows,
            columns,
            scale,
        }
    }

    fn code(&self) -> u32 {
        match self.kind {
            Kind::Norm | Kind::Bias => 0,
            Kind::F16 => 1,
            Kind::Q8 => 8,
            Kind::Q4 => 12,
            Kind::Q6 => 14,
        }
    }

    fn bytes(&self, number: usize) -> Vec<u8> {
        let mut draw = Draw {
            at: (number as u64) << 32,
        };
        let count = self.rows * self.columns;
        let half = |x: f64| f16::from_f64(x).to_le_bytes();
        let mut out = Vec::new();
        match self.kind {
            Kind::Norm | Kind::Bias => {
                let middle = if matches!(self.kind, Kind::Norm) {
                    1.0
                } else {
                    0.0
                };
                for _ in 0..count {
                    let number = (draw.uniform() * self.scale + middle) as f32;
                    out.extend(number.to_le_bytes());
                }
            }
            Kind::F16 => (0..count).for_each(|_| out.extend(half(draw.uniform() * self.scale))),
            Kind::Q8 => {
                for _ in 0..count / 32 {
                    out.extend(half(self.scale / 127.0));
                    out.extend((0..32).map(|_| ((draw.next() % 255) as i16 - 127) as i8 as u8));
                }
            }
            Kind::Q4 => {
                let step = self.scale / (7.5 * 48.0);
                for _ in 0..count / 256 {
                    out.extend(half(step));
                    out.extend(half(step * 7.5));
                    let s: [u8; 8] = std::array::from_fn(|_| (draw.next() % 32) as u8 + 32);
                    let upper: Vec<u8> = (0..4).map(|j| s[j] | ((s[j + 4] >> 4) << 6)).collect();
                    out.extend(&upper);
                    out.extend(&upper);
                    out.extend((0..4).map(|j| (s[j + 4] & 15) | ((s[j + 4] & 15) << 4)));
                    out.extend((0..128).map(|_| draw.next() as u8));
                }
            }
            Kind::Q6 => {
                for _ in 0..count / 256 {
                    out.extend((0..192).map(|_| draw.next() as u8));
                    out.extend((0..16).map(|_| (draw.next() % 32) as u8 + 32));
                    out.extend(half(self.scale / (32.0 * 48.0)));
                }
            }
        }
        out
    }
}

/// Names and types of a byte-level vocabulary with one merge: `<|endoftext|>`, `<|im_start|>` and `<|im_end|>` are the last three.
pub fn vocabulary(count: usize) -> (Vec<String>, Vec<i32>) {
    let is_own = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut shifted = 256;
    let mut names: Vec<String> = Vec::new();
    for byte in 0..256u32 {
        let code = if is_own(byte) { byte } else { shifted };
        shifted += u32::from(!is_own(byte));
        names.push(
            char::from_u32(code)
                .expect("below the surrogates")
                .to_string(),
        );
    }
    names.push("th".to_owned());
    let mut kinds = vec![1; 257];
    while names.len() < count - 3 {
        names.push(format!("[PAD{}]", names.len()));
        kinds.push(5);
    }
    names.extend(["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned));
    kinds.extend([3; 3]);
    (names, kinds)
}

/// The header of a network, with a vocabulary of bytes.
pub fn header<'a>(
    shape: Shape,
    names: &'a [String],
    kinds: &'a [i32],
    merges: &'a [String],
) -> Vec<(String, Field<'a>)> {
    let last = shape.vocabulary as u32 - 1;
    let own = |key: &str| format!("{}.{key}", shape.family);
    let pre = if shape.family == "llama" {
        "llama-bpe"
    } else {
        "qwen2"
    };
    vec![
        ("general.architecture".into(), Field::Text(shape.family)),
        (own("context_length"), Field::U32(shape.context)),
        (own("embedding_length"), Field::U32(shape.hidden as u32)),
        (own("block_count"), Field::U32(shape.layers as u32)),
        (own("feed_forward_length"), Field::U32(shape.inner as u32)),
        (own("attention.head_count"), Field::U32(shape.heads as u32)),
        (own("attention.head_count_kv"), Field::U32(shape.kv as u32)),
        (own("attention.key_length"), Field::U32(shape.size as u32)),
        (own("attention.value_length"), Field::U32(shape.size as u32)),
        (own("attention.layer_norm_rms_epsilon"), Field::F32(1e-6)),
        (own("rope.dimension_count"), Field::U32(shape.size as u32)),
        (own("rope.freq_base"), Field::F32(shape.rope_base)),
        (own("vocab_size"), Field::U32(shape.vocabulary as u32)),
        ("tokenizer.ggml.model".into(), Field::Text("gpt2")),
        ("tokenizer.ggml.pre".into(), Field::Text(pre)),
        ("tokenizer.ggml.tokens".into(), Field::Texts(names)),
        ("tokenizer.ggml.token_type".into(), Field::I32s(kinds)),
        ("tokenizer.ggml.merges".into(), Field::Texts(merges)),
        ("tokenizer.ggml.eos_token_id".into(), Field::U32(last)),
        ("tokenizer.ggml.bos_token_id".into(), Field::U32(last - 2)),
        ("tokenizer.ggml.add_bos_token".into(), Field::Bool(false)),
    ]
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn field(out: &mut Vec<u8>, key: &str, value: &Field<'_>) {
    text(out, key);
    let mut code = |code: u32| out.extend(code.to_le_bytes());
    match value {
        Field::Text(value) => {
            code(8);
            text(out, value);
        }
        Field::U32(value) => {
            code(4);
            out.extend(value.to_le_bytes());
        }
        Field::F32(value) => {
            code(6);
            out.extend(value.to_le_bytes());
        }
        Field::Bool(value) => {
            code(7);
            out.push(u8::from(*value));
        }
        Field::Texts(list) => {
            code(9);
            code(8);
            out.extend((list.len() as u64).to_le_bytes());
            list.iter().for_each(|item| text(out, item));
        }
        Field::I32s(list) => {
            code(9);
            code(5);
            out.extend((list.len() as u64).to_le_bytes());
            for item in *list {
                out.extend(item.to_le_bytes());
            }
        }
    }
}

/// A whole file from its fields and the tensors of a shape.
pub fn file(fields: &[(String, Field<'_>)], shape: Shape, format: Format) -> Vec<u8> {
    let entries = entries(shape, format);
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((entries.len() as u64).to_le_bytes());
    out.extend((fields.len() as u64).to_le_bytes());
    for (key, value) in fields {
        field(&mut out, key, value);
    }
    let mut data: Vec<u8> = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        text(&mut out, &entry.name);
        let sizes: &[usize] = match entry.kind {
            Kind::Norm | Kind::Bias => &[entry.columns],
            _ => &[entry.columns, entry.rows],
        };
        out.extend((sizes.len() as u32).to_le_bytes());
        for size in sizes {
            out.extend((*size as u64).to_le_bytes());
        }
        out.extend(entry.code().to_le_bytes());
        out.extend((data.len() as u64).to_le_bytes());
        data.extend(entry.bytes(number));
        data.resize(data.len().next_multiple_of(32), 0);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

/// A whole file with the usual header.
pub fn model(shape: Shape, format: Format) -> Vec<u8> {
    let (names, kinds) = vocabulary(shape.vocabulary);
    let merges = ["t h".to_owned()];
    file(&header(shape, &names, &kinds, &merges), shape, format)
}
