//! A server that lives for one command: everything `quire serve` runs, on a port of its own.
//!
//! It uses the same data directory, so that what it extracts is there for the next question and for the next server.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use tokio::{
    task::{JoinError, spawn_blocking},
    time::{Instant, sleep},
};

use crate::{
    config::Config,
    serve::{Database, DatabaseError, Role, ServeError, Server},
};

/// How long the database of another command may take to come back after that command has ended, and the pause between two tries.
const TAKEOVER: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(100);

/// A running server with its database.
pub(super) struct OwnServer {
    server: Server,
    database: Database,
    url: String,
}

/// Why it does not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum OwnServerError {
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the server listens nowhere")]
    Deaf,
    #[error("the database thread ended early: {0}")]
    Thread(#[from] JoinError),
}

impl OwnServerError {
    /// The database was there and is not now.
    fn is_passing(&self) -> bool {
        match self {
            Self::Serve(
                ServeError::Database(DatabaseError::Unreachable(_)) | ServeError::Workers(_),
            ) => true,
            Self::Serve(ServeError::Store(error)) => error.is_unavailable(),
            _ => false,
        }
    }
}

impl From<DatabaseError> for OwnServerError {
    fn from(error: DatabaseError) -> Self {
        Self::Serve(error.into())
    }
}

impl OwnServer {
    /// Starts database, workers and a listener that only this machine reaches.
    pub(super) async fn start(config: Config) -> Result<Self, OwnServerError> {
        let config = Config {
            port: 0,
            bind: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            ..config
        };
        for dir in [&config.data_dir, &config.models_dir] {
            std::fs::create_dir_all(dir).map_err(|source| ServeError::DataDir {
                dir: dir.clone(),
                source,
            })?;
        }
        let settings = config.clone();
        let database = spawn_blocking(move || Database::start_or_inherit(&settings)).await??;
        match Self::serve_patiently(&config, &database).await {
            Ok((server, url)) => Ok(Self {
                server,
                database,
                url,
            }),
            Err(error) => {
                // The first error is the one worth telling.
                let _ = spawn_blocking(move || database.stop()).await?;
                Err(error)
            }
        }
    }

    /// Another command on the same directory may end just now and take its database with it for a moment.
    async fn serve_patiently(
        config: &Config,
        database: &Database,
    ) -> Result<(Server, String), OwnServerError> {
        let begun = Instant::now();
        loop {
            match Self::serve(config.clone(), database).await {
                Err(error)
                    if error.is_passing()
                        && config.database_url.is_none()
                        && begun.elapsed() < TAKEOVER =>
                {
                    sleep(AGAIN).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn serve(
        config: Config,
        database: &Database,
    ) -> Result<(Server, String), OwnServerError> {
        let store = database.open(&config, Role::All).await?;
        store.migrate().await.map_err(ServeError::from)?;
        let server = Server::start(config, Role::All, store).await?;
        let address = server
            .addresses()
            .first()
            .copied()
            .ok_or(OwnServerError::Deaf)?;
        Ok((server, format!("http://{address}")))
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it in order.
    pub(super) async fn stop(self) -> Result<(), OwnServerError> {
        self.server.stop().await;
        spawn_blocking(move || self.database.stop()).await??;
        Ok(())
    }
}
