//! Reading quality over files with known text.
//!
//! The corpus lies outside the repository (`../shared/corpus` beside the workspace, or `$QUIRE_CORPUS`); where it is missing, the
//! committed fixtures are all there is. Word F1 says whether the words are there, order similarity (twice the longest common
//! subsequence of characters over both lengths) whether they are in order. The bars are what was measured, rounded down.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::Pdf;
use super::words::is_written_without_spaces;
use crate::document::{ImageInfo, Page, Table, TextEngine, Warning};
use crate::error::ParseError;
use crate::formats::{Format, Input, Output, PageImage};
use crate::media::MediaType;
use crate::request::ParseRequest;

/// Keeps everything.
#[derive(Default)]
struct Collector {
    pages: Vec<Page>,
    images: Vec<(u32, PageImage)>,
    metadata: BTreeMap<String, String>,
    warnings: Vec<Warning>,
    progress: Vec<u32>,
}

impl Output for Collector {
    fn page(&mut self, page: Page) -> Result<(), ParseError> {
        self.pages.push(page);
        Ok(())
    }

    fn page_image(&mut self, number: u32, image: PageImage) -> Result<(), ParseError> {
        self.images.push((number, image));
        Ok(())
    }

    fn table(&mut self, _: Table) -> Result<(), ParseError> {
        unreachable!("a PDF is no table")
    }

    fn image(&mut self, _: ImageInfo) -> Result<(), ParseError> {
        unreachable!("a PDF is no image")
    }

    fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.to_owned());
    }

    fn warning(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    fn progress(&mut self, done: u32, _: Option<u32>) -> Result<(), ParseError> {
        self.progress.push(done);
        Ok(())
    }
}

impl Collector {
    fn text(&self) -> String {
        self.pages
            .iter()
            .map(|page| page.text.as_str())
            .collect::<Vec<_>>()
            .join("\n\n")
    }
}

fn read(path: &Path, password: Option<&str>) -> Result<Collector, ParseError> {
    let mut out = Collector::default();
    let mut input = Input::new(fs::File::open(path).unwrap()).unwrap();
    let request = ParseRequest {
        password: password.map(str::to_owned),
        ..ParseRequest::new(MediaType::Pdf)
    };
    Pdf.parse(&mut input, &request, &mut out).map(|()| out)
}

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = env::var_os("QUIRE_CORPUS").map_or(beside, PathBuf::from);
    corpus.is_dir().then_some(corpus)
}

fn fixture(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/pdf")
        .join(case)
}

