//! Our BERT against a plain one: two layers of random weights, computed by loops that follow the definition, in f64.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use quire_models::bert::BertEmbedder;
use quire_models::{CancelFlag, Embedder, ModelError};
use tempfile::TempDir;

/// The tiny model. Its window is smaller than its longest test text.
const HIDDEN: usize = 32;
const WIDE: usize = 64;
const HEADS: usize = 2;
const LAYERS: usize = 2;
const POSITIONS: usize = 48;
const WINDOW: usize = 40;
const EPSILON: f64 = 1e-12;
/// Unit vectors in f32: an error of 24 roundings would show.
const TOLERANCE: f64 = 3e-6;

const WORDS: [&str; 16] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "alpha", "beta", "gamma", "delta", "rent",
    "pays", "year", "[", "]", "sep", "##s",
];

type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Numbers of a linear congruential generator, between -1 and 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

fn weights() -> Weights {
    let mut shapes = vec![
        (
            "embeddings.word_embeddings.weight".to_owned(),
            vec![WORDS.len(), HIDDEN],
        ),
        (
            "embeddings.position_embeddings.weight".to_owned(),
            vec![POSITIONS, HIDDEN],
        ),
        (
            "embeddings.token_type_embeddings.weight".to_owned(),
            vec![2, HIDDEN],
        ),
    ];
    let mut norms = vec!["embeddings.LayerNorm".to_owned()];
    for layer in 0..LAYERS {
        let at = format!("encoder.layer.{layer}");
        norms.extend([
            format!("{at}.attention.output.LayerNorm"),
            format!("{at}.output.LayerNorm"),
        ]);
        let square = [
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
        ];
        let all = square.map(|name| (name, HIDDEN, HIDDEN)).into_iter();
        for (name, outputs, inputs) in all.chain([
            ("intermediate.dense", WIDE, HIDDEN),
            ("output.dense", HIDDEN, WIDE),
        ]) {
            shapes.push((format!("{at}.{name}.weight"), vec![outputs, inputs]));
            shapes.push((format!("{at}.{name}.bias"), vec![outputs]));
        }
    }
    for norm in norms {
        shapes.extend([
            (format!("{norm}.weight"), vec![HIDDEN]),
            (format!("{norm}.bias"), vec![HIDDEN]),
        ]);
    }
    let mut numbers = Numbers(7);
    let mut tensor = |shape: Vec<usize>| {
        (
            shape.clone(),
            (0..shape.iter().product())
                .map(|_| numbers.next() * 0.5)
                .collect(),
        )
    };
    shapes
        .into_iter()
        .map(|(name, shape)| (name, tensor(shape)))
        .collect()
}

fn write_model(dir: &Path, weights: &Weights) {
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for (name, (shape, numbers)) in weights {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        write!(
            header,
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}},"#,
            data.len()
        )
        .unwrap();
    }
    let header = format!("{}}}", header.trim_end_matches(','));
    let file = [
        (header.len() as u64).to_le_bytes().as_slice(),
        header.as_bytes(),
        &data,
    ]
    .concat();
    fs::write(dir.join("model.safetensors"), file).unwrap();
    let config = format!(
        r#"{{"vocab_size":{},"hidden_size":{HIDDEN},"num_hidden_layers":{LAYERS},"num_attention_heads":{HEADS},"intermediate_size":{WIDE},
        "max_position_embeddings":{POSITIONS},"type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu"}}"#,
        WORDS.len()
    );
    fs::write(dir.join("config.json"), config).unwrap();
    fs::write(dir.join("tokenizer.json"), tokenizer_json()).unwrap();
}

fn tokenizer_json() -> String {
    let vocabulary: Vec<String> = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| format!(r#""{word}":{id}"#))
        .collect();
    let special = |id: usize| {
        let word = WORDS[id];
        format!(
            r#"{{"id":{id},"content":"{word}","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}}"#
        )
    };
    let special: Vec<String> = (0..5).map(special).collect();
    format!(
        r###"{{"version":"1.0","truncation":null,"padding":{{"strategy":{{"Fixed":20}},"direction":"Right","pad_to_multiple_of":null,
        "pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"}},"added_tokens":[{}],
        "normalizer":{{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}},
        "pre_tokenizer":{{"type":"BertPreTokenizer"}},
        "post_processor":{{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]}},"decoder":null,
        "model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{{{}}}}}}}"###,
        special.join(","),
        vocabulary.join(",")
    )
}

