//! Other queues on the same server, run by their own clients. `scripts/bench-peers.sh` installs them where it can; without it this
//! part is left out.

use std::{path::Path, process::Command};

use crate::{Figure, database::Server};

/// Where the script installs them, from the package's directory.
const PEERS: &str = "../target/peers";

/// Runs each client that is installed. It prints one figure per line: what, a tab, what was measured.
pub async fn measure(server: &Server) -> Vec<Figure> {
    let mut figures = Vec::new();
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join(PEERS);
    for (name, program, client) in [("graphile-worker", "node", "graphile.mjs")] {
        if !peers.join(client).exists() {
            figures.push(Figure::new(
                name,
                "",
                "not installed: scripts/bench-peers.sh",
            ));
            continue;
        }
        server.create("peer").await;
        let ran = Command::new(program)
            .arg(peers.join(client))
            .env("DATABASE_URL", server.url("peer"))
            .output();
        let text = ran.map(|ran| String::from_utf8_lossy(&ran.stdout).into_owned());
        for line in text.unwrap_or_default().lines() {
            if let Some((what, measured)) = line.split_once('\t') {
                figures.push(Figure::new(format!("{name}: {what}"), "", measured));
            }
        }
    }
    figures
}
