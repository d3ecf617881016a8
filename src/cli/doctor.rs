//! `quire doctor`: the state of an installation in words, with what to do about each thing that is not as it should be.
//!
//! It looks and changes nothing, whether a server runs or not. `--self-test` is something else: it makes an installation of its
//! own in a scratch directory, kills its workers, and shows that nothing was lost.

mod database;
mod finding;
mod machine;
mod self_test;
mod troupe;

use std::{io::IsTerminal as _, process::ExitCode};

use clap::Args;
use tokio::task::spawn_blocking;

use self::finding::{Finding, Level, paint, summary, worst};
use super::{report, say};
use crate::config::Config;

/// Options of `quire doctor`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Run jobs in a scratch installation, kill its workers meanwhile, and show that nothing is lost
    #[arg(long)]
    pub self_test: bool,
}

/// Runs the command: 0 when no problem was found, 1 otherwise.
pub(super) async fn run(args: DoctorArgs, config: Config) -> ExitCode {
    if args.self_test {
        return self_test::run(args.json).await;
    }
    let findings = examine(&config).await;
    if args.json {
        print_json(&findings);
    } else {
        print(&findings);
    }
    match worst(&findings) {
        Level::Problem => ExitCode::FAILURE,
        Level::Ok | Level::Note | Level::Warning => ExitCode::SUCCESS,
    }
}

/// Looks at everything, in the order in which a start needs it.
async fn examine(config: &Config) -> Vec<Finding> {
    let owned = config.clone();
    // Starting a parser, asking Tesseract and reading models all block; the database answers meanwhile.
    let machine = spawn_blocking(move || {
        let mut findings = vec![machine::sandbox(&owned), machine::recognition(&owned)];
        findings.extend(machine::models(&owned));
        findings
    });
    let mut findings = vec![machine::data_directory(config)];
    findings.extend(database::findings(config).await);
    match machine.await {
        Ok(found) => findings.extend(found),
        Err(error) => report(&error),
    }
    findings.push(machine::port(config).await);
    findings.extend(machine::settings(config));
    findings
}

fn print(findings: &[Finding]) {
    let colour = is_coloured();
    say(format!("\n  quire {}\n", env!("CARGO_PKG_VERSION")));
    for finding in findings {
        say(finding.line(colour));
    }
    say(format!("\n  {}\n", paint(summary(findings), "1", colour)));
}

fn print_json(findings: &[Finding]) {
    say(serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ok": worst(findings) != Level::Problem,
        "summary": summary(findings),
        "findings": findings,
    }));
}

/// For people who look at it on a terminal and have not said that they want none (`NO_COLOR`).
fn is_coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}