/// The plain forward pass over one sentence of token ids.
struct Reference<'a>(&'a Weights);

type Rows = Vec<Vec<f64>>;

impl Reference<'_> {
    fn row(&self, name: &str, row: usize) -> Vec<f64> {
        let (shape, numbers) = &self.0[name];
        let width = shape.last().unwrap();
        numbers[row * width..(row + 1) * width]
            .iter()
            .copied()
            .map(f64::from)
            .collect()
    }

    fn linear(&self, x: &Rows, name: &str) -> Rows {
        let outputs = self.0[&format!("{name}.weight")].0[0];
        let bias = self.row(&format!("{name}.bias"), 0);
        let output =
            |x: &[f64], o: usize| dot(x, &self.row(&format!("{name}.weight"), o)) + bias[o];
        x.iter()
            .map(|x| (0..outputs).map(|o| output(x, o)).collect())
            .collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64;
        let (weight, bias) = (
            self.row(&format!("{name}.weight"), 0),
            self.row(&format!("{name}.bias"), 0),
        );
        (0..x.len())
            .map(|i| (x[i] - mean) / (variance + EPSILON).sqrt() * weight[i] + bias[i])
            .collect()
    }

    fn add_norm(&self, x: &Rows, residual: &Rows, name: &str) -> Rows {
        let sum = |(x, r): (&Vec<f64>, &Vec<f64>)| {
            x.iter().zip(r).map(|(x, r)| x + r).collect::<Vec<_>>()
        };
        x.iter()
            .zip(residual)
            .map(sum)
            .map(|x| self.norm(&x, name))
            .collect()
    }

    fn attention(&self, x: &Rows, at: &str) -> Rows {
        let [q, k, v] =
            ["query", "key", "value"].map(|part| self.linear(x, &format!("{at}.{part}")));
        let size = HIDDEN / HEADS;
        let mut out = vec![vec![0.0; HIDDEN]; x.len()];
        for (head, row) in (0..HEADS).flat_map(|head| (0..x.len()).map(move |row| (head, row))) {
            let columns = head * size..(head + 1) * size;
            let scores: Vec<f64> = k
                .iter()
                .map(|k| {
                    (dot(&q[row][columns.clone()], &k[columns.clone()]) / (size as f64).sqrt())
                        .exp()
                })
                .collect();
            let total: f64 = scores.iter().sum();
            for column in columns {
                out[row][column] = scores
                    .iter()
                    .zip(&v)
                    .map(|(score, v)| score / total * v[column])
                    .sum();
            }
        }
        out
    }

    fn embed(&self, ids: &[usize]) -> Vec<f64> {
        let segment = self.row("embeddings.token_type_embeddings.weight", 0);
        let look_up = |(position, id): (usize, &usize)| {
            let word = self.row("embeddings.word_embeddings.weight", *id);
            let position = self.row("embeddings.position_embeddings.weight", position);
            let sum: Vec<f64> = (0..HIDDEN)
                .map(|i| word[i] + position[i] + segment[i])
                .collect();
            self.norm(&sum, "embeddings.LayerNorm")
        };
        let mut x: Rows = ids.iter().enumerate().map(look_up).collect();
        for layer in 0..LAYERS {
            let at = format!("encoder.layer.{layer}");
            let context = self.attention(&x, &format!("{at}.attention.self"));
            let mixed = self.linear(&context, &format!("{at}.attention.output.dense"));
            let mixed = self.add_norm(&mixed, &x, &format!("{at}.attention.output.LayerNorm"));
            let mut wide = self.linear(&mixed, &format!("{at}.intermediate.dense"));
            wide.iter_mut().flatten().for_each(|x| *x = gelu(*x));
            x = self.add_norm(
                &self.linear(&wide, &format!("{at}.output.dense")),
                &mixed,
                &format!("{at}.output.LayerNorm"),
            );
        }
        let mean: Vec<f64> = (0..HIDDEN)
            .map(|i| x.iter().map(|row| row[i]).sum::<f64>() / x.len() as f64)
            .collect();
        let length = dot(&mean, &mean).sqrt();
        mean.into_iter().map(|x| x / length).collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// x times the normal distribution function, whose integral is summed by Simpson's rule: nothing in common with our formula.
fn gelu(x: f64) -> f64 {
    const STEPS: i32 = 400;
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let step = x / f64::from(STEPS);
    let inner: f64 = (1..STEPS)
        .map(|i| density(f64::from(i) * step) * if i % 2 == 1 { 4.0 } else { 2.0 })
        .sum();
    x * (0.5 + (density(0.0) + inner + density(x)) * step / 3.0)
}

/// The ids of a text whose words are all in the vocabulary, with the control tokens and the cut to the window.
fn ids(text: &str) -> Vec<usize> {
    let words = text
        .split_whitespace()
        .map(|word| WORDS.iter().position(|known| *known == word).unwrap_or(1));
    [2].into_iter()
        .chain(words.take(WINDOW - 2))
        .chain([3])
        .collect()
}

fn model() -> (TempDir, BertEmbedder, Weights) {
    let (dir, weights) = (tempfile::tempdir().unwrap(), weights());
    write_model(dir.path(), &weights);
    let embedder = BertEmbedder::open("tiny", dir.path(), WINDOW).unwrap();
    (dir, embedder, weights)
}

fn assert_close(got: &[f32], want: &[f64], what: &str) {
    let worst = got
        .iter()
        .zip(want)
        .map(|(got, want)| (f64::from(*got) - want).abs())
        .fold(0.0, f64::max);
    assert!(
        got.len() == want.len() && worst < TOLERANCE,
        "{what}: off by {worst}"
    );
}

/// Enough texts of all lengths for several batches.
fn texts() -> Vec<String> {
    let word = |i: usize| WORDS[5 + i * i % 7];
    (0..60)
        .map(|n| {
            (0..n % 50)
                .map(|i| word(i + n))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect()
}

#[test]
fn vectors_agree_with_the_plain_forward_pass() {
    let (_dir, embedder, weights) = model();
    let texts = texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, &CancelFlag::default()).unwrap();
    for (text, vector) in texts.iter().zip(&vectors) {
        assert_close(vector, &Reference(&weights).embed(&ids(text)), text);
    }
}

#[test]
fn a_text_has_the_same_bits_alone_and_in_a_batch() {
    let (_dir, embedder, _) = model();
    let texts = texts();
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    let together = embedder.embed(&all, &CancelFlag::default()).unwrap();
    for (text, vector) in all.iter().zip(&together) {
        assert_eq!(
            &embedder.embed(&[text], &CancelFlag::default()).unwrap()[0],
            vector,
            "{text}"
        );
    }
}

#[test]
fn control_tokens_in_a_text_are_only_text() {
    let (_dir, embedder, weights) = model();
    let vector = embedder
        .embed(&["alpha [SEP] beta"], &CancelFlag::default())
        .unwrap();
    let spelled = [2, 5, 12, 14, 13, 6, 3];
    assert_close(
        &vector[0],
        &Reference(&weights).embed(&spelled),
        "alpha [ sep ] beta",
    );
}

/// A tokenizer in the form of XLM-R's, which multilingual models have: unigrams, words marked by their space, `<s>` around a text.
fn unigram_tokenizer_json() -> String {
    let pieces = [
        "<s>",
        "<pad>",
        "</s>",
        "<unk>",
        "<mask>",
        "▁al",
        "pha",
        "▁",
        "<",
        "/",
        "s",
        ">",
        "▁дом",
        "漢",
        "字",
        "▁a",
    ];
    let special: Vec<String> = (0..5)
        .map(|id| {
            format!(
                r#"{{"id":{id},"content":"{}","special":true,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false}}"#,
                pieces[id]
            )
        })
        .collect();
    let vocabulary: Vec<String> = pieces
        .iter()
        .map(|piece| format!(r#"["{piece}",-{}.0]"#, 20 - piece.chars().count()))
        .collect();
    format!(
        r#"{{"version":"1.0","truncation":{{"max_length":9,"strategy":"LongestFirst","stride":0}},"padding":{{"strategy":"BatchLongest",
        "direction":"Right","pad_to_multiple_of":null,"pad_id":1,"pad_type_id":0,"pad_token":"<pad>"}},"added_tokens":[{}],
        "normalizer":null,
        "pre_tokenizer":{{"type":"Sequence","pretokenizers":[{{"type":"WhitespaceSplit"}},
            {{"type":"Metaspace","replacement":"▁","add_prefix_space":true}}]}},
        "post_processor":{{"type":"TemplateProcessing",
            "single":[{{"SpecialToken":{{"id":"<s>","type_id":0}}}},{{"Sequence":{{"id":"A","type_id":0}}}},
                {{"SpecialToken":{{"id":"</s>","type_id":0}}}}],
            "pair":[],"special_tokens":{{"<s>":{{"id":"<s>","ids":[0],"tokens":["<s>"]}},
                "</s>":{{"id":"</s>","ids":[2],"tokens":["</s>"]}}}}}},
        "decoder":{{"type":"Metaspace","replacement":"▁","add_prefix_space":true}},
        "model":{{"type":"Unigram","unk_id":3,"vocab":[{}]}}}}"#,
        special.join(","),
        vocabulary.join(",")
    )
}

