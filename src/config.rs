//! The settings: one commented default file compiled in, overridden by a file, the environment and the command line.
//!
//! The default file is the reference, so it cannot go stale: an unknown name anywhere is refused, and every value is
//! checked before the port opens. Nothing here reads a secret from a file of ours; `DATABASE_URL` is shown redacted.

mod remote;

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::{
    Figment,
    providers::{Env, Format, Serialized, Toml},
};
use quire_models::{Catalog, EngineChoice, ModelKind};
use quire_workers::Retention;
use serde::{Deserialize, Serialize};

pub use remote::Secret;

/// The commented defaults: the reference of every setting.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// Smallest upload limit that is of any use, in bytes.
const MIN_UPLOAD_LIMIT: u64 = 1024;

/// Variables with our prefix that are switches of the command line, of the parser and of the tests, not settings.
const NOT_SETTINGS: [&str; 6] = [
    "config",
    "parse",
    "url",
    "corpus",
    "test_models",
    "test_engine",
];

/// Windows of language models, in tokens; a smaller one has no room for a passage and an answer.
const CONTEXT_TOKENS: std::ops::RangeInclusive<usize> = 1_024..=1_048_576;

/// Limits on the running time of a job: one second to thirty days.
const JOB_SECONDS: std::ops::RangeInclusive<u64> = 1..=2_592_000;

/// Days that something may be kept: a day to a century.
const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 1..=36_500;

/// More parallel jobs than this on one machine only compete for its memory.
const MAX_WORKERS: usize = 256;

/// Every setting, checked. Field meanings and defaults: `config.default.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// TCP port of the server.
    pub port: u16,
    /// Addresses to listen on.
    #[serde(deserialize_with = "list")]
    pub bind: Vec<IpAddr>,
    /// Listening beyond loopback is allowed.
    pub allow_public: bool,
    /// Directory of files and the embedded Postgres.
    pub data_dir: PathBuf,
    /// Postgres to use; `None` means the embedded one.
    #[serde(deserialize_with = "none_if_empty")]
    pub database_url: Option<String>,
    /// Size of the connection pool.
    pub database_connections: u32,
    /// Directory of model files.
    pub models_dir: PathBuf,
    /// Id of the model that compares meanings.
    pub embedder: String,
    /// Who answers jobs that do not say.
    pub engine: EngineChoice,
    /// Address of a server that speaks the OpenAI chat protocol; empty: none.
    pub remote_url: String,
    /// Name of the model there.
    pub remote_model: String,
    /// Key for it; empty: none.
    pub remote_key: Secret,
    /// Window of that model in tokens.
    pub remote_context_tokens: usize,
    /// Largest upload in bytes.
    pub max_upload_bytes: u64,
    /// Waiting jobs above which uploads are told to come back later.
    pub max_waiting_jobs: u64,
    /// Bytes that uploads leave free where the files are.
    pub min_free_bytes: u64,
    /// Most files in one request of a batch, and lines of its manifest.
    pub max_batch_files: usize,
    /// Largest request of a batch in bytes.
    pub max_batch_bytes: u64,
    /// Parallel extractions, and parallel answers.
    pub workers: usize,
    /// Jobs of one owner that each queue runs at once; 0 means any number.
    pub owner_slots: u32,
    /// Seconds that one run of a job may take.
    pub job_deadline_seconds: u64,
    /// Seconds without progress after which a stage is stopped and tried again.
    pub job_progress_seconds: u64,
    /// Tesseract language codes.
    #[serde(deserialize_with = "list")]
    pub ocr_languages: Vec<String>,
    /// A degraded parser sandbox is an error.
    pub require_sandbox: bool,
    /// Browser origins that may call the API besides localhost.
    #[serde(deserialize_with = "list")]
    pub cors_origins: Vec<String>,
    /// Names that the server answers to besides those of this machine.
    #[serde(deserialize_with = "list")]
    pub allowed_hosts: Vec<String>,
    /// `EnvFilter` directive of the log.
    pub log: String,
    /// Format of the log.
    pub log_format: LogFormat,
    /// Seconds that running jobs get at shutdown.
    pub shutdown_seconds: u64,
    /// Days that ended jobs are kept, 0 for ever.
    pub retention_days: u32,
    /// Days that events are kept.
    pub event_retention_days: u32,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line an event.
    Text,
    /// One JSON object an event.
    Json,
}

/// Settings given on the command line; they win over everything else.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// `--port`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `--bind`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<Vec<IpAddr>>,
    /// `--data-dir`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

