//! What the tests share: pools, files, and where things are.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use quire_extract::{
    CancelFlag, Document, MediaType, ParseError, ParseRequest, ParserPool, PoolConfig,
};

/// The real child.
pub(crate) fn quire_parse() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_quire-parse"))
}

/// The misbehaving child, which cargo builds beside the tests.
pub(crate) fn mock_parser() -> PathBuf {
    let folder = std::env::current_exe().unwrap();
    let path = folder
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples/mock_parser");
    assert!(
        path.is_file(),
        "{} is missing: cargo build -p quire-extract --examples",
        path.display()
    );
    path
}

/// A pool of real children.
pub(crate) fn pool() -> ParserPool {
    ParserPool::start(PoolConfig::with_program(quire_parse(), 1)).unwrap()
}

/// A file with `content`, without a name.
pub(crate) fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

/// Reads `content` as `media`.
pub(crate) fn parse(
    pool: &ParserPool,
    media: MediaType,
    content: &[u8],
) -> Result<Document, ParseError> {
    parse_file(pool, media, &file(content))
}

/// Reads `file` as `media`.
pub(crate) fn parse_file(
    pool: &ParserPool,
    media: MediaType,
    file: &File,
) -> Result<Document, ParseError> {
    pool.parse(
        file,
        &ParseRequest::new(media),
        &CancelFlag::default(),
        &mut |_| (),
    )
}

/// A folder of the shared corpus; `None`, with a note, where the corpus is not present.
pub(crate) fn corpus(folder: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let root = std::env::var_os("QUIRE_CORPUS").map_or(beside, PathBuf::from);
    let path = root.join(folder);
    if !path.is_dir() {
        eprintln!(
            "no corpus at {}: set QUIRE_CORPUS to test over it",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// A file of the repository's `fixtures` folder.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures")
        .join(name)
}

/// The files of `folder` in order of their names.
pub(crate) fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// The name of a file, for messages.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}
