//! `quire ingest SOURCE.. ["PROMPT"]`: a question about every file of a directory, a pattern or a list.
//!
//! A client of the batch API that can be stopped, killed and started again at any moment. It keeps no state of its own: the
//! batch is found by its name, every file by a key made from its content and its question, and the server knows which it
//! has. A server that is busy or away is waited for. Memory holds the list of names and nothing that grows with the files.

mod key;
mod pace;
mod plan;
mod results;
mod screen;
mod send;
mod sources;
mod walk;
mod watch;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use tokio_util::sync::CancellationToken;

use self::{
    key::BatchKey,
    pace::Patience,
    plan::Plan,
    results::Outcome,
    screen::{Progress, Screen},
    send::Sender,
};
use super::{
    client::{Client, ClientError, batch::BatchState},
    find,
    own::OwnServer,
    report, say,
};
use crate::config::Config;

/// Exit code when some file has no answer.
const EXIT_FAILED: u8 = 1;

/// Exit code of wrong use and of a server that is not there.
const EXIT_USAGE: u8 = 2;

/// Exit code of a program that Ctrl-C ended, as shells have it: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

const EXAMPLES: &str = "Examples:
  quire ingest invoices/ \"What is the total?\" --out totals.jsonl
  quire ingest 'scans/**/*.png' \"Who signed this?\"
  quire ingest questions.csv                      each line has a file and its own prompt
  quire ingest invoices/ \"What is the total?\" --dry-run

A list is CSV with a header, or JSON lines: file (beside the list), and if wanted prompt, priority,
scheduled_at, reference, key, password. A CSV file without a column \"file\" is a document like any other.

Stopped, killed, server restarted: run the same command again. Files that the server has are not sent
twice and not answered twice; new and changed files are added. To ask the same again, give another --name.

The results are JSON lines in the order of the input, one for each file: index, reference, file_name,
job_id, status, error, answer, citations.

Exit codes: 0 every file has an answer, 1 some have none, 2 wrong use or no server, 130 interrupted.";

/// Options of `quire ingest`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct IngestArgs {
    /// Directories, files, quoted patterns, or one list (.csv, .jsonl); then the question about each file
    #[arg(required = true, value_name = "SOURCE.. [PROMPT]")]
    pub inputs: Vec<String>,
    /// The question, when it could be taken for a file
    #[arg(long)]
    pub prompt: Option<String>,
    /// Write the results here, in the order of the input; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What to call the batch [default: made from sources and question]
    #[arg(long)]
    pub name: Option<String>,
    /// Server to use [default: the one on this machine; without one, a server runs for this command]
    #[arg(long, env = "QUIRE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// -100 to 100, larger goes first; bulk work that should let others pass is below 0
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Uploads at the same time
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub parallel: u8,
    /// Show what would be sent and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// End when everything is sent, and do not wait for the answers
    #[arg(long, conflicts_with = "out")]
    pub no_wait: bool,
    /// Queue jobs again that failed in an earlier run
    #[arg(long)]
    pub retry_failed: bool,
    /// Seconds to wait for a server that is away before giving up
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub patience: u64,
}

