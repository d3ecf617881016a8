//! A PostgreSQL server of our own: the default when no `DATABASE_URL` is set.
//!
//! It is the server that the distribution installed, run as a child on a directory of ours: no port, no password, no
//! container, full durability, and gone when we are gone, however we end. Everything about it blocks, so asynchronous callers
//! use `spawn_blocking`; the server itself belongs to a thread of its own.
//!
//! One process owns a directory. A second `quire` on the same one becomes a client of the first one's server. It takes the
//! server over when the first one ends only if it asked for that (`heir`).
//!
//! Not here: downloading a server, upgrading a cluster to another major version, and creating extensions or tables.

mod binaries;
mod cluster;
mod error;
mod files;
mod heir;
mod home;
mod launch;
mod look;
mod parent_death;
mod poll;
mod predecessor;
mod process;
mod room;
#[cfg(feature = "testing")]
pub(crate) mod shared;
mod socket;
mod state_file;
mod supervisor;
mod user;

pub use self::error::EmbeddedError;
pub use self::look::{EmbeddedState, installed, look};

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::heir::Heir;
use self::home::{Home, HomeLock};
use self::launch::{Durability, Launch};
use self::poll::poll;
use self::predecessor::{Holder, holder};
use self::socket::{ROLE, SocketDir};
use self::state_file::StateFile;
use self::supervisor::Supervisor;

/// How long the process that owns the directory may take until its server answers; making a cluster takes 1.6 s.
const OWNER_LIMIT: Duration = Duration::from_mins(1);

/// A PostgreSQL server on a directory: ours, or that of another `quire`.
///
/// Dropping it stops a server of ours and blocks until it has ended.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    url: String,
    /// `None` when another process owns the server.
    server: Option<Owned>,
    /// Takes the server over when its owner ends.
    heir: Option<Heir>,
}

#[derive(Debug)]
struct Owned {
    supervisor: Supervisor,
    socket: SocketDir,
    /// Held until the server has ended: then the next owner may start one.
    lock: HomeLock,
}

impl EmbeddedPostgres {
    /// Makes the cluster in this directory if there is none, starts its server, and returns when it accepts connections.
    ///
    /// The directory is for the server alone and is made if missing. If another process already serves it, the result is a client
    /// of that server. Call it early: starting a child costs time in proportion to the memory in use.
    pub fn start(directory: &Path) -> Result<Self, EmbeddedError> {
        Self::start_at(directory, false)
    }

    /// The same, and a client of another process's server takes it over when that process ends: after a moment the same address
    /// answers again.
    pub fn start_or_inherit(directory: &Path) -> Result<Self, EmbeddedError> {
        Self::start_at(directory, true)
    }

    fn start_at(directory: &Path, inherits: bool) -> Result<Self, EmbeddedError> {
        let home = Home::open(directory)?;
        let started = poll(OWNER_LIMIT, || {
            if let Some(lock) = home.try_lock()? {
                let owned = own(&home, lock)?;
                return Ok(Some(Self {
                    url: socket::url(&owned.socket.path, ROLE),
                    server: Some(owned),
                    heir: None,
                }));
            }
            // A killed owner's lock and server outlive it by moments, and must not be taken for its life.
            if home.owner()?.is_none_or(process::is_ending) {
                return Ok(None);
            }
            let Some(socket) = running(&home.cluster())? else {
                return Ok(None);
            };
            let heir = inherits.then(|| Heir::wait(home.clone())).transpose()?;
            Ok(Some(Self {
                url: socket::url(&socket, ROLE),
                server: None,
                heir,
            }))
        })?;
        started.ok_or_else(|| EmbeddedError::Busy {
            path: home.directory().to_owned(),
            seconds: OWNER_LIMIT.as_secs(),
        })
    }

    /// The address of the database `quire` on this server, for `StoreOptions::url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether this process runs the server, and stops it.
    pub fn is_owner(&self) -> bool {
        self.server.is_some()
    }

    /// Stops a server of ours: sessions are ended, everything is written, and the process is gone when this returns. Close
    /// connection pools before.
    pub fn stop(mut self) -> Result<(), EmbeddedError> {
        self.stop_server()
    }

    fn stop_server(&mut self) -> Result<(), EmbeddedError> {
        let inherited = self.heir.take().and_then(Heir::leave);
        let Some(Owned {
            supervisor,
            socket,
            lock,
        }) = self.server.take().or(inherited)
        else {
            return Ok(());
        };
        let stopped = supervisor.stop();
        socket.remove();
        drop(lock);
        stopped
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(error) = self.stop_server() {
            tracing::error!(error = %error, "the database server could not be stopped");
        }
    }
}

/// Starts the server of a directory that nobody else owns.
fn own(home: &Home, lock: HomeLock) -> Result<Owned, EmbeddedError> {
    let launch = Launch::prepare(home, Durability::Durable)?;
    let socket = launch.socket.clone();
    let supervisor = Supervisor::start(launch)?;
    Ok(Owned {
        supervisor,
        socket,
        lock,
    })
}

/// The socket directory of the server that serves this cluster and is ready.
fn running(cluster: &Path) -> Result<Option<PathBuf>, EmbeddedError> {
    let Some(state) = StateFile::read(cluster)? else {
        return Ok(None);
    };
    // A killed server leaves a file that says "ready".
    let alive = state
        .pid()
        .is_some_and(|pid| holder(pid, cluster) == Holder::Server);
    if !(alive && state.is_ready() && state.is_about(cluster)) {
        return Ok(None);
    }
    Ok(state.socket_directory())
}