/// Why the settings cannot be used. Each text names the setting.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file named by `--config` or `QUIRE_CONFIG` is not there.
    #[error("settings file {0} does not exist")]
    NoFile(PathBuf),
    /// A source does not parse, has an unknown name or a value of the wrong type.
    #[error("setting {}", describe(.0))]
    Source(Box<figment::Error>),
    /// A value is out of its range or contradicts another.
    #[error("setting `{name}` {reason}")]
    Invalid {
        /// Name of the setting.
        name: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl Config {
    /// Reads and checks all sources.
    pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Self, ConfigError> {
        let figment = sources(file, overrides)?;
        let mut config: Self = figment
            .extract()
            .map_err(|e| ConfigError::Source(Box::new(e)))?;
        config.fill_in();
        config.check()?;
        Ok(config)
    }

    /// How long running jobs may go on after SIGTERM.
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_seconds)
    }

    /// What is kept how long.
    pub fn retention(&self) -> Retention {
        Retention {
            jobs_days: (self.retention_days > 0).then_some(self.retention_days),
            events_days: self.event_retention_days,
        }
    }

    /// Share of `database_connections` that jobs have to themselves in a process with workers; requests have the rest.
    pub fn worker_connections(&self) -> u32 {
        self.database_connections * 2 / 3
    }

    /// Directory of the uploaded files.
    pub fn files_dir(&self) -> PathBuf {
        self.data_dir.join("files")
    }

    /// Replaces the values that stand for "derive it".
    fn fill_in(&mut self) {
        if self.models_dir.as_os_str().is_empty() {
            self.models_dir = self.data_dir.join("models");
        }
        if self.workers == 0 {
            self.workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        }
    }

    /// What must lie within bounds.
    fn check_numbers(&self) -> Result<(), ConfigError> {
        let invalid = |name, reason: String| Err(ConfigError::Invalid { name, reason });
        if self.max_upload_bytes < MIN_UPLOAD_LIMIT {
            return invalid(
                "max_upload_bytes",
                format!(
                    "is {}, below the least useful {MIN_UPLOAD_LIMIT}",
                    self.max_upload_bytes
                ),
            );
        }
        if self.max_waiting_jobs == 0 {
            return invalid(
                "max_waiting_jobs",
                "is 0, which refuses every upload".into(),
            );
        }
        if !CONTEXT_TOKENS.contains(&self.remote_context_tokens) {
            return invalid(
                "remote_context_tokens",
                format!(
                    "is {}, outside {CONTEXT_TOKENS:?}",
                    self.remote_context_tokens
                ),
            );
        }
        if self.workers > MAX_WORKERS {
            return invalid(
                "workers",
                format!("is {}, above {MAX_WORKERS}", self.workers),
            );
        }
        for (name, seconds) in [
            ("job_deadline_seconds", self.job_deadline_seconds),
            ("job_progress_seconds", self.job_progress_seconds),
        ] {
            if !JOB_SECONDS.contains(&seconds) {
                return invalid(name, format!("is {seconds}, outside {JOB_SECONDS:?}"));
            }
        }
        if !(4..=1000).contains(&self.database_connections) {
            return invalid(
                "database_connections",
                format!("is {}, outside 4 to 1000", self.database_connections),
            );
        }
        if !RETENTION_DAYS.contains(&self.event_retention_days) {
            return invalid(
                "event_retention_days",
                format!("is {}, outside 1 to 36500", self.event_retention_days),
            );
        }
        if self.retention_days > *RETENTION_DAYS.end() {
            return invalid(
                "retention_days",
                format!(
                    "is {}, above 36500; 0 keeps jobs for ever",
                    self.retention_days
                ),
            );
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let invalid = |name, reason: String| Err(ConfigError::Invalid { name, reason });
        if self.bind.is_empty() {
            return invalid("bind", "names no address".into());
        }
        self.remote()?;
        let model = Catalog::builtin().find(&self.embedder);
        if model.is_none_or(|model| model.kind != ModelKind::Embed) {
            return invalid(
                "embedder",
                format!(
                    "is {:?}, which is no embedding model of `quire models list`",
                    self.embedder
                ),
            );
        }
        if let Some(public) = self.bind.iter().find(|ip| !ip.is_loopback())
            && !self.allow_public
        {
            return invalid(
                "bind",
                format!(
                    "{public} is reachable from other machines and this version has no accounts: set allow_public = true (QUIRE_ALLOW_PUBLIC=true) if that is wanted"
                ),
            );
        }
        self.check_numbers()?;
        if let Some(url) = &self.database_url
            && !(url.starts_with("postgres://") || url.starts_with("postgresql://"))
        {
            return invalid(
                "database_url",
                "(DATABASE_URL) does not start with postgres://".into(),
            );
        }
        if let Some(language) = self.ocr_languages.iter().find(|l| !is_language(l)) {
            return invalid(
                "ocr_languages",
                format!("has {language:?}, which is no Tesseract language code"),
            );
        }
        if let Some(origin) = self.cors_origins.iter().find(|o| !is_origin(o)) {
            return invalid(
                "cors_origins",
                format!("has {origin:?}; an origin looks like https://app.example.com"),
            );
        }
        if let Some(host) = self.allowed_hosts.iter().find(|host| !is_host(host)) {
            return invalid(
                "allowed_hosts",
                format!(
                    "has {host:?}; a host looks like quire.example.com, without scheme and port"
                ),
            );
        }
        if tracing_subscriber::EnvFilter::try_new(&self.log).is_err() {
            return invalid(
                "log",
                format!(
                    "is {:?}, which is no filter such as info or quire=debug",
                    self.log
                ),
            );
        }
        Ok(())
    }
}