/// Why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum IngestError {
    /// The server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The list of files.
    #[error(transparent)]
    Plan(#[from] plan::PlanError),
    /// The results.
    #[error("cannot write the results to {path}: {source}")]
    Out {
        /// Where to.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Somebody cancelled the batch.
    #[error("batch {0} was cancelled; give another --name to send the files again")]
    Cancelled(uuid::Uuid),
}

/// Ingests; the result is the exit code.
pub async fn run(args: IngestArgs, config: Config) -> ExitCode {
    let plan = match Plan::new(&args) {
        Ok(plan) => plan,
        Err(error) => return refused(&error),
    };
    if args.dry_run {
        plan.show();
        return ExitCode::SUCCESS;
    }
    let progress = Arc::new(Progress::new(plan.files.len()));
    let mut screen = Screen::new(Arc::clone(&progress));
    let starting = || screen.say("starting a server for this command");
    let (client, own) = match find::server(args.url.as_deref(), config, starting).await {
        Ok(found) => found,
        Err(error) => return refused(&error),
    };
    let stop = stop_on_ctrl_c();
    screen.start();
    let outcome = ingest(&args, &plan, &client, &progress, &stop).await;
    screen.end();
    let code = conclude(&args, &plan, &progress, outcome);
    stop_own(own).await;
    code
}

/// Sends, waits and collects. `None`: interrupted.
async fn ingest(
    args: &IngestArgs,
    plan: &Plan,
    client: &Client,
    progress: &Arc<Progress>,
    stop: &CancellationToken,
) -> Result<Option<Outcome>, IngestError> {
    let patience = Patience::new(Duration::from_secs(args.patience), stop.clone());
    let key = BatchKey::new(&plan.identity);
    let opened = patience
        .insist(|| client.open_batch(&plan.name, key.as_str()))
        .await?;
    let Some(batch) = opened else {
        return Ok(None);
    };
    let batch = still_open(&batch)?;
    let sender = Sender::new(client, batch, plan, &key, progress, &patience);
    if !sender.look(args.retry_failed).await? {
        return Ok(None);
    }
    let sent = tokio::select! {
        sent = sender.send(args.parallel) => sent?,
        () = watch::alongside(client, batch, progress) => false,
    };
    if !sent {
        return Ok(None);
    }
    if !args.no_wait && !watch::until_done(client, batch, progress, &patience).await? {
        return Ok(None);
    }
    results::collect(
        client,
        batch,
        plan,
        &sender.into_sent(),
        args.out.as_deref(),
        &patience,
    )
    .await
}

fn still_open(batch: &BatchState) -> Result<uuid::Uuid, IngestError> {
    if batch.status == "cancelled" {
        Err(IngestError::Cancelled(batch.batch_id))
    } else {
        Ok(batch.batch_id)
    }
}

/// Says how it ended.
fn conclude(
    args: &IngestArgs,
    plan: &Plan,
    progress: &Progress,
    outcome: Result<Option<Outcome>, IngestError>,
) -> ExitCode {
    let total = plan.files.len();
    match outcome {
        Ok(Some(outcome)) => {
            outcome.show(plan, args);
            if outcome.is_good(args.no_wait) {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_FAILED)
            }
        }
        Ok(None) => {
            let sent = progress.sent();
            screen::note(&format!(
                "interrupted: {sent} of {total} files are with the server, which goes on with them; run the same command again to go on"
            ));
            ExitCode::from(EXIT_INTERRUPTED)
        }
        Err(error) => {
            report(&error);
            let sent = progress.sent();
            screen::note(&format!(
                "{sent} of {total} files are with the server; run the same command again to go on"
            ));
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn refused(error: &dyn std::error::Error) -> ExitCode {
    report(error);
    ExitCode::from(EXIT_USAGE)
}

async fn stop_own(own: Option<OwnServer>) {
    if let Some(own) = own
        && let Err(error) = own.stop().await
    {
        report(&error);
    }
}

/// A token that Ctrl-C cancels; the second one ends the program at once.
fn stop_on_ctrl_c() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        for presses in 0..2 {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            stopped.cancel();
            if presses == 1 {
                std::process::exit(i32::from(EXIT_INTERRUPTED));
            }
        }
    });
    stop
}

impl Plan {
    /// What would be sent, on standard output.
    fn show(&self) {
        let mut bytes = 0;
        for file in &self.files {
            let size = file.path.metadata().map_or(0, |metadata| metadata.len());
            bytes += size;
            say(format_args!(
                "{}\t{size}\t{}",
                file.reference, file.asked.prompt
            ));
        }
        screen::note(&format!(
            "would send {} files, {}, to batch {:?}; {}",
            self.files.len(),
            indicatif::HumanBytes(bytes),
            self.name,
            self.skipped_text(),
        ));
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: IngestArgs,
    }

    #[test]
    fn the_options_are_read() {
        let args = Line::parse_from(["ingest", "a.pdf", "b.pdf", "Why?", "--priority", "-5"]).args;
        assert_eq!(args.inputs, ["a.pdf", "b.pdf", "Why?"]);
        assert_eq!((args.priority, args.parallel), (-5, 4));
        for wrong in [
            &["ingest"][..],
            &["ingest", "a", "--parallel", "0"],
            &["ingest", "a", "--no-wait", "--out", "x"],
        ] {
            assert!(Line::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
    }
}
