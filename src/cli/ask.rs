//! `quire ask FILE "PROMPT"`: upload, watch, and the answer on standard output as it comes.
//!
//! Standard output carries the answer and its sources (or JSON) and nothing else; progress and errors go to standard error.
//! It is a client like any other. When no server runs and none was named, it runs one of its own for this question, on the same data
//! directory.

mod printer;
mod screen;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::Args;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use self::screen::Screen;
use super::{
    client::{Client, ClientError, Question, check_file, follow::Said},
    find,
    own::OwnServer,
    password::{PasswordArgs, PasswordError},
    report,
};
use crate::config::Config;

/// Exit code of a job that failed.
const EXIT_FAILED: u8 = 1;

/// Exit code of wrong use and of a server that is not there.
const EXIT_USAGE: u8 = 2;

/// Exit code of a program that Ctrl-C ended, as shells have it: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// How long a server may be busy before the question is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Pause before a busy server is asked again that does not say when.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a server may take to cancel before this program ends anyway.
const CANCEL_LIMIT: Duration = Duration::from_secs(3);

/// Options of `quire ask`.
#[derive(Args, Clone, Debug)]
pub struct AskArgs {
    /// PDF, CSV, image, office document or text to ask about
    pub file: PathBuf,
    /// The question or instruction
    pub prompt: String,
    /// Server to ask [default: the one on this machine; without one, a server runs for this question]
    #[arg(long, env = "QUIRE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Print the whole result as JSON instead of the answer
    #[arg(long)]
    pub json: bool,
    /// -100 to 100, larger goes first
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub priority: i32,
    /// Who answers: auto, extractive, generate, remote, or the name of an installed model [default: as the server is set up]
    #[arg(long)]
    pub model: Option<String>,
    /// A JSON Schema: the answer is a record that fits it, printed as JSON
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// How an encrypted file is opened
    #[command(flatten)]
    pub password: PasswordArgs,
}

