//! The figures of the whole service, measured from outside on the release program: start, accept, pickup, events,
//! upload to answer, idle memory, ten thousand sockets and their storm, a client that does not read, overload. Embedded Postgres, fsync on. `make bench` runs it; `cargo bench -p quire --bench service accept` one part.
//!
//! Everything is measured in one run on one machine and printed as one table; nothing is asserted.

#![expect(
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for the terminal, without callers"
)]

mod accept;
mod answer;
mod events;
mod herd;
mod memory;
mod overload;
mod pickup;
mod program;
mod slow;
mod sockets;
mod start;
mod stats;
mod storm;

use std::path::PathBuf;

use program::Program;

/// One line of the table.
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// What was hoped for.
    pub goal: &'static str,
    /// What was found.
    pub measured: String,
}

/// Measures one part of the table.
type Measure = fn(&tokio::runtime::Runtime) -> Vec<Figure>;

/// A one-page PDF of the fixtures.
fn one_page() -> Vec<u8> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/pdf/bridge-report/input.pdf");
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn main() {
    let parts: [(&str, Measure); 10] = [
        ("start", start::measure),
        ("accept", accept::measure),
        ("pickup", pickup::measure),
        ("events", events::measure),
        ("answer", answer::measure),
        ("memory", memory::measure),
        ("sockets", sockets::measure),
        ("storm", storm::measure),
        ("slow", slow::measure),
        ("overload", overload::measure),
    ];
    // Cargo adds `--bench`.
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [command, rest @ ..] = &arguments[..]
        && command == "herd"
    {
        return herd::run(&runtime, rest);
    }
    println!("| what | goal | measured |\n|---|---|---|");
    for (name, measure) in parts {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        for figure in measure(&runtime) {
            println!(
                "| {} | {} | {} |",
                figure.what, figure.goal, figure.measured
            );
        }
    }
}
