//! A TCP proxy before Postgres that can cut, stall and slow every connection.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Passes them on.
    None,
    /// Closes every connection and refuses new ones.
    Cut,
    /// Keeps connections open and passes nothing.
    Stall,
    /// Passes everything this much later.
    Slow(Duration),
}

/// The proxy; ends when dropped.
pub struct FaultProxy {
    /// `postgres://` URL through the proxy.
    pub url: String,
    fault: Arc<watch::Sender<Fault>>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy for the unix socket of `url` (`postgres://user@localhost/db?host=/dir`).
    pub async fn start(url: &str) -> Self {
        let (user_db, socket) = target(url);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (fault, watch) = watch::channel(Fault::None);
        let accepting = tokio::spawn(accept(listener, socket, watch));
        let (user, database) = user_db;
        Self {
            url: format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable"),
            fault: Arc::new(fault),
            accepting,
        }
    }

    /// Changes what happens from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, socket: PathBuf, fault: watch::Receiver<Fault>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        if *fault.borrow() == Fault::Cut {
            continue;
        }
        let (socket, fault) = (socket.clone(), fault.clone());
        connections.spawn(async move {
            let Ok(mut server) = UnixStream::connect(&socket).await else {
                return;
            };
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            tokio::select! {
                () = cut(fault.clone()) => {}
                () = pump(&mut from_client, &mut to_server, fault.clone()) => {}
                () = pump(&mut from_server, &mut to_client, fault.clone()) => {}
            }
        });
    }
}

async fn cut(mut fault: watch::Receiver<Fault>) {
    // An error means that the proxy is gone, which ends the connection too.
    let _ = fault.wait_for(|fault| *fault == Fault::Cut).await;
}

async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut fault: watch::Receiver<Fault>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if fault
            .wait_for(|fault| *fault != Fault::Stall)
            .await
            .is_err()
        {
            return;
        }
        let now = *fault.borrow_and_update();
        if let Fault::Slow(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Splits `postgres://user@localhost/db?host=%2Fdir` into user, database and socket path.
fn target(url: &str) -> ((String, String), PathBuf) {
    let rest = url.split_once("://").unwrap().1;
    let (user, rest) = rest.split_once('@').unwrap();
    let (path, query) = rest.split_once('?').unwrap();
    let database = path.split_once('/').unwrap().1;
    let host = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("host="))
        .unwrap();
    let dir = host.replace("%2F", "/").replace("%2f", "/");
    let port = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("port="))
        .unwrap_or("5432");
    (
        (user.to_owned(), database.to_owned()),
        PathBuf::from(format!("{dir}/.s.PGSQL.{port}")),
    )
}
