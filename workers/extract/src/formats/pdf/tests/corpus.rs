//! Reading quality over the shared corpus.
//!
//! The corpus lies outside the repository (`../shared/corpus` beside the workspace, or `$QUIRE_CORPUS`); where it is missing these
//! tests have nothing to say and pass. Word F1 says whether the words are there, order similarity whether they are in order. The bars
//! are what was measured (F1 .998, order .9998 over 40 files), rounded down.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{Collector, order_similarity, read, word_f1};
use crate::document::{EmptyReason, TextEngine};
use crate::error::ParseError;

fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let corpus = env::var_os("QUIRE_CORPUS").map_or(beside, PathBuf::from);
    corpus.is_dir().then_some(corpus)
}

fn files(corpus: &Path, folder: &str) -> Vec<PathBuf> {
    let is_pdf = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "pdf");
    let entries = fs::read_dir(corpus.join(folder)).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(is_pdf)
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The passwords that the corpus names for its files.
fn password(name: &str) -> Option<&'static str> {
    match name {
        _ if name.starts_with("en-user") => Some("u5er"),
        _ if name.contains("pdfminer") && name.contains("encryption") => Some("foo"),
        _ if name.contains("pypdf") && name.contains("encryption") => Some("asdfzxcv"),
        _ => None,
    }
}

struct Measured {
    name: String,
    f1: f64,
    order: f64,
}

fn measured(corpus: &Path) -> Vec<Measured> {
    let with_truth = |path: &PathBuf| path.with_extension("txt").exists();
    files(corpus, "pdf-gen")
        .into_iter()
        .filter(with_truth)
        .map(|path| {
            let truth = fs::read_to_string(path.with_extension("txt")).unwrap();
            let name = name(&path);
            let text = read(&path, password(&name))
                .map(|out| out.text())
                .unwrap_or_default();
            let (f1, order) = (word_f1(&truth, &text), order_similarity(&truth, &text));
            Measured { name, f1, order }
        })
        .collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[test]
fn known_text_is_read_and_in_order() {
    let Some(corpus) = corpus() else { return };
    let measured = measured(&corpus);
    let f1 = mean(measured.iter().map(|file| file.f1));
    let order = mean(measured.iter().map(|file| file.order));
    assert!(
        f1 >= 0.995 && order >= 0.995,
        "mean F1 {f1:.4}, mean order {order:.4}"
    );
    for Measured { name, f1, order } in &measured {
        assert!(
            *f1 >= 0.92 && *order >= 0.98,
            "{name}: F1 {f1:.4}, order {order:.4}"
        );
    }
}

#[test]
fn every_file_ends_in_text_in_a_picture_or_in_a_reason() {
    let Some(corpus) = corpus() else { return };
    for folder in ["pdf-gen", "pdf-real", "ocr-gen"] {
        for path in files(&corpus, folder) {
            let name = name(&path);
            match read(&path, password(&name)) {
                Ok(out) => assert_pages(&name, &out),
                Err(error) => assert!(is_expected(&error), "{name}: {error}"),
            }
        }
    }
}

fn assert_pages(name: &str, out: &Collector) {
    let total: usize = out.metadata["pages"].parse().unwrap();
    assert_eq!(out.pages.len() + out.images.len(), total, "{name}");
    for page in &out.pages {
        assert_eq!(
            page.text.is_empty(),
            page.engine == TextEngine::None,
            "{name}"
        );
        assert_eq!(page.text.is_empty(), page.empty_reason.is_some(), "{name}");
        assert!(
            !page.text.contains('\0') && (0.0..=1.0).contains(&page.score),
            "{name}"
        );
    }
}

fn is_expected(error: &ParseError) -> bool {
    matches!(
        error,
        ParseError::Damaged(_) | ParseError::PasswordNeeded | ParseError::WrongPassword
    )
}

#[test]
fn passwords_of_users_and_owners_open_and_others_do_not() {
    let Some(corpus) = corpus() else { return };
    for file in ["pdf-gen/en-user128.pdf", "pdf-gen/en-user256.pdf"] {
        let path = corpus.join(file);
        assert!(
            matches!(read(&path, None), Err(ParseError::PasswordNeeded)),
            "{file}"
        );
        assert!(
            matches!(read(&path, Some("wrong")), Err(ParseError::WrongPassword)),
            "{file}"
        );
        for right in ["u5er", "own"] {
            assert!(
                !read(&path, Some(right)).unwrap().text().is_empty(),
                "{file} with {right}"
            );
        }
    }
    let older = corpus.join("pdf-real/pdfminer.six__samples_encryption_rc4-128.pdf");
    for right in ["foo", "baz"] {
        assert!(
            !read(&older, Some(right)).unwrap().text().is_empty(),
            "{right}"
        );
    }
    let unneeded = corpus.join("pdf-gen/en-owner40.pdf");
    assert!(read(&unneeded, None).is_ok() && read(&unneeded, Some("unneeded")).is_ok());
}

#[test]
fn a_bomb_ends_at_a_limit() {
    let Some(corpus) = corpus() else { return };
    for file in ["co-flatebomb", "co-formbomb"] {
        let out = read(&corpus.join(format!("pdf-gen/{file}.pdf")), None).unwrap();
        assert!(
            out.codes().contains(&"page_limit"),
            "{file}: {:?}",
            out.codes()
        );
        let is_limited =
            |page: &crate::document::Page| page.empty_reason == Some(EmptyReason::Limit);
        assert!(
            out.pages
                .iter()
                .all(|page| is_limited(page) || !page.text.is_empty()),
            "{file}"
        );
    }
}

#[test]
#[ignore = "prints a table: cargo nextest run -p quire-extract --run-ignored only --no-capture pdf::tests::corpus::table"]
fn table() {
    let Some(corpus) = corpus() else { return };
    for Measured { name, f1, order } in measured(&corpus) {
        println!("{name:20} F1 {f1:.4} order {order:.4}");
    }
    for folder in ["pdf-gen", "pdf-real", "ocr-gen"] {
        for path in files(&corpus, folder) {
            let name = name(&path);
            let result = read(&path, password(&name));
            println!(
                "{name:60} {}",
                result.as_ref().map_or_else(ToString::to_string, summary)
            );
            if let (Ok(out), Some(folder)) = (&result, env::var_os("QUIRE_DUMP")) {
                let pages: Vec<&str> = out.pages.iter().map(|page| page.text.as_str()).collect();
                fs::write(
                    Path::new(&folder).join(format!("{name}.txt")),
                    pages.join("\u{c}"),
                )
                .unwrap();
            }
        }
    }
}

fn summary(out: &Collector) -> String {
    let engines = |engine| {
        out.pages
            .iter()
            .filter(|page| page.engine == engine)
            .count()
    };
    format!(
        "{:7} characters; pages: {} hayro, {} pdf-extract, {} none, {} pictures; score {:.2} {:?}",
        out.text().chars().count(),
        engines(TextEngine::Hayro),
        engines(TextEngine::PdfExtract),
        engines(TextEngine::None),
        out.images.len(),
        mean(out.pages.iter().map(|page| f64::from(page.score))),
        out.codes(),
    )
}
