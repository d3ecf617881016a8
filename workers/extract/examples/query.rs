//! Asks one typed query of a table the way a worker does and prints the result as JSON; the time goes to standard error.
//!
//! `cargo run -p quire-extract --example query -- FILE '{"group_by": ["country"], "aggregates": [{"function": "mean", "column":
//! "amount"}]}'`. Without a query it prints what the profile says of the columns.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use quire_extract::query::Query;
use quire_extract::{
    CancelFlag, ParseError, ParseRequest, ParserPool, PoolConfig, SNIFF_BYTES, find_program, sniff,
};

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = arguments.first() else {
        eprintln!("usage: query FILE [QUERY]");
        return ExitCode::FAILURE;
    };
    match answer(Path::new(path), arguments.get(1).map(String::as_str)) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error} ({})", error.code());
            ExitCode::FAILURE
        }
    }
}

fn answer(path: &Path, query: Option<&str>) -> Result<String, ParseError> {
    let mut head = Vec::new();
    let file = File::open(path)?;
    (&file).take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let media = sniff(&head, &name)
        .ok_or_else(|| ParseError::NotSupported("this type of file".to_owned()))?;
    let query: Option<Query> = query
        .map(serde_json::from_str)
        .transpose()
        .map_err(|error| ParseError::InvalidQuery(error.to_string()))?;
    let pool = ParserPool::start(PoolConfig::with_program(find_program()?, 1))?;
    let cancel = CancelFlag::default();
    let request = ParseRequest::new(media);
    let start = Instant::now();
    let document = pool.parse(&file, &request, &cancel, &mut |_| ())?;
    eprintln!("profile: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let table = document
        .table
        .ok_or_else(|| ParseError::NotSupported("a file without a table".to_owned()))?;
    let Some(query) = query else {
        return Ok(pretty(&table.columns));
    };
    let start = Instant::now();
    let result = pool.query(&file, (media, &table), &query, &cancel, &mut |_| ())?;
    eprintln!("query: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    Ok(pretty(&result))
}

fn pretty(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).expect("results are valid JSON")
}
