//! Sentences per second of our BERT, for comparison with onnxruntime or with the BERT of candle-transformers.
//!
//! `bench_embed figures MODELS_DIR` prints a line `name value` for each figure; `scripts/bench-models.sh` runs it in turn with
//! `scripts/bench-models/peer_embed.py`, which embeds the same texts.
//!
//! `bench_embed [MODELS_DIR [TEXT_FILE]]` compares with candle in one run. The model must be installed; the text has a sentence per
//! line. Medians of alternating rounds, because neighbours on the machine slow down both alike. Not a criterion benchmark: a
//! round takes seconds and the comparison is the result.

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{DType, Device, IndexOp, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use quire_models::bert::BertEmbedder;
use quire_models::{CancelFlag, Embedder};
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

/// Rounds per batch size; each runs both engines over all sentences.
const ROUNDS: usize = 3;
/// Single sentences timed for the latency.
const SINGLES: usize = 30;
/// Single sentences, and sentences per call, of the figures; as in the peer.
const FIGURE_SINGLES: usize = 64;
const FIGURE_BATCH: usize = 8;
/// Window of the model.
const MAX_TOKENS: usize = 256;

type Failure = Box<dyn std::error::Error>;

/// One way to embed.
type Engine<'a> = (
    &'a str,
    Box<dyn Fn(&[&str]) -> Result<Vec<Vec<f32>>, Failure> + 'a>,
);

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|word| word == "figures").is_some() {
        return figures(&PathBuf::from(args.next().ok_or("no MODELS_DIR")?));
    }
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "models-cache".to_owned()))
        .join("all-MiniLM-L6-v2");
    let text = args
        .next()
        .map_or_else(|| Ok(built_in_text()), std::fs::read_to_string)?;
    let mut sentences: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    sentences.sort_by_key(|sentence| sentence.len());

    let start = Instant::now();
    let ours = BertEmbedder::open("all-MiniLM-L6-v2", &dir, MAX_TOKENS)?;
    let loaded = start.elapsed();
    report(&format!(
        "{} sentences; load {loaded:.2?}, peak memory {}",
        sentences.len(),
        peak_memory()
    ));
    let peer = Peer::open(&dir)?;
    let engines: [Engine<'_>; 2] = [
        (
            "quire",
            Box::new(|texts| Ok(ours.embed(texts, &CancelFlag::default())?)),
        ),
        ("candle-transformers", Box::new(|texts| peer.embed(texts))),
    ];
    compare(&engines, &sentences[..sentences.len().min(32)])?;
    for size in [8, 32, 64] {
        throughput(&engines, &sentences, size)?;
    }
    let all = rate(|| Ok(engines[0].1(&sentences)?.len()))?;
    report(&format!("quire, all texts in one call: {all:.0}/s"));
    latency(&engines, &sentences)?;
    report(&format!("peak memory with both loaded {}", peak_memory()));
    Ok(())
}

/// Sentences per second of processor time, in calls of eight and of one.
fn figures(models: &Path) -> Result<(), Failure> {
    let dir = models.join("all-MiniLM-L6-v2");
    let ours = BertEmbedder::open("all-MiniLM-L6-v2", &dir, MAX_TOKENS)?;
    let text = built_in_text();
    let mut sentences: Vec<&str> = text.lines().collect();
    sentences.sort_by_key(|sentence| sentence.len());
    let middle = &sentences[sentences.len() / 2..];
    let embed = |texts: &[&str]| ours.embed(texts, &CancelFlag::default());
    // The same number from the peer shows that both compute the same.
    let probe: f32 = embed(&middle[..1])?[0][..8].iter().sum();
    report(&format!("embed_probe {probe:.6}"));
    for (name, texts, size) in [
        ("embed_b8", &sentences[..], FIGURE_BATCH),
        ("embed_one", &middle[..FIGURE_SINGLES], 1),
    ] {
        let (start, spent) = (Instant::now(), cpu_seconds());
        for texts in texts.chunks(size) {
            embed(texts)?;
        }
        let per_cpu_second = texts.len() as f64 / (cpu_seconds() - spent);
        let call = start.elapsed().as_secs_f64() / texts.len().div_ceil(size) as f64;
        report(&format!("{name}_per_cpu_s {per_cpu_second:.4}"));
        report(&format!("{name}_call_s {call:.6}"));
    }
    Ok(())
}

/// Processor time of all threads so far.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