#[test]
fn a_multilingual_vocabulary_of_unigrams_is_read() {
    let (dir, weights) = (tempfile::tempdir().unwrap(), weights());
    write_model(dir.path(), &weights);
    fs::write(dir.path().join("tokenizer.json"), unigram_tokenizer_json()).unwrap();
    let embedder = BertEmbedder::open("multilingual", dir.path(), WINDOW).unwrap();
    let texts = ["alpha дом", "漢字", "дом </s> alpha", "é"];
    let vectors = embedder.embed(&texts, &CancelFlag::default()).unwrap();
    let ids: [&[usize]; 4] = [
        &[0, 5, 6, 12, 2],
        &[0, 7, 13, 14, 2],
        // The end of a text is an end only where the tokenizer puts it, though it is one of the pieces.
        &[0, 12, 7, 5, 6, 2],
        &[0, 7, 3, 2],
    ];
    for ((vector, ids), text) in vectors.iter().zip(ids).zip(texts) {
        assert_close(vector, &Reference(&weights).embed(ids), text);
    }
}

#[test]
fn an_endless_word_costs_no_more_than_the_window() {
    let (_dir, embedder, weights) = model();
    let text = "é".repeat(10_000_000);
    let vector = embedder.embed(&[&text], &CancelFlag::default()).unwrap();
    assert_close(
        &vector[0],
        &Reference(&weights).embed(&[2, 1, 3]),
        "one unknown word",
    );
}