/// A file beside the document cannot be used.
#[derive(Debug, thiserror::Error)]
enum AskError {
    /// The file with the password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The file with the schema.
    #[error("cannot read the schema in {path}: {source}")]
    Schema {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl AskArgs {
    fn question(&self) -> Result<Question, AskError> {
        let schema = |path: &PathBuf| {
            std::fs::read_to_string(path).map_err(|source| AskError::Schema {
                path: path.clone(),
                source,
            })
        };
        Ok(Question {
            prompt: self.prompt.clone(),
            priority: self.priority,
            password: self.password.read()?,
            model: self.model.clone(),
            schema: self.schema.as_ref().map(schema).transpose()?,
        })
    }
}

/// Asks; the result is the exit code: 0 answered, 1 the job failed, 2 wrong use or no server, 130 interrupted.
pub async fn run(args: AskArgs, config: Config) -> ExitCode {
    let question = match args.question() {
        Ok(question) => question,
        Err(error) => {
            report(&error);
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let mut screen = Screen::new(args.json);
    let (client, own) = match find_server(&args, config, &screen).await {
        Ok(found) => found,
        Err(code) => return code,
    };
    let code = ask(&client, &args.file, &question, &mut screen).await;
    screen.clear();
    if let Some(own) = own
        && let Err(error) = own.stop().await
    {
        report(&error);
    }
    ExitCode::from(code)
}

/// The server that was named, the one of this machine, or one of our own, once there is a file to ask about.
async fn find_server(
    args: &AskArgs,
    config: Config,
    screen: &Screen,
) -> Result<(Client, Option<OwnServer>), ExitCode> {
    let refuse = |error: &dyn std::error::Error| {
        screen.clear();
        report(error);
        ExitCode::from(EXIT_USAGE)
    };
    check_file(&args.file).map_err(|error| refuse(&error))?;
    let starting = || screen.status("starting a server for this question");
    find::server(args.url.as_deref(), config, starting)
        .await
        .map_err(|error| refuse(&error))
}

async fn ask(client: &Client, file: &Path, question: &Question, screen: &mut Screen) -> u8 {
    let key = Uuid::new_v4();
    let upload = patiently(async || {
        let sent = screen.upload(file);
        client.upload(key, file, question, sent).await
    });
    let uploaded = tokio::select! {
        uploaded = upload => uploaded,
        _ = tokio::signal::ctrl_c() => return EXIT_INTERRUPTED,
    };
    let job = match uploaded {
        Ok(job) => job,
        Err(error) => return refused(&error, screen),
    };
    screen.status("waiting for a worker");
    let end = tokio::select! {
        end = client.follow(job, |said| screen.show(said)) => end,
        _ = tokio::signal::ctrl_c() => return interrupted(client, job, screen).await,
    };
    match end {
        Ok(end) => conclude(client, job, &end, screen).await,
        Err(error) => refused(&error, screen),
    }
}

/// Tries again as long as the server is busy: it restarts, or too many jobs wait.
async fn patiently<T>(
    mut attempt: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Err(ClientError::Busy { after, .. }) if begun.elapsed() < PATIENCE => {
                sleep(after.unwrap_or(AGAIN)).await;
            }
            outcome => return outcome,
        }
    }
}

/// Prints what came out.
async fn conclude(client: &Client, job: Uuid, end: &Said, screen: &mut Screen) -> u8 {
    if let Some(error) = failure(end) {
        screen.failed(job, &error);
        return EXIT_FAILED;
    }
    match patiently(async || client.result(job).await).await {
        Ok(result) => {
            screen.completed(&result);
            0
        }
        Err(error) => refused(&error, screen),
    }
}

/// Why the job has no answer, if it has none.
fn failure(end: &Said) -> Option<String> {
    match end {
        Said::JobCompleted { .. } => None,
        Said::Resync { status, .. } if status == "completed" => None,
        Said::Resync { error, status, .. } => {
            Some(error.clone().unwrap_or_else(|| format!("job is {status}")))
        }
        Said::JobFailed { error, .. } => Some(error.clone()),
        Said::Error { message, .. } => Some(message.clone()),
        other => Some(format!("the server ended with {other:?}")),
    }
}

async fn interrupted(client: &Client, job: Uuid, screen: &Screen) -> u8 {
    screen.clear();
    // A second Ctrl-C is for somebody who does not want to wait for the goodbye either.
    tokio::select! {
        cancelled = timeout(CANCEL_LIMIT, client.cancel(job)) => if let Ok(Err(error)) = cancelled {
            report(&error);
        },
        _ = tokio::signal::ctrl_c() => {}
    }
    EXIT_INTERRUPTED
}

fn refused(error: &ClientError, screen: &Screen) -> u8 {
    screen.clear();
    report(error);
    EXIT_USAGE
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AskArgs,
    }

    #[test]
    fn the_options_are_read() {
        let args = Line::parse_from([
            "ask",
            "a.pdf",
            "When?",
            "--json",
            "--priority",
            "-5",
            "--url",
            "http://h:1",
        ])
        .args;
        assert_eq!(
            (args.priority, args.json, args.url.as_deref()),
            (-5, true, Some("http://h:1"))
        );
        assert_eq!(
            (args.file, args.prompt),
            (PathBuf::from("a.pdf"), "When?".to_owned())
        );
        assert!(Line::try_parse_from(["ask", "a.pdf"]).is_err());
    }

    #[test]
    fn every_end_but_an_answer_is_a_failure() {
        let resync = |status: &str, error: Option<&str>| Said::Resync {
            status: status.into(),
            partial: String::new(),
            error: error.map(str::to_owned),
        };
        assert_eq!(
            failure(&Said::JobCompleted {
                ai_response: "42".into()
            }),
            None
        );
        assert_eq!(failure(&resync("completed", None)), None);
        assert_eq!(
            failure(&resync("failed", Some("damaged"))),
            Some("damaged".into())
        );
        assert_eq!(
            failure(&resync("cancelled", None)),
            Some("job is cancelled".into())
        );
        assert_eq!(
            failure(&Said::JobFailed {
                error: "no".into(),
                code: "x".into()
            }),
            Some("no".into())
        );
    }
}
