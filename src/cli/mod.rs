//! The command line: every command, its help and its exit code.

pub mod ask;
pub mod client;
mod config;
mod doctor;
mod extract;
mod find;
pub mod ingest;
mod models;
mod openapi;
mod own;
mod password;

use std::{net::IpAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{Config, ConfigError, Overrides},
    serve::{self, Role},
    telemetry,
};

/// Exit code of wrong use and impossible settings, as in BSD's `sysexits` and most programs: 2.
const EXIT_USAGE: u8 = 2;

/// Ask questions about PDF, CSV, image, office and text files, answered on this machine.
///
/// Without a command, `quire` runs the server on `http://localhost:8000`, with its own Postgres in ./data.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do; `serve` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
}

const EXAMPLES: &str = "Examples:
  quire                                      run the server
  quire ask report.pdf \"When was it opened?\"  ask one question about one file
  quire ingest invoices/ \"What is the total?\" --out totals.jsonl
                                             ask about every file of a directory
  quire extract report.pdf                   print what is in a file as Markdown, without a server
  quire models pull                          download the default model
  quire doctor                               tell what is in order and what is not
  quire config show                          show every setting and where it comes from

Settings can also be given as QUIRE_<NAME> in the environment or in a file; `quire config defaults`
prints that file with every setting explained.";

/// Options of every command.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalArgs {
    /// Settings file in TOML
    #[arg(long, global = true, env = "QUIRE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of uploaded files and the embedded Postgres [default: ./data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Port of the server [default: 8000]
    #[arg(long, global = true)]
    pub port: Option<u16>,
    /// Address to listen on, may be given several times [default: 127.0.0.1]
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub bind: Vec<IpAddr>,
}

impl GlobalArgs {
    /// Reads the settings with these options on top.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.config.as_deref(), &self.overrides())
    }

    /// The options that are settings.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            port: self.port,
            bind: (!self.bind.is_empty()).then(|| self.bind.clone()),
            data_dir: self.data_dir.clone(),
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: API, WebSocket and workers in one process
    Serve(ServeArgs),
    /// Run only workers, beside servers on the same `DATABASE_URL` or data directory
    Worker,
    /// Bring the database schema up to date and exit
    Migrate,
    /// List and download models
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Ask a question about a file and stream the answer
    Ask(ask::AskArgs),
    /// Tell how this installation is, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Ask about many files: a directory, a pattern or a list
    Ingest(ingest::IngestArgs),
    /// Read files without a server: text, Markdown, JSON or pieces for retrieval
    Extract(extract::ExtractArgs),
    /// Print the OpenAPI document of the HTTP API
    Openapi,
    /// Show settings
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// Options of `quire serve`.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ServeArgs {
    /// Serve the API only; jobs wait for `quire worker` processes
    #[arg(long)]
    pub no_workers: bool,
}

/// Runs the command; the result is the exit code of the program.
pub fn run(cli: Cli) -> ExitCode {
    let global = cli.global;
    match cli.command.unwrap_or(Command::Serve(ServeArgs::default())) {
        Command::Serve(args) => service(
            &global,
            if args.no_workers {
                Role::Api
            } else {
                Role::All
            },
        ),
        Command::Worker => service(&global, Role::Worker),
        Command::Migrate => service(&global, Role::Migrate),
        Command::Models(command) => configured(&global, |config| models::run(command, &config)),
        Command::Ask(args) => configured(&global, |config| until_done(ask::run(args, config))),
        Command::Ingest(args) => {
            configured(&global, |config| until_done(ingest::run(args, config)))
        }
        Command::Doctor(args) => {
            configured(&global, |config| until_done(doctor::run(args, config)))
        }
        Command::Extract(args) => {
            configured(&global, |config| until_done(extract::run(args, config)))
        }
        Command::Openapi => openapi::run(),
        Command::Config(command) => config::run(command, &global),
    }
}

/// Loads the settings, prints why they are refused, or goes on.
fn configured(global: &GlobalArgs, command: impl FnOnce(Config) -> ExitCode) -> ExitCode {
    match global.load() {
        Ok(config) => command(config),
        Err(error) => {
            report(&error);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn service(global: &GlobalArgs, role: Role) -> ExitCode {
    configured(global, |config| {
        telemetry::init(&config);
        match serve::run(config, role) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                report(&error);
                ExitCode::FAILURE
            }
        }
    })
}

/// Runs a command that is a client.
fn until_done(command: impl Future<Output = ExitCode>) -> ExitCode {
    match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(command),
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints an error with its causes on standard error.
pub(crate) fn report(error: &dyn std::error::Error) {
    use std::io::Write as _;
    let mut text = format!("quire: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let line = error.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = error.source();
    }
    // Nothing is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line on standard output; a reader that went away is no error.
pub(crate) fn say(line: impl std::fmt::Display) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_the_server_work_without_a_command() {
        let cli = Cli::parse_from([
            "quire",
            "--port",
            "9000",
            "--bind",
            "127.0.0.1",
            "--bind",
            "::1",
        ]);
        assert!(cli.command.is_none());
        let overrides = cli.global.overrides();
        assert_eq!(
            (overrides.port, overrides.bind.map(|b| b.len())),
            (Some(9000), Some(2))
        );
    }
}