#[test]
fn no_texts_give_no_vectors_and_a_cancelled_call_gives_an_error() {
    let (_dir, embedder, _) = model();
    let cancel = CancelFlag::default();
    assert!(embedder.embed(&[], &cancel).unwrap().is_empty());
    assert_eq!((embedder.id(), embedder.dimensions()), ("tiny", HIDDEN));
    cancel.cancel();
    assert!(matches!(
        embedder.embed(&["alpha"], &cancel),
        Err(ModelError::Cancelled)
    ));
}

#[test]
fn files_that_do_not_fit_together_are_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let mut weights = weights();
    let words = "embeddings.word_embeddings.weight".to_owned();
    let refused = |weights: &Weights| {
        write_model(dir.path(), weights);
        matches!(BertEmbedder::open("tiny", dir.path(), WINDOW), Err(ModelError::Damaged { path, .. }) if path.ends_with("model.safetensors"))
    };
    assert!(!refused(&weights));
    let whole = weights
        .insert(
            words.clone(),
            (
                vec![WORDS.len() - 1, HIDDEN],
                vec![0.0; (WORDS.len() - 1) * HIDDEN],
            ),
        )
        .unwrap();
    assert!(refused(&weights), "a vocabulary that is too small");
    weights.insert(words, whole);
    weights.remove("encoder.layer.1.output.dense.bias");
    assert!(refused(&weights), "a layer without its bias");
}
