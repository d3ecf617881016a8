//! What the doctor sees of this machine: disk, port, parser, character recognition, models, settings.
//!
//! Nothing is made or changed: a directory that is not there stays away.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use indicatif::HumanBytes;
use quire_extract::{ParserPool, PoolConfig, find_program, ocr::Ocr};
use quire_models::{Catalog, ModelDir, ModelSpec, ModelStatus};
use quire_store::free_bytes;

use super::finding::Finding;
use crate::{cli::client::Client, config::Config};

/// Below this a disk fills up within hours of use.
const LITTLE_BYTES: u64 = 1 << 30;
/// Larger models are not read whole to look at them.
const VERIFIED_BYTES: u64 = 512 << 20;

pub(super) fn data_directory(config: &Config) -> Finding {
    const AREA: &str = "data directory";
    let shown = config.data_dir.display();
    // What is not there yet would be made in the nearest directory that is.
    let dir = existing(&config.data_dir);
    if let Err(error) = tempfile::tempfile_in(dir) {
        return Finding::problem(
            AREA,
            format!("nothing can be written to {}: {error}", dir.display()),
            "make room or change its owner, or set QUIRE_DATA_DIR to another directory",
        );
    }
    let free = match free_bytes(dir) {
        Ok(free) => free,
        Err(error) => {
            return Finding::warning(
                AREA,
                format!("{shown}: its file system does not tell its free space: {error}"),
                "look with df",
            );
        }
    };
    let absent = if config.data_dir.exists() {
        ""
    } else {
        " (the first start makes it)"
    };
    let says = format!("{shown}{absent}, {} free", HumanBytes(free));
    if free < config.min_free_bytes {
        let needed = HumanBytes(config.min_free_bytes);
        return Finding::problem(
            AREA,
            format!("{says}: uploads are refused below {needed}"),
            "make room, or set QUIRE_RETENTION_DAYS to have old jobs deleted",
        );
    }
    if free < LITTLE_BYTES {
        return Finding::warning(
            AREA,
            says,
            "make room soon, or set QUIRE_RETENTION_DAYS to have old jobs deleted",
        );
    }
    Finding::ok(AREA, says)
}

fn existing(dir: &Path) -> &Path {
    let nearest = dir.ancestors().find(|dir| dir.is_dir());
    // A relative path that begins with nothing is below the current directory.
    nearest.unwrap_or(Path::new("."))
}

pub(super) async fn port(config: &Config) -> Finding {
    const AREA: &str = "port";
    let port = config.port;
    let taken = config
        .bind
        .iter()
        .map(|ip| SocketAddr::new(*ip, port))
        .find_map(|address| {
            TcpListener::bind(address)
                .err()
                .map(|error| (address, error))
        });
    let Some((address, error)) = taken else {
        return Finding::ok(AREA, format!("{port} is free; no server runs on it"));
    };
    if error.kind() != io::ErrorKind::AddrInUse {
        return Finding::problem(
            AREA,
            format!("cannot listen on {address}: {error}"),
            "choose another with --port or QUIRE_PORT, another address with --bind or QUIRE_BIND",
        );
    }
    let url = format!("http://127.0.0.1:{port}");
    let answers = match Client::new(&url) {
        Ok(client) => client.probe().await.is_ok(),
        Err(_) => false,
    };
    if answers {
        return Finding::ok(AREA, format!("a quire server answers on {url}"));
    }
    Finding::problem(
        AREA,
        format!("another program listens on {address}"),
        "end it, or choose another port with --port or QUIRE_PORT",
    )
}

