//! How this process talks to Postgres: the settings every session gets, and the pool.
//!
//! No session may hold anybody up: a statement, a wait for a lock and an idle transaction each have an end, and so has the wait
//! for a free connection, after which the caller hears "unavailable" instead of hanging.

use std::{str::FromStr as _, time::Duration};

use futures_util::future::BoxFuture;
use sqlx::{
    Connection as _, PgConnection, PgPool,
    pool::PoolConnectionMetadata,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{error::StoreError, store::StoreOptions};

/// Longest wait for a pooled connection: beyond it an upload is better answered 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(800);
/// Longest statement. The slowest of ours, housekeeping over a large backlog, stays under a second.
const STATEMENT_TIMEOUT: &str = "10s";
/// Longest wait for a lock; row locks of ours are held for milliseconds.
const LOCK_TIMEOUT: &str = "2s";
/// Longest silence inside a transaction: a process that freezes there has lost its row locks before it counts as frozen and its
/// jobs are taken (`workers::reap`).
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "3s";
/// Longest time without an acknowledgement of sent bytes before a partitioned peer counts as gone (ignored on unix sockets).
const TCP_USER_TIMEOUT: &str = "5s";
/// An idle connection is closed after this, so that a burst does not hold server memory for ever.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);
/// A pooled connection that was in use within this time is handed out without asking the server whether it still lives: the question
/// is a round trip before every transaction. Those that a restart has cut are dropped by then (`reach`).
const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The options of every session of this process.
pub(crate) fn options(store: &StoreOptions) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(&store.url).map_err(StoreError::Url)?;
    Ok(options.application_name(store.role).options([
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("lock_timeout", LOCK_TIMEOUT),
        (
            "idle_in_transaction_session_timeout",
            IDLE_IN_TRANSACTION_TIMEOUT,
        ),
        ("tcp_user_timeout", TCP_USER_TIMEOUT),
    ]))
}

/// The shared pool; connects on first use.
pub(crate) fn pool(session: &PgConnectOptions, max_connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| lives(connection, &metadata))
        .connect_lazy_with(session.clone())
}

/// Whether an idle connection can be handed out.
fn lives<'c>(
    connection: &'c mut PgConnection,
    metadata: &PoolConnectionMetadata,
) -> BoxFuture<'c, Result<bool, sqlx::Error>> {
    let trusted = metadata.idle_for < TRUSTED_FOR;
    Box::pin(async move { Ok(trusted || connection.ping().await.is_ok()) })
}
