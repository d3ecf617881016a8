//! Times the decoder: prompts, tokens of one and of several sequences, loading, cancelling, memory.
//!
//! `bench_generate make qwen3-0.6b q4 FILE` writes a model of a published shape whose weights are a formula: speeds are real, texts are
//! not. `bench_generate run FILE` measures and prints a line `name value` for each figure; `scripts/bench-models.sh` runs it in turn
//! with llama.cpp on the same file. `bench_generate prefill FILE` and `bench_generate decode FILE SEQUENCES` do one thing for a while,
//! for a profiler.

use std::error::Error;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use quire_models::generate::{Event, Limits, Model, Request, Stream};
use quire_models::{CancelFlag, ModelError};

#[path = "../tests/support/gguf.rs"]
mod gguf;

/// Tokens of the timed prompts.
const PROMPT: u32 = 512;
/// Tokens written for a figure.
const TOKENS: usize = 48;
/// Tokens of the prompt that is cancelled, and of the one beside which another sequence writes.
const LONG_PROMPT: u32 = 8000;
/// Less than the time of one piece of a prompt.
const PART_OF_A_PIECE: Duration = Duration::from_millis(400);
/// Times that a profiled thing is done.
const PROFILED: u32 = 4;
/// Ids stay below the named tokens of every vocabulary.
const IDS: u32 = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["make", shape, format, file] => {
            let shape = named(shape).ok_or("no such shape")?;
            let format = match format {
                "f16" => gguf::Format::F16,
                "q8" => gguf::Format::Q8,
                "q4" => gguf::Format::Q4,
                _ => return Err("no such format".into()),
            };
            Ok(std::fs::write(file, gguf::model(shape, format))?)
        }
        ["run", file] => run(Path::new(file)),
        ["cancel", file] => {
            let model = Model::open(Path::new(file), limits())?;
            report("cancel_s", cancel(&model)?);
            Ok(())
        }
        ["prefill", file] => profile(Path::new(file), None),
        ["decode", file, sequences] => profile(Path::new(file), Some(sequences.parse()?)),
        _ => Err("bench_generate make SHAPE f16|q8|q4 FILE, or bench_generate run FILE".into()),
    }
}

/// Repeats prompts, or the tokens of some sequences, and prints each figure.
fn profile(file: &Path, sequences: Option<usize>) -> Result<(), Box<dyn Error>> {
    let model = Model::open(file, limits())?;
    finish(&model.submit(request(prompt(1, 8), 1))?)?;
    for turn in 0..PROFILED {
        match sequences {
            None => prefill(&model, 100 * (turn + 1))?,
            Some(sequences) => report("decode_tokens_per_cpu_s", decode(&model, sequences)?.1),
        }
    }
    Ok(())
}

/// A shape by its name: one of the small ones, or that of a published model.
fn named(name: &str) -> Option<gguf::Shape> {
    match name {
        "tiny-llama" => Some(gguf::tiny("llama")),
        "tiny-qwen2" => Some(gguf::tiny("qwen2")),
        "tiny-qwen3" => Some(gguf::tiny("qwen3")),
        "qwen3-0.6b" => Some(gguf::Shape {
            family: "qwen3",
            hidden: 1024,
            inner: 3072,
            heads: 16,
            kv: 8,
            size: 128,
            layers: 28,
            vocabulary: 151_936,
            context: 40_960,
            rope_base: 1e6,
            tied: true,
            embedding_scale: 0.07,
        }),
        _ => None,
    }
}

fn run(file: &Path) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let model = Model::open(file, limits())?;
    finish(&model.submit(request(prompt(1, 8), 1))?)?;
    report("load_to_first_token_s", start.elapsed().as_secs_f64());
    finish(&model.submit(request(prompt(2, PROMPT), 1))?)?;
    report("memory_mb", memory("VmRSS:")?);
    prefill(&model, 3)?;
    for sequences in [1, 4, 8] {
        let (per_second, per_cpu_second) = decode(&model, sequences)?;
        report(&format!("decode_b{sequences}_tps"), per_second);
        report(
            &format!("decode_b{sequences}_tokens_per_cpu_s"),
            per_cpu_second,
        );
    }
    let (worst, middle) = between_tokens(&model)?;
    report("token_gap_beside_prompt_p99_s", worst);
    report("token_gap_beside_prompt_p50_s", middle);
    report("cancel_s", cancel(&model)?);
    report("memory_peak_mb", memory("VmHWM:")?);
    Ok(())
}

fn limits() -> Limits {
    Limits {
        slots: 8,
        cache_bytes: 4 << 30,
        context: 9000,
        ..Limits::default()
    }
}

/// Prompts that are read, of this kind and the next: tokens per second of all processors, and per second.
fn prefill(model: &Model, first: u32) -> Result<(), Box<dyn Error>> {
    let mut prefills = Vec::new();
    let spent = cpu_seconds();
    for kind in first..first + 3 {
        let start = Instant::now();
        finish(&model.submit(request(prompt(kind, PROMPT), 1))?)?;
        prefills.push(f64::from(PROMPT) / start.elapsed().as_secs_f64());
    }
    let tokens = prefills.len() as f64 * f64::from(PROMPT);
    report("prefill_tokens_per_cpu_s", tokens / (cpu_seconds() - spent));
    report("prefill_tps", median(prefills));
    Ok(())
}

