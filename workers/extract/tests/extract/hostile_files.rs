//! Files under `fixtures/hostile`: what fuzzing found, or what was written to be found. The folder's name is the media type.
//!
//! Each goes through the real child twice. The outcome is free, a document or a typed error; how it comes about is not: within the
//! limits, and without harm to the next job.

use std::path::{Path, PathBuf};

use quire_extract::{Document, MediaType, ParseError, ParserPool};

use crate::support::{files_of, fixture, name_of, parse, pool};

#[test]
fn hostile_files_end_in_a_document_or_a_typed_error() {
    let pool = pool();
    let mut count = 0;
    for folder in files_of(&fixture("hostile"))
        .iter()
        .filter(|path| path.is_dir())
    {
        let media = media_of(folder);
        for file in files_of(folder) {
            read(&pool, media, &file);
            count += 1;
        }
    }
    assert!(count > 0, "the files are gone");
}

fn media_of(folder: &Path) -> MediaType {
    let name = name_of(folder);
    let media = MediaType::ALL.iter().find(|media| media.name() == name);
    *media.unwrap_or_else(|| panic!("{name} is no media type"))
}

/// A panic of a parser is caught where it happens. Other ends of a child, and waiting for the deadline, are what fuzzing looks for.
fn is_harmless(outcome: &Result<Document, ParseError>) -> bool {
    match outcome {
        Err(ParseError::Crashed(how)) => how.starts_with("panic at "),
        Err(ParseError::Unavailable(_) | ParseError::Timeout) => false,
        _ => true,
    }
}

fn read(pool: &ParserPool, media: MediaType, file: &PathBuf) {
    let content = std::fs::read(file).unwrap();
    for _ in 0..2 {
        let outcome = parse(pool, media, &content);
        assert!(is_harmless(&outcome), "{}: {outcome:?}", file.display());
        let next = parse(pool, MediaType::Text, b"the next job").unwrap();
        assert_eq!(next.pages[0].text.trim(), "the next job");
    }
}