/// Words; every Chinese character is one.
fn tokens(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in text.chars() {
        if is_written_without_spaces(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

fn word_f1(truth: &str, text: &str) -> f64 {
    let (truth, text) = (tokens(truth), tokens(text));
    let mut counts: HashMap<&str, i64> = HashMap::new();
    truth
        .iter()
        .for_each(|word| *counts.entry(word).or_default() += 1);
    let mut found = 0;
    for word in &text {
        if let Some(count) = counts.get_mut(word.as_str()).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    2.0 * f64::from(found) / (truth.len() + text.len()).max(1) as f64
}

/// Twice the longest common subsequence over both lengths, on at most 60,000 characters, white space normalised.
fn order_similarity(truth: &str, text: &str) -> f64 {
    let normal = |text: &str| {
        tokens(text)
            .join(" ")
            .chars()
            .take(60_000)
            .collect::<Vec<char>>()
    };
    let (a, b) = (normal(truth), normal(text));
    2.0 * lcs(&a, &b) as f64 / (a.len() + b.len()).max(1) as f64
}

/// Length of the longest common subsequence, 64 rows at a time (Hyyrö 2004).
fn lcs(a: &[char], b: &[char]) -> usize {
    let words = a.len().div_ceil(64);
    let mut places: HashMap<char, Vec<u64>> = HashMap::new();
    for (index, &c) in a.iter().enumerate() {
        places.entry(c).or_insert_with(|| vec![0; words])[index / 64] |= 1 << (index % 64);
    }
    let mut row = vec![u64::MAX; words];
    for c in b {
        let Some(place) = places.get(c) else { continue };
        let mut carry = false;
        for (bits, place) in row.iter_mut().zip(place) {
            let common = *bits & place;
            let (sum, first) = bits.overflowing_add(common);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first || second;
            *bits = sum | (*bits & !place);
        }
    }
    (0..a.len())
        .filter(|&index| row[index / 64] & (1 << (index % 64)) == 0)
        .count()
}

/// Files of the corpus with the passwords that its README names.
fn password(name: &str) -> Option<&'static str> {
    match name {
        _ if name.starts_with("en-user") => Some("u5er"),
        _ if name.contains("pdfminer") && name.contains("encryption") => Some("foo"),
        _ if name.contains("user-password") || name.contains("owner-password") => Some("asdfzxcv"),
        _ => None,
    }
}

fn pdfs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pdf"))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Name, word F1 and order similarity of every file with known text.
fn measured(corpus: &Path) -> Vec<(String, f64, f64)> {
    pdfs(&corpus.join("pdf-gen"))
        .into_iter()
        .filter(|path| path.with_extension("txt").exists())
        .map(|path| {
            let truth = fs::read_to_string(path.with_extension("txt")).unwrap();
            let name = name(&path);
            let text = read(&path, password(&name))
                .map(|out| out.text())
                .unwrap_or_default();
            (
                name,
                word_f1(&truth, &text),
                order_similarity(&truth, &text),
            )
        })
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[test]
fn known_text_is_read_in_order() {
    let Some(corpus) = corpus() else { return };
    let measured = measured(&corpus);
    let f1 = mean(measured.iter().map(|file| file.1));
    let order = mean(measured.iter().map(|file| file.2));
    assert!(
        f1 >= 0.97 && order >= 0.97,
        "F1 {f1:.4}, order {order:.4}: {measured:?}"
    );
}

#[test]
#[ignore = "prints a table; run by hand with --ignored --no-capture"]
fn table() {
    let Some(corpus) = corpus() else { return };
    for (name, f1, order) in measured(&corpus) {
        println!("{name:20} F1 {f1:.4} order {order:.4}");
    }
    for folder in ["pdf-gen", "pdf-real", "ocr-gen"] {
        for path in pdfs(&corpus.join(folder)) {
            let name = name(&path);
            let start = std::time::Instant::now();
            let result = read(&path, password(&name));
            let millis = start.elapsed().as_millis();
            match result {
                Ok(out) => {
                    let engines = |engine| {
                        out.pages
                            .iter()
                            .filter(|page| page.engine == engine)
                            .count()
                    };
                    let warnings: Vec<&str> = out
                        .warnings
                        .iter()
                        .map(|warning| warning.message.as_str())
                        .collect();
                    println!(
                        "{name:60} {millis:6} ms {:7} chars, pages: {} hayro {} pdf-extract {} none {} images; score {:.2} {warnings:?}",
                        out.text().chars().count(),
                        engines(TextEngine::Hayro),
                        engines(TextEngine::PdfExtract),
                        engines(TextEngine::None),
                        out.images.len(),
                        mean(out.pages.iter().map(|page| f64::from(page.score))),
                    );
                }
                Err(error) => println!("{name:60} {millis:6} ms {error}"),
            }
            if let Ok(out) = env::var("QUIRE_DUMP") {
                fs::write(
                    Path::new(&out).join(format!("{name}.txt")),
                    read(&path, password(&name))
                        .map(|out| out.text())
                        .unwrap_or_default(),
                )
                .unwrap();
            }
        }
    }
}

#[test]
#[ignore = "debugging"]
fn debug_rows() {
    let path = PathBuf::from(env::var("QUIRE_FILE").unwrap());
    println!(
        "error lopdf: {:?}",
        lopdf::Document::load_mem_with_options(
            &fs::read(&path).unwrap(),
            lopdf::LoadOptions::with_password(&env::var("QUIRE_PW").unwrap())
        )
        .map(|d| (d.is_encrypted(), d.was_encrypted(), d.page_iter().count()))
    );
    let opened = super::open::open(
        fs::read(&path).unwrap(),
        env::var("QUIRE_PW").ok().as_deref(),
    )
    .map_err(|e| println!("{e}"))
    .unwrap();
    let page_no: usize = env::var("QUIRE_PAGE").map_or(0, |p| p.parse().unwrap());
    let cache = hayro_interpret::InterpreterCache::new();
    let (content, outcome) = super::text_layer::interpret(
        &opened.pdf.pages()[page_no],
        &cache,
        &hayro_interpret::InterpreterSettings::default(),
    );
    println!(
        "{outcome:?} glyphs {} calls {} marks {} share {}",
        content.glyphs.len(),
        content.draw_calls,
        content.marks,
        content.picture_share
    );
    let mut last: Option<&super::glyph::Glyph> = None;
    for glyph in &content.glyphs {
        let gap = last.map_or(0.0, |l| glyph.x - l.x - l.advance) / glyph.size;
        println!(
            "{:?} x {:.1} y {:.1} adv {:.2} size {:.1} {:?} gap {:.3}",
            glyph.text, glyph.x, glyph.y, glyph.advance, glyph.size, glyph.angle, gap
        );
        last = Some(glyph);
    }
}