/// Tokens that are written together, by sequences with the same prompt: per second, and per second of all processors.
fn decode(model: &Model, sequences: usize) -> Result<(f64, f64), Box<dyn Error>> {
    // Once before, so that all find the prompt in the cache and start together.
    finish(&model.submit(request(prompt(7, PROMPT), 1))?)?;
    let streams: Vec<Stream> = (0..sequences)
        .map(|_| model.submit(request(prompt(7, PROMPT), TOKENS)))
        .collect::<Result<_, _>>()?;
    let readers: Vec<_> = streams
        .into_iter()
        .map(|stream| thread::spawn(move || token_times(&stream)))
        .collect();
    let mut times = Vec::new();
    for reader in readers {
        times.push(reader.join().map_err(|_| "a reader died")?);
    }
    // The first tokens come while others still read the end of their prompt.
    let steady: Vec<_> = times[0][sequences..].windows(2).collect();
    let took = |pair: &&[Moment]| (pair[1].at - pair[0].at).as_secs_f64();
    let spent: f64 = steady
        .iter()
        .map(|pair| pair[1].spent - pair[0].spent)
        .sum();
    let per_cpu_second = (sequences * steady.len()) as f64 / spent;
    let middle = median(steady.iter().map(took).collect());
    Ok((sequences as f64 / middle, per_cpu_second))
}

/// When a token came.
struct Moment {
    at: Instant,
    /// Processor seconds of this program up to then.
    spent: f64,
}

/// When each token came.
fn token_times(stream: &Stream) -> Vec<Moment> {
    let mut times = Vec::new();
    loop {
        match stream.next(&CancelFlag::default()) {
            Event::Token { .. } => times.push(Moment {
                at: Instant::now(),
                spent: cpu_seconds(),
            }),
            Event::Queued { .. } | Event::Prefill { .. } => {}
            Event::Done { .. } | Event::Failed(_) => return times,
        }
    }
}

/// Longest (of a hundred) and middle time between two tokens of one sequence while the prompt of another is read.
fn between_tokens(model: &Model) -> Result<(f64, f64), Box<dyn Error>> {
    let writing = model.submit(request(prompt(8, 64), 2000))?;
    let reading = model.submit(request(prompt(9, 2000), 1))?;
    let reader = thread::spawn(move || {
        let mut times = Vec::new();
        while let Event::Token { .. } | Event::Prefill { .. } | Event::Queued { .. } =
            writing.next(&CancelFlag::default())
        {
            times.push(Instant::now());
            if times.len() > 40 {
                break;
            }
        }
        times
    });
    finish(&reading)?;
    let times = reader.join().map_err(|_| "a reader died")?;
    let mut gaps: Vec<f64> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_secs_f64())
        .collect();
    gaps.sort_by(f64::total_cmp);
    let at = |share: f64| gaps[((gaps.len() - 1) as f64 * share) as usize];
    Ok((at(0.99), at(0.5)))
}

/// Time from raising the flag in the middle of a prompt to the end of the request.
fn cancel(model: &Model) -> Result<f64, Box<dyn Error>> {
    let request = request(prompt(10, LONG_PROMPT), 1);
    let flag = request.cancel.clone();
    let stream = model.submit(request)?;
    while !matches!(stream.next(&CancelFlag::default()), Event::Prefill { .. }) {}
    // Into the next piece: right behind one, the flag is looked at anyway.
    thread::park_timeout(PART_OF_A_PIECE);
    let start = Instant::now();
    flag.cancel();
    loop {
        match stream.next(&CancelFlag::default()) {
            Event::Failed(ModelError::Cancelled) => return Ok(start.elapsed().as_secs_f64()),
            Event::Failed(error) => return Err(error.into()),
            Event::Done { .. } => {
                return Err("the prompt was read before it could be cancelled".into());
            }
            Event::Queued { .. } | Event::Prefill { .. } | Event::Token { .. } => {}
        }
    }
}

fn finish(stream: &Stream) -> Result<(), Box<dyn Error>> {
    loop {
        match stream.next(&CancelFlag::default()) {
            Event::Done { .. } => return Ok(()),
            Event::Failed(error) => return Err(error.into()),
            Event::Queued { .. } | Event::Prefill { .. } | Event::Token { .. } => {}
        }
    }
}

/// A prompt that begins like no other.
fn prompt(kind: u32, count: u32) -> Vec<u32> {
    (0..count).map(|i| (i * 79 + kind * 13 + 7) % IDS).collect()
}

fn request(prompt: Vec<u32>, tokens: usize) -> Request {
    Request {
        min_tokens: tokens,
        ..Request::new(prompt, tokens)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of all threads so far. On a busy machine it says more than the clock on the wall.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// A line of this process' status, in MB.
fn memory(line: &str) -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let found = status.lines().find_map(|text| text.strip_prefix(line));
    let kilobytes = found
        .and_then(|text| text.split_whitespace().next())
        .ok_or("no such line")?;
    Ok(kilobytes.parse::<f64>()? / 1024.0)
}

#[expect(clippy::print_stdout, reason = "the figures are the output")]
fn report(name: &str, value: f64) {
    println!("{name} {value:.4}");
}