/// Starts one parser to see how far it can lock itself in. Blocking.
pub(super) fn sandbox(config: &Config) -> Finding {
    const AREA: &str = "sandbox";
    let pool = find_program().and_then(|program| {
        let mut pool = PoolConfig::with_program(program, 1);
        pool.require_sandbox = false;
        ParserPool::start(pool)
    });
    let status = match pool {
        Ok(pool) => pool.sandbox_status(),
        Err(error) => {
            return Finding::problem(
                AREA,
                format!("the document parser does not start: {error}"),
                "reinstall quire: quire-parse belongs beside it",
            );
        }
    };
    let missing = status.missing.join(", ");
    if !status.degraded {
        let partly = if missing.is_empty() {
            String::new()
        } else {
            format!(" (older kernel: without {missing})")
        };
        return Finding::ok(
            AREA,
            format!("untrusted files are parsed in full confinement{partly}"),
        );
    }
    let says = format!("this kernel lacks {missing}");
    if config.require_sandbox {
        return Finding::problem(
            AREA,
            format!("{says}, and require_sandbox is set: workers refuse to start"),
            "use a newer kernel (Linux 6.7 has everything), or allow it in the container's profile",
        );
    }
    Finding::warning(
        AREA,
        says,
        "use a newer kernel (Linux 6.7 has everything), or allow it in the container's profile",
    )
}

/// Blocking.
pub(super) fn recognition(config: &Config) -> Finding {
    const AREA: &str = "tesseract";
    let Some(installed) = Ocr::find().languages() else {
        return Finding::warning(
            AREA,
            "not installed: scanned pages and pictures stay without text",
            "apt-get install tesseract-ocr",
        );
    };
    let missing: Vec<_> = config
        .ocr_languages
        .iter()
        .filter(|wanted| !installed.contains(wanted))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        return Finding::warning(
            AREA,
            format!(
                "without the language{} {}",
                if missing.len() == 1 { "" } else { "s" },
                missing.join(" and ")
            ),
            format!(
                "apt-get install tesseract-ocr-{}",
                missing.join(" tesseract-ocr-")
            ),
        );
    }
    let mut others = installed.len().saturating_sub(config.ocr_languages.len());
    if installed.iter().any(|language| language == "osd") {
        others = others.saturating_sub(1);
    }
    let used = config.ocr_languages.join(", ");
    Finding::ok(AREA, format!("reads {used}{}", more(others)))
}

fn more(others: usize) -> String {
    match others {
        0 => String::new(),
        n => format!("; {n} more installed"),
    }
}

/// Reads the smaller models whole. Blocking.
pub(super) fn models(config: &Config) -> Vec<Finding> {
    let dir = ModelDir::new(&config.models_dir);
    let catalog = Catalog::builtin().models().iter();
    catalog
        .filter_map(|spec| model(&dir, spec, &config.embedder))
        .collect()
}

/// Nothing is said of models that are neither needed nor there.
fn model(dir: &ModelDir, spec: &ModelSpec, embedder: &str) -> Option<Finding> {
    const AREA: &str = "model";
    let id = &spec.id;
    match dir.status(spec) {
        ModelStatus::Missing if spec.id == embedder => Some(Finding::warning(
            AREA,
            format!("{id} is not installed: answers are found by words only"),
            format!("quire models pull {id}"),
        )),
        ModelStatus::Missing => None,
        ModelStatus::Damaged => Some(damaged(id, "a file has the wrong size")),
        ModelStatus::Installed if spec.bytes() > VERIFIED_BYTES => Some(Finding::ok(
            AREA,
            format!("{id} is installed; `quire models verify` reads all of it"),
        )),
        ModelStatus::Installed => Some(match dir.verify(spec) {
            Ok(()) => Finding::ok(AREA, format!("{id} is installed and verified")),
            Err(error) => damaged(id, &error.to_string()),
        }),
    }
}

fn damaged(id: &str, why: &str) -> Finding {
    Finding::problem(
        "model",
        format!("{id} is damaged: {why}"),
        format!("quire models pull {id}"),
    )
}

/// Settings that somebody may have set and forgotten.
pub(super) fn settings(config: &Config) -> Vec<Finding> {
    const AREA: &str = "settings";
    let mut findings = Vec::new();
    if let Some(public) = config.bind.iter().find(|ip| !ip.is_loopback()) {
        findings.push(Finding::warning(
            AREA,
            format!("listens on {public} without accounts: whoever reaches the port may use it"),
            "keep a firewall or a proxy with a login in front",
        ));
    }
    findings.push(match config.retention_days {
        0 => Finding::ok(AREA, "jobs are kept until they are deleted by hand"),
        days => Finding::note(
            AREA,
            format!("jobs are deleted {days} days after their end, with their files"),
        ),
    });
    findings
}

/// Where the embedded server writes its log.
pub(super) fn server_log(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres/server.log")
}
