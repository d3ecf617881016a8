//! The database of a process: the one that `DATABASE_URL` names, or the embedded one.

use quire_store::{
    Store, StoreError, StoreOptions,
    embedded::{EmbeddedError, EmbeddedPostgres},
};

use crate::config::Config;

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

    /// URL for connections.
    pub fn url(&self) -> &str {
        match self {
            Self::External { url } => url,
            Self::Embedded(server) => server.url(),
        }
    }

    /// Connects.
    pub async fn open(&self, config: &Config) -> Result<Store, DatabaseError> {
        let options = StoreOptions {
            url: self.url().to_owned(),
            max_connections: config.database_connections,
            role: "quire",
        };
        Store::connect(&options)
            .await
            .map_err(DatabaseError::Unreachable)
    }

    /// Stops the embedded server; an external one is left alone.
    pub fn stop(self) -> Result<(), DatabaseError> {
        if let Self::Embedded(server) = self {
            server.stop()?;
        }
        Ok(())
    }
}
