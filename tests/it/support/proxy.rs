//! A TCP proxy before Postgres that can cut, stall and slow every connection, and lose the reply to a commit.

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
    /// Keeps connections open and passes nothing, in either direction.
    Stall,
    /// Passes everything this much later.
    Slow(Duration),
    /// Passes commits on, but neither their reply nor anything after it: the connection is closed when the reply comes.
    LoseCommitReplies,
}

/// The proxy; ends when dropped.
pub struct FaultProxy {
    /// `postgres://` URL through the proxy.
    pub url: String,
    fault: Arc<watch::Sender<Fault>>,
    lost: watch::Receiver<usize>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy for the unix socket of `url` (`postgres://user@localhost/db?host=/dir`).
    pub async fn start(url: &str) -> Self {
        let (user_db, socket) = target(url);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (fault, watch) = watch::channel(Fault::None);
        let (losing, lost) = watch::channel(0);
        let link = Link {
            socket,
            fault: watch,
            lost: Arc::new(losing),
        };
        let accepting = tokio::spawn(accept(listener, link));
        let (user, database) = user_db;
        Self {
            url: format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable"),
            fault: Arc::new(fault),
            lost,
            accepting,
        }
    }

    /// Changes what happens from now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Replies to commits that were lost so far.
    pub fn lost_replies(&self) -> usize {
        *self.lost.borrow()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What each connection is made of.
#[derive(Clone)]
struct Link {
    socket: PathBuf,
    fault: watch::Receiver<Fault>,
    lost: Arc<watch::Sender<usize>>,
}

async fn accept(listener: TcpListener, link: Link) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        if *link.fault.borrow() == Fault::Cut {
            continue;
        }
        let link = link.clone();
        connections.spawn(async move {
            let Ok(mut server) = UnixStream::connect(&link.socket).await else {
                return;
            };
            let (mut from_client, mut to_client) = client.split();
            let (mut from_server, mut to_server) = server.split();
            // Whether the last thing the client said was a commit.
            let (commits, committing) = watch::channel(false);
            tokio::select! {
                () = cut(link.fault.clone()) => {}
                () = ask(&mut from_client, &mut to_server, link.fault.clone(), &commits) => {}
                () = reply(&mut from_server, &mut to_client, &link, &committing) => {}
            }
        });
    }
}

async fn cut(mut fault: watch::Receiver<Fault>) {
    // An error means that the proxy is gone, which ends the connection too.
    let _ = fault.wait_for(|fault| *fault == Fault::Cut).await;
}

/// From the client to the server.
async fn ask(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut fault: watch::Receiver<Fault>,
    commits: &watch::Sender<bool>,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        commits.send_replace(is_commit(&buffer[..read]));
        if pause(&mut fault).await.is_none() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// From the server to the client.
async fn reply(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    link: &Link,
    committing: &watch::Receiver<bool>,
) {
    let mut fault = link.fault.clone();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if *fault.borrow() == Fault::LoseCommitReplies && *committing.borrow() {
            link.lost.send_modify(|lost| *lost += 1);
            return;
        }
        if pause(&mut fault).await.is_none() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Waits for as long as the fault demands; `None` when the proxy is gone.
async fn pause(fault: &mut watch::Receiver<Fault>) -> Option<()> {
    let now = *fault.wait_for(|fault| *fault != Fault::Stall).await.ok()?;
    if let Fault::Slow(delay) = now {
        tokio::time::sleep(delay).await;
    }
    Some(())
}

/// The client sends COMMIT as a simple query of its own.
fn is_commit(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'Q') && bytes.windows(6).any(|word| word == b"COMMIT")
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
