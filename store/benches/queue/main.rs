//! The figures of the queue alone: fetch with full tables, enqueue, drain, and how wrong estimates are. Embedded Postgres, fsync
//! on, its default settings. `make bench` runs it; `cargo bench -p quire-store --bench queue fetch` one part.
//!
//! Nothing is asserted. What is compared is measured in the same run on the same server: apalis-postgres as it is shipped, and
//! graphile-worker where `scripts/bench-peers.sh` could install it.

#![expect(
    unreachable_pub,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for the terminal, without callers"
)]

mod database;
mod drain;
mod enqueue;
mod estimate;
mod fetch;
mod peers;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use quire_store::EmbeddedPostgres;

/// One line of the table.
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// What was hoped for.
    pub goal: &'static str,
    /// What was found.
    pub measured: String,
}

impl Figure {
    fn new(what: impl Into<String>, goal: &'static str, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            goal,
            measured: measured.into(),
        }
    }

    /// Jobs in a second.
    fn rate(what: impl Into<String>, goal: &'static str, jobs: usize, took: Duration) -> Self {
        let rate = jobs as f64 / took.as_secs_f64();
        Self::new(what, goal, format!("{rate:.0}/s ({jobs} jobs)"))
    }
}

/// Measures one part of the table.
type Measure = for<'a> fn(&'a database::Server) -> LocalBoxFuture<'a, Vec<Figure>>;

fn main() {
    let parts: [(&str, Measure); 5] = [
        ("fetch", |server| Box::pin(fetch::measure(server))),
        ("enqueue", |server| Box::pin(enqueue::measure(server))),
        ("drain", |server| Box::pin(drain::measure(server))),
        ("estimate", |server| Box::pin(estimate::measure(server))),
        ("peers", |server| Box::pin(peers::measure(server))),
    ];
    // Cargo adds `--bench`.
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let directory = tempfile::tempdir().unwrap();
    let postgres = EmbeddedPostgres::start(directory.path()).unwrap();
    let server = database::Server::new(postgres.url());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    println!("| what | goal | measured |\n|---|---|---|");
    for (name, measure) in parts {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        for figure in runtime.block_on(measure(&server)) {
            println!(
                "| {} | {} | {} |",
                figure.what, figure.goal, figure.measured
            );
        }
    }
    postgres.stop().unwrap();
}

/// The value below which `share` of the sample lies, in milliseconds.
fn percentile(sample: &mut [f64], share: f64) -> f64 {
    sample.sort_by(f64::total_cmp);
    let rank = (share * sample.len() as f64).ceil() as usize;
    sample
        .get(rank.clamp(1, sample.len().max(1)) - 1)
        .copied()
        .unwrap_or_default()
}
