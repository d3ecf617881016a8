//! What an idle socket costs: resident memory of the server with 10,000 of them, clients in another process.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::{
    Figure, Program,
    herd::{Herd, resident},
    program::data_dir,
};

const SOCKETS: usize = 10_000;

/// Sockets that are opened and closed before the measurement, so that what the server keeps anyway is not counted.
const WARM_UP: usize = 200;

/// Until the last upgrade has been dealt with.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures listeners of the upload contract, then of `quire.v1`.
pub fn measure(runtime: &Runtime) -> Vec<Figure> {
    [("upload contract", false), ("quire.v1, all jobs", true)]
        .into_iter()
        .map(|(name, hello)| {
            let data = data_dir();
            let server = Program::serve(data.path(), &["serve", "--no-workers"]);
            drop(Herd::open(server.port, WARM_UP, hello));
            let settle = || runtime.block_on(async { tokio::time::sleep(SETTLE).await });
            settle();
            let before = resident(server.pid());
            let herd = Herd::open(server.port, SOCKETS, hello);
            settle();
            let after = resident(server.pid());
            drop(herd);
            Figure {
                what: format!("memory of one of {SOCKETS} idle sockets, {name}"),
                goal: "under 10 KB",
                measured: format!(
                    "{:.1} KB (server {} MB before, {} MB with them)",
                    (after.saturating_sub(before)) as f64 / SOCKETS as f64 / 1000.0,
                    before / 1_000_000,
                    after / 1_000_000
                ),
            }
        })
        .collect()
}