/// One line of `quire config show`: name, value as TOML, where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Name of the setting.
    pub name: String,
    /// Its value, secrets redacted.
    pub value: String,
    /// The source that decided it.
    pub origin: String,
}

/// Every setting with its value and origin, in the order of the default file.
pub fn show(file: Option<&Path>, overrides: &Overrides) -> Result<Vec<Shown>, ConfigError> {
    let config = Config::load(file, overrides)?;
    let figment = sources(file, overrides)?;
    let values = toml::Table::try_from(&config).map_err(|e| ConfigError::Invalid {
        name: "config",
        reason: e.to_string(),
    })?;
    let names = DEFAULTS
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.split_once(" = "))
        .map(|(name, _)| name);
    Ok(names
        .map(|name| Shown {
            name: name.to_owned(),
            value: values
                .get(name)
                .map_or_else(|| "\"\"".to_owned(), |v| redact(&v.to_string())),
            origin: origin(&figment, name),
        })
        .collect())
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.name, self.value, self.origin)
    }
}

fn sources(file: Option<&Path>, overrides: &Overrides) -> Result<Figment, ConfigError> {
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    if let Some(path) = file {
        if !path.is_file() {
            return Err(ConfigError::NoFile(path.to_owned()));
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    Ok(figment
        .merge(Env::raw().only(&["DATABASE_URL"]))
        .merge(Env::prefixed("QUIRE_").ignore(&NOT_SETTINGS))
        .merge(Serialized::defaults(overrides)))
}

fn origin(figment: &Figment, name: &str) -> String {
    let Some(metadata) = figment.find_metadata(name) else {
        return "default".into();
    };
    match &metadata.source {
        Some(figment::Source::File(path)) => path.display().to_string(),
        _ if metadata.name.contains("environment") => "environment".into(),
        _ if metadata.name.contains("TOML") => "default".into(),
        _ => "command line".into(),
    }
}

/// Hides the password of a database URL.
fn redact(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    match rest.rsplit_once('@') {
        Some((user, host)) => format!(
            "{scheme}://{}:***@{host}",
            user.split(':').next().unwrap_or_default()
        ),
        None => value.to_owned(),
    }
}

/// `` `port` in environment: invalid type: found string "abc", expected u16 ``.
fn describe(error: &figment::Error) -> String {
    let name = match &error.kind {
        figment::error::Kind::UnknownField(name, _) => name.clone(),
        _ => error.path.join("."),
    };
    let place = match error.metadata.as_ref() {
        Some(metadata) => metadata
            .source
            .as_ref()
            .map_or_else(|| metadata.name.to_string(), ToString::to_string),
        None => "settings".into(),
    };
    match &error.kind {
        figment::error::Kind::UnknownField(_, known) => {
            format!(
                "`{name}` ({place}) is unknown; the settings are {}",
                known.join(", ")
            )
        }
        kind => format!("`{name}` ({place}): {kind}"),
    }
}

fn is_language(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= 32
        && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

fn is_origin(origin: &str) -> bool {
    let host = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    host.is_some_and(|h| !h.is_empty() && !h.contains('/') && h.is_ascii())
}

/// A list, or its items in one string separated by commas, as environment variables give them.
fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr<Err: fmt::Display>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    let items = match Given::deserialize(deserializer)? {
        Given::One(text) => text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect(),
        Given::Many(items) => items,
    };
    items
        .iter()
        .map(|item| {
            item.parse()
                .map_err(|e| serde::de::Error::custom(format!("{item:?}: {e}")))
        })
        .collect()
}

fn none_if_empty<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let value = Option::<String>::deserialize(deserializer)?;
    Ok(value.filter(|v| !v.trim().is_empty()))
}

#[cfg(test)]
mod tests;
