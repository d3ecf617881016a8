//! What can go wrong between quire and its database.
//!
//! The one distinction that callers act on is [`StoreError::is_unavailable`]: the database is away or has no connection to spare
//! (answer 503, try again), against everything else, which is a bug or a damaged row (answer 500, page someone).

use std::{borrow::Cow, fmt, io};

/// A failed call into the store. Absence is never an error: that is `None`, `false` or an outcome.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is starting or stopping, or gave no connection or answer in time.
    #[error("database unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused the statement: a bug in quire.
    #[error("database: {0}")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migration: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database address cannot be read.
    #[error("database url: {0}")]
    Url(#[source] sqlx::Error),
    /// A stored value does not read back as what it should be.
    #[error("stored {what} is damaged: {reason}")]
    Damaged {
        /// Which value.
        what: &'static str,
        /// Why it does not read.
        reason: String,
    },
    /// A worker that is not registered tried to take a job.
    #[error("worker {0:?} is not registered")]
    UnknownWorker(String),
    /// Another live process already runs under this worker name.
    #[error("worker name {0:?} is taken")]
    WorkerNameTaken(String),
    /// Events of this attempt could not be stored, so its answer must not be either.
    #[error("events of job {0} could not be stored")]
    EventsLost(crate::JobId),
    /// The file store could not be read or changed.
    #[error("{0}")]
    Files(#[from] FileError),
    /// The database's own objects are not the ones this build was made for.
    #[error("the database was changed by another version: {0}")]
    Foreign(&'static str),
}

impl StoreError {
    /// The database is away or overloaded; the same call may succeed later.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    pub(crate) fn damaged(what: &'static str, reason: &impl fmt::Display) -> Self {
        Self::Damaged {
            what,
            reason: reason.to_string(),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_away(&error) {
            Self::Unavailable(error)
        } else {
            Self::Database(error)
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(inner) => inner.into(),
            other => Self::Migration(other),
        }
    }
}

fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_transient(&code)),
        _ => false,
    }
}

/// The SQLSTATE of an error that the server reported.
pub(crate) fn sql_state(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

/// SQLSTATE classes and codes that time heals: connection trouble (08), resources (53), operator intervention (57, which covers
/// shutdown, start-up and statement timeouts), system errors (58), lock timeouts (55P03), transactions that the server ended because
/// this process was frozen (25P03), and lost races (40).
fn is_transient(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "53" | "57" | "58" | "40"))
        || matches!(code, "55P03" | "25P03")
}

/// A failed call into the file store.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The upload is larger than allowed.
    #[error("file is larger than {limit} bytes")]
    TooLarge {
        /// The limit it crossed.
        limit: u64,
    },
    /// The disk is full.
    #[error("no space left for files")]
    StorageFull,
    /// There is no file with this hash.
    #[error("file is missing from the store")]
    Missing,
    /// The bytes are no longer those that were stored.
    #[error("file in the store has changed since it was uploaded")]
    Checksum,
    /// The caller did not want to wait for the end.
    #[error("reading was stopped")]
    Stopped,
    /// The file system failed otherwise.
    #[error("file store: {0}")]
    Io(#[source] io::Error),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            _ => Self::Io(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_time_heals_counts_as_unavailable() {
        assert!(StoreError::from(sqlx::Error::PoolTimedOut).is_unavailable());
        assert!(!StoreError::from(sqlx::Error::RowNotFound).is_unavailable());
        assert!(
            is_transient("57P01")
                && is_transient("55P03")
                && is_transient("25P03")
                && is_transient("08006")
        );
        assert!(!is_transient("23505") && !is_transient("42P01") && !is_transient(""));
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(FileError::from(full), FileError::StorageFull));
    }
}
