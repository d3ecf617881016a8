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
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Longest time for the head of a request, from its first byte or from the end of the previous one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long open requests may go on after the stop; sockets are told to close by then.
const DRAIN: Duration = Duration::from_secs(5);
/// Connections that may wait to be accepted: all clients of a restarted server come back in the same second, and who finds the
/// queue full tries again a second later. The system may set a lower bound.
const BACKLOG: u32 = 16_384;
/// Bytes that may lie in the system's buffer without having been sent: a client that does not read is noticed, and costs, no
/// more than this. A client that reads is not slowed: what is on its way does not count.
const UNSENT: u32 = 128 * 1024;
/// Pause after the system refused to accept, as when no file descriptor is left.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Listens on an address.
pub(super) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Connections of a server that has just ended do not keep the next one from its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The listeners and connections of this process.
pub(super) struct Http {
    addresses: Vec<SocketAddr>,
    /// Cancelled when the stop begins: readiness turns false, sockets close.
    shutdown: CancellationToken,
    /// Connections that have become sockets; they are nobody's requests any more.
    sockets: TaskTracker,
    accepting: Vec<JoinHandle<GracefulShutdown>>,
}

impl Http {
    /// Accepts on every listener and serves `app`.
    pub(super) fn serve(
        listeners: Vec<TcpListener>,
        app: &Router,
        (shutdown, sockets): (CancellationToken, TaskTracker),
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
            sockets,
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

    /// Waits for open requests and for sockets to hear the goodbye, for a while.
    pub(super) async fn stop(self) {
        self.shutdown.cancel();
        let drained = async {
            for loops in self.accepting {
                if let Ok(connections) = loops.await {
                    connections.shutdown().await;
                }
            }
            self.sockets.close();
            self.sockets.wait().await;
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("connections were still open at the end");
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

/// Bounds what a connection may hold in the system's buffer, where the system can.
fn hold_little(stream: &TcpStream) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}

fn serve_connection(stream: TcpStream, app: Router, connections: &GracefulShutdown) {
    // Small frames of a stream must not wait for the client's acknowledgement.
    if let Err(error) = stream.set_nodelay(true).and_then(|()| hold_little(&stream)) {
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
