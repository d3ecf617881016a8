//! The accept loops: HTTP/1.1 with upgrades, limits on slow clients, and a stop that lets requests finish.
//!
//! `axum::serve` has no timeout for request heads, so a thousand clients that never finish theirs would hold a
//! thousand connections; hyper's connection builder has one.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Longest time for the head of a request, from its first byte or from the end of the previous one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long open requests may go on after the stop; sockets are told to close by then.
const DRAIN: Duration = Duration::from_secs(5);
/// Pause after the system refused to accept, as when no file descriptor is left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The listeners and connections of this process.
pub(super) struct Http {
    addresses: Vec<SocketAddr>,
    /// Cancelled when the stop begins: readiness turns false, sockets close.
    shutdown: CancellationToken,
    accepting: Vec<JoinHandle<GracefulShutdown>>,
}

impl Http {
    /// Accepts on every listener and serves `app`.
    pub(super) fn serve(
        listeners: Vec<TcpListener>,
        app: &Router,
        shutdown: CancellationToken,
    ) -> Self {
        let addresses = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect();
        let accepting = listeners
            .into_iter()
            .map(|listener| tokio::spawn(accept(listener, app.clone(), shutdown.clone())))
            .collect();
        Self {
            addresses,
            shutdown,
            accepting,
        }
    }

    /// Where it listens.
    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts no further connection; sockets are told to reconnect elsewhere.
    pub(super) fn refuse_new(&self) {
        self.shutdown.cancel();
    }

    /// Waits for open requests, for a while.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        for loops in self.accepting {
            let Ok(connections) = loops.await else {
                continue;
            };
            if tokio::time::timeout(DRAIN, connections.shutdown())
                .await
                .is_err()
            {
                tracing::warn!("connections were still open at the end");
            }
        }
    }
}

async fn accept(
    listener: TcpListener,
    app: Router,
    shutdown: CancellationToken,
) -> GracefulShutdown {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return connections,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => serve_connection(stream, app.clone(), &connections),
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn serve_connection(stream: TcpStream, app: Router, connections: &GracefulShutdown) {
    // Small frames of a stream must not wait for the client's acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection ended before it was served");
        return;
    }
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let connection = builder
        .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(app))
        .into_owned();
    let watched = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%error, "connection ended early");
        }
    });
}
