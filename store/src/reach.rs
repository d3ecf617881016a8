//! Whether the database answers: asked four times a second on a connection of its own.
//!
//! A connection that was cut says so, but one into the void says nothing, and a caller on it would wait for minutes. Whoever
//! must not wait (an upload) or would only wait in vain (a queue worker that starts again) looks here. When the database goes
//! away, the pooled connections are dropped: the next caller gets a new one, not one after the other that is dead.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

use crate::error::{StoreError, sql_state};

/// Time between two questions while the database answers.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Time between two questions while it does not: how late its return is noticed.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Longest wait for the answer. The slowest seen of a server that lives, on an overloaded machine, took 0.3 s.
const ANSWERS_WITHIN: Duration = Duration::from_millis(800);
/// Postgres: it has no connection to spare, which is an answer.
const TOO_MANY_CONNECTIONS: &str = "53300";

/// Asks until `stop`. `pools` are emptied of idle connections whenever the database has gone away.
pub(crate) async fn ask(
    session: PgConnectOptions,
    pools: Arc<Mutex<Vec<PgPool>>>,
    reachable: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let mut connection = None;
    loop {
        let answers = time::timeout(ANSWERS_WITHIN, answer(&mut connection, &session)).await;
        let error = match answers {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {ANSWERS_WITHIN:?}")),
        };
        let pause = if error.is_some() {
            connection = None;
            ASK_AGAIN
        } else {
            ASK_EVERY
        };
        if reachable.send_if_modified(|was| change(was, error.is_none())) {
            match error {
                None => tracing::info!("the database answers again"),
                Some(error) => {
                    tracing::warn!(error, "the database does not answer");
                    pools.lock().iter().for_each(drop_idle);
                }
            }
        }
        if time::timeout(pause, stop.cancelled()).await.is_ok() {
            return;
        }
    }
}

fn change(was: &mut bool, is: bool) -> bool {
    std::mem::replace(was, is) != is
}

async fn answer(
    connection: &mut Option<PgConnection>,
    session: &PgConnectOptions,
) -> Result<(), StoreError> {
    // A connection that was cut says nothing about the server: a new one does.
    if let Some(kept) = connection
        && kept.ping().await.is_ok()
    {
        return Ok(());
    }
    *connection = None;
    match PgConnection::connect_with(session).await {
        Ok(new) => *connection = Some(new),
        Err(error) if sql_state(&error).as_deref() == Some(TOO_MANY_CONNECTIONS) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Without a question to the server, which would not answer.
fn drop_idle(pool: &PgPool) {
    while let Some(connection) = pool.try_acquire() {
        drop(connection.detach());
    }
}
