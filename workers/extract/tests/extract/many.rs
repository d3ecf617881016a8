//! Many files at once, as a program without server does it.

use std::path::PathBuf;

use quire_extract::{CancelFlag, Many, ParseError, ParserPool, PoolConfig, Update};

use crate::support::{fixture, quire_parse};

fn files() -> Vec<PathBuf> {
    let folders = [
        "pdf/three-pages/input.pdf",
        "nowhere.pdf",
        "csv/river-gauges/input.csv",
        "zip/parcel/input.zip",
        "zip",
    ];
    folders.map(fixture).into()
}

#[test]
fn results_come_in_the_order_of_the_input_and_failures_stop_nobody() {
    let pool = ParserPool::start(PoolConfig::with_program(quire_parse(), 3)).unwrap();
    let files: Vec<PathBuf> = std::iter::repeat_n(files(), 6).flatten().collect();
    let mut seen = Vec::new();
    Many::new(&pool, 3).read(&files, &CancelFlag::default(), &mut |index, update| {
        if let Update::Done(done) = update {
            let said = match done {
                Ok(document) => document.media.name(),
                Err(error) => error.code(),
            };
            seen.push((index, said));
        }
    });
    let expected = ["pdf", "file_unreadable", "csv", "zip", "not_supported"];
    let expected: Vec<_> = expected
        .into_iter()
        .cycle()
        .take(files.len())
        .enumerate()
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_cancel_ends_those_that_are_read_and_those_that_are_not_begun() {
    let pool = ParserPool::start(PoolConfig::with_program(quire_parse(), 2)).unwrap();
    let files = vec![fixture("pdf/three-pages/input.pdf"); 40];
    let cancel = CancelFlag::default();
    let (mut read, mut cancelled) = (0, 0);
    Many::new(&pool, 2).read(&files, &cancel, &mut |_, update| match update {
        Update::Progress(_) => {}
        Update::Done(Ok(_)) => {
            read += 1;
            cancel.cancel();
        }
        Update::Done(Err(error)) => {
            assert!(matches!(error, ParseError::Cancelled), "{error:?}");
            cancelled += 1;
        }
    });
    assert_eq!(read + cancelled, files.len());
    assert!(cancelled > 0 && read > 0);
}