#[expect(clippy::print_stdout, reason = "printing is what this program is for")]
fn report(line: &str) {
    println!("{line}");
}

/// Sentences of different lengths for a run without a file.
fn built_in_text() -> String {
    let words = "the licence of this document permits every reader to copy and change parts of it under some conditions";
    let words: Vec<&str> = words.split(' ').collect();
    let line = |n: usize| {
        words
            .iter()
            .cycle()
            .skip(n)
            .take(5 + n * 7 % 60)
            .copied()
            .collect::<Vec<_>>()
            .join(" ")
    };
    (0..512).map(line).collect::<Vec<_>>().join("\n")
}

fn compare(engines: &[Engine<'_>; 2], texts: &[&str]) -> Result<(), Failure> {
    let (ours, theirs) = (engines[0].1(texts)?, engines[1].1(texts)?);
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lowest = ours.iter().zip(&theirs).map(cosine).fold(1.0, f32::min);
    report(&format!(
        "lowest cosine between the two engines {lowest:.7}"
    ));
    Ok(())
}

fn throughput(engines: &[Engine<'_>; 2], sentences: &[&str], size: usize) -> Result<(), Failure> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, (_, embed)) in rates.iter_mut().zip(engines) {
            let run = || {
                sentences
                    .chunks(size)
                    .try_fold(0, |done, texts| Ok(done + embed(texts)?.len()))
            };
            rates.push(rate(run)?);
        }
    }
    let [ours, theirs] = rates.map(median);
    report(&format!(
        "{size:2} per call: {} {ours:.0}/s, {} {theirs:.0}/s, ratio {:.2}",
        engines[0].0,
        engines[1].0,
        ours / theirs
    ));
    Ok(())
}

fn latency(engines: &[Engine<'_>; 2], sentences: &[&str]) -> Result<(), Failure> {
    let middle = &sentences[sentences.len() / 2..][..SINGLES.min(sentences.len() / 2)];
    for (name, embed) in engines {
        let times: Result<Vec<f64>, Failure> = middle
            .iter()
            .map(|text| Ok(1000.0 / rate(|| Ok(embed(&[text])?.len()))?))
            .collect();
        report(&format!("one sentence: {name} {:.1} ms", median(times?)));
    }
    Ok(())
}

/// Texts per second.
fn rate(run: impl FnOnce() -> Result<usize, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    let texts = run()?;
    Ok(texts as f64 / start.elapsed().as_secs_f64())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

/// candle's own BERT, used as its example does: padded batches, a mask, mean pooling.
struct Peer {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl Peer {
    fn open(dir: &Path) -> Result<Self, Failure> {
        let config: Config = serde_json::from_slice(&std::fs::read(dir.join("config.json"))?)?;
        let weights = std::fs::read(dir.join("model.safetensors"))?;
        let model = BertModel::load(
            VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?,
            &config,
        )?;
        let mut tokenizer =
            Tokenizer::from_file(dir.join("tokenizer.json")).map_err(|error| error.to_string())?;
        let truncation = TruncationParams {
            max_length: MAX_TOKENS,
            ..TruncationParams::default()
        };
        tokenizer
            .with_truncation(Some(truncation))
            .map_err(|error| error.to_string())?;
        tokenizer.with_padding(Some(PaddingParams::default()));
        Ok(Self { model, tokenizer })
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Failure> {
        let encodings = self
            .tokenizer
            .encode_batch(texts.to_vec(), true)
            .map_err(|error| error.to_string())?;
        let ids: Vec<&[u32]> = encodings
            .iter()
            .map(tokenizers::Encoding::get_ids)
            .collect();
        let mask: Vec<&[u32]> = encodings
            .iter()
            .map(tokenizers::Encoding::get_attention_mask)
            .collect();
        let shape = (ids.len(), ids[0].len());
        let ids = Tensor::from_vec(ids.concat(), shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask.concat(), shape, &Device::Cpu)?;
        let states = self.model.forward(&ids, &ids.zeros_like()?, Some(&mask))?;
        let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let mean = states
            .broadcast_mul(&mask)?
            .sum(1)?
            .broadcast_div(&mask.sum(1)?)?;
        let mean = mean.broadcast_div(&mean.sqr()?.sum_keepdim(1)?.sqrt()?)?;
        Ok((0..texts.len())
            .map(|row| mean.i(row)?.to_vec1())
            .collect::<Result<_, _>>()?)
    }
}
