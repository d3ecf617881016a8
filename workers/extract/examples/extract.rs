//! Reads one file the way a worker does and prints its document as JSON; time and warnings go to standard error.
//!
//! `cargo run -p quire-extract --example extract -- FILE [PASSWORD]`

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use quire_extract::{
    CancelFlag, Document, ParseError, ParseRequest, ParserPool, PoolConfig, SNIFF_BYTES,
    find_program, sniff,
};

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: extract FILE [PASSWORD]");
        return ExitCode::FAILURE;
    };
    match read(Path::new(&path), arguments.next()) {
        Ok(document) => {
            println!(
                "{}",
                serde_json::to_string_pretty(&document).expect("a document is valid JSON")
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error} ({})", error.code());
            ExitCode::FAILURE
        }
    }
}

fn read(path: &Path, password: Option<String>) -> Result<Document, ParseError> {
    use std::io::Read;
    let mut head = Vec::new();
    File::open(path)?
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut head)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let media = sniff(&head, &name)
        .ok_or_else(|| ParseError::NotSupported("this type of file".to_owned()))?;
    let pool = ParserPool::start(PoolConfig::with_program(find_program()?, 1))?;
    let request = ParseRequest {
        password,
        ..ParseRequest::new(media)
    };
    let start = Instant::now();
    let document = pool.parse(
        &File::open(path)?,
        &request,
        &CancelFlag::default(),
        &mut |_| (),
    )?;
    eprintln!(
        "{}: {:.1} ms, warnings {:?}",
        media.name(),
        start.elapsed().as_secs_f64() * 1e3,
        document.warnings
    );
    Ok(document)
}
