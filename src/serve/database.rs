//! The database of a process: the one that `DATABASE_URL` names, or the embedded one.

use std::time::{Duration, Instant};

use quire_store::{
    Store, StoreError, StoreOptions,
    embedded::{EmbeddedError, EmbeddedPostgres},
};

use super::Role;
use crate::config::Config;

/// How long a start waits for the database: it may be recovering from a crash of the whole machine, with us started beside it.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(300);

/// Why there is no database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The embedded server.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The configured server does not answer.
    #[error("cannot reach the database that DATABASE_URL names: {0}")]
    Unreachable(#[source] StoreError),
}

/// A database that jobs can be kept in.
pub enum Database {
    /// A server that somebody else runs.
    External {
        /// Its `postgres://` URL.
        url: String,
    },
    /// The server in the data directory.
    Embedded(EmbeddedPostgres),
}

impl Database {
    /// Starts or finds the database of `config`. Blocks while the embedded server starts.
    pub fn start(config: &Config) -> Result<Self, DatabaseError> {
        match &config.database_url {
            Some(url) => Ok(Self::External { url: url.clone() }),
            None => Ok(Self::Embedded(EmbeddedPostgres::start(
                &config.data_dir.join("postgres"),
            )?)),
        }
    }

    /// The same for a process that outlives others on the same data directory: it keeps the embedded server when its owner ends.
    pub fn start_or_inherit(config: &Config) -> Result<Self, DatabaseError> {
        if config.database_url.is_some() {
            return Self::start(config);
        }
        let directory = config.data_dir.join("postgres");
        Ok(Self::Embedded(EmbeddedPostgres::start_or_inherit(
            &directory,
        )?))
    }

    /// URL for connections.
    pub fn url(&self) -> &str {
        match self {
            Self::External { url } => url,
            Self::Embedded(server) => server.url(),
        }
    }

    /// Connects. A server that is just starting, or starting again, is waited for.
    pub async fn open(&self, config: &Config, role: Role) -> Result<Store, DatabaseError> {
        let options = StoreOptions {
            url: self.url().to_owned(),
            max_connections: match role {
                Role::Api | Role::Migrate => config.database_connections,
                Role::All | Role::Worker => {
                    config.database_connections - config.worker_connections()
                }
            },
            role: "quire",
        };
        let begun = Instant::now();
        loop {
            match Store::connect(&options).await {
                Err(error) if error.is_unavailable() && begun.elapsed() < PATIENCE => {
                    tracing::warn!(%error, "the database does not answer yet, trying again");
                    tokio::time::sleep(PAUSE).await;
                }
                connected => return connected.map_err(DatabaseError::Unreachable),
            }
        }
    }

    /// Stops the embedded server; an external one is left alone.
    pub fn stop(self) -> Result<(), DatabaseError> {
        if let Self::Embedded(server) = self {
            server.stop()?;
        }
        Ok(())
    }
}
