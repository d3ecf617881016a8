//! Logs: what is written, how it looks, where it goes.
//!
//! Log lines carry ids, sizes, durations and codes; never prompts, document text, answers or file names.
//! A line that cannot be written, as on a full disk, is lost and stops nothing.

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Noise of dependencies that helps nobody at `info`.
const QUIET: &str =
    "apalis=warn,apalis_core=warn,apalis_postgres=warn,sqlx=warn,hyper=warn,h2=warn,tower=warn";

/// Starts logging to standard error. A second call in one process does nothing.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.log))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // The complaint about a lost line would go to standard error too, and a failure there is a panic.
        .log_internal_errors(false)
        .with_target(false);
    let started = match config.log_format {
        LogFormat::Text => lines.compact().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}
