//! What the sandbox costs: a tiny job on a warm child, the start of a pool, and the profile of a table.
//!
//! `cargo bench -p quire-extract` prints the medians. Nothing is asserted: times depend on the machine and on who else uses it.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use quire_extract::{CancelFlag, MediaType, ParseRequest, ParserPool, PoolConfig, find_program};

/// Bytes of the table.
const TABLE_BYTES: usize = 200_000_000;

fn main() {
    let tiny = file(b"a,b\n1,2\n");
    let warm = pool();
    report("tiny job on a warm child", 2_000, || parse(&warm, &tiny));
    report("start of a pool with its first child", 100, || {
        drop(black_box(pool()));
    });
    let content = table();
    let large = file(&content);
    report("200 MB table", 5, || parse(&warm, &large));
}

fn report(name: &str, rounds: usize, mut work: impl FnMut()) {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let share = |percent: usize| times[(times.len() - 1) * percent / 100];
    eprintln!(
        "{name}: p50 {:?}, p95 {:?} of {rounds}",
        share(50),
        share(95)
    );
}

fn pool() -> ParserPool {
    let program = find_program().expect("quire-parse is built beside the benchmark");
    ParserPool::start(PoolConfig::with_program(program, 1)).expect("a parser starts")
}

fn file(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content).expect("room on the disk");
    file
}

fn table() -> Vec<u8> {
    let mut text = b"id,name,city,amount,date,note\n".to_vec();
    for id in 0_u64.. {
        if text.len() >= TABLE_BYTES {
            break;
        }
        let (city, amount) = (id % 5, id * 7919 % 10_000);
        let (name, cents, day) = (id % 977, id % 100, id % 28 + 1);
        let row = format!(
            "{id},name{name},town{city},{amount}.{cents:02},2024-01-{day:02},\"a, note\"\n"
        );
        text.extend_from_slice(row.as_bytes());
    }
    text
}

fn parse(pool: &ParserPool, file: &File) {
    let request = ParseRequest::new(MediaType::Csv);
    let document = pool.parse(file, &request, &CancelFlag::default(), &mut |_| ());
    black_box(document.expect("the table is read"));
}
