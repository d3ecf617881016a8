//! The processes of a self-test: a server and workers of their own, in a scratch directory that goes with them.

use std::{
    fs::{self, File, Permissions},
    io,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use quire_store::{
    Store, StoreError, StoreOptions,
    embedded::{self, EmbeddedError, EmbeddedState},
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::cli::client::{Client, ClientError};

/// A first start makes a database cluster: 2 s, on a loaded machine many times that.
const START_LIMIT: Duration = Duration::from_mins(2);
/// A server that is told to stop waits for its jobs and ends its database.
const STOP_LIMIT: Duration = Duration::from_secs(20);
/// Between two looks at a process or a job.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of the log that are shown when something went wrong.
const SHOWN_LINES: usize = 12;

/// Why the test could not be carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum TroupeError {
    #[error("the scratch directory cannot be used: {0}")]
    Scratch(#[from] io::Error),
    #[error("a process of the test ended early ({status}); the end of its log:\n{log}")]
    Ended { status: String, log: String },
    #[error("{0} took too long")]
    Late(&'static str),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

/// A server without workers, its workers, and their directory. Dropping it ends all of them and removes the directory.
pub(super) struct Troupe {
    scratch: TempDir,
    port: u16,
    server: Child,
    workers: Vec<Child>,
}

impl Troupe {
    /// Starts the server and waits until it answers; `None` for a store on its database.
    pub(super) async fn start() -> Result<(Self, Client, Store), TroupeError> {
        let scratch = tempfile::Builder::new()
            .prefix("quire-self-test-")
            .tempdir()?;
        // Root gives the database to another user, who has to pass through.
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o711))?;
        let port = free_port()?;
        let server = command(&scratch, port, "server")?
            .args(["serve", "--no-workers"])
            .spawn()?;
        let mut troupe = Self {
            scratch,
            port,
            server,
            workers: Vec::new(),
        };
        let client = Client::new(&format!("http://127.0.0.1:{port}"))?;
        let begun = Instant::now();
        while client.probe().await.is_err() {
            if let Some(status) = troupe.server.try_wait()? {
                return Err(troupe.ended(&status.to_string()));
            }
            if begun.elapsed() > START_LIMIT {
                return Err(TroupeError::Late("the start of the server"));
            }
            sleep(LOOK_EVERY).await;
        }
        let store = troupe.store().await?;
        Ok((troupe, client, store))
    }

    async fn store(&self) -> Result<Store, TroupeError> {
        let EmbeddedState::Running { url } = embedded::look(&self.data().join("postgres"))? else {
            return Err(TroupeError::Late("the start of the database"));
        };
        let options = StoreOptions {
            url,
            max_connections: 4,
            role: "quire-doctor",
        };
        Ok(Store::connect(&options).await?)
    }

    /// Where files for the test can be put.
    pub(super) fn directory(&self) -> PathBuf {
        self.scratch.path().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    /// Starts a worker process.
    pub(super) fn add_worker(&mut self) -> Result<(), TroupeError> {
        let worker = command(&self.scratch, self.port, "worker")?
            .arg("worker")
            .spawn()?;
        self.workers.push(worker);
        Ok(())
    }

    /// The worker process that registered under this name; the name begins with its process id.
    pub(super) fn worker_of(&mut self, name: &str) -> Option<Victim<'_>> {
        let pid: u32 = name
            .strip_prefix("quire-")?
            .split('-')
            .next()?
            .parse()
            .ok()?;
        let at = self.workers.iter().position(|worker| worker.id() == pid)?;
        Some(Victim { troupe: self, at })
    }

    /// Fails when a process has ended that was not killed by the test.
    pub(super) fn check(&mut self) -> Result<(), TroupeError> {
        let all = std::iter::once(&mut self.server).chain(&mut self.workers);
        for process in all {
            if let Some(status) = process.try_wait()? {
                return Err(self.ended(&status.to_string()));
            }
        }
        Ok(())
    }

    fn ended(&self, status: &str) -> TroupeError {
        let log = ["server", "worker"].map(|part| log_path(&self.scratch, part));
        let text = log
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .concat();
        let lines: Vec<_> = text.lines().collect();
        TroupeError::Ended {
            status: status.to_owned(),
            log: lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n"),
        }
    }

    /// Tells every process to end, and waits until they have and the directory is gone. Blocking.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.stop();
        // What is dropped in its place stops nothing any more.
        let scratch = std::mem::replace(&mut self.scratch, tempfile::tempdir()?);
        scratch.close()
    }

    fn stop(&mut self) {
        let mut processes: Vec<_> = self.workers.drain(..).collect();
        for worker in &mut processes {
            // Gone already, then.
            let _ = worker.kill();
            let _ = worker.wait();
        }
        send(&self.server, Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < STOP_LIMIT && matches!(self.server.try_wait(), Ok(None)) {
            pause();
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Troupe {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A worker that is going to be killed, perhaps.
pub(super) struct Victim<'a> {
    troupe: &'a mut Troupe,
    at: usize,
}

impl Victim<'_> {
    /// Stops it in the middle of whatever it does.
    pub(super) fn freeze(&self) {
        send(&self.troupe.workers[self.at], Signal::STOP);
    }

    /// Lets it go on.
    pub(super) fn thaw(&self) {
        send(&self.troupe.workers[self.at], Signal::CONT);
    }

    /// SIGKILL; returns its process id.
    pub(super) fn kill(self) -> Result<u32, TroupeError> {
        let mut worker = self.troupe.workers.remove(self.at);
        let signalled = worker.kill();
        worker.wait()?;
        signalled?;
        Ok(worker.id())
    }
}

fn command(scratch: &TempDir, port: u16, role: &str) -> Result<Command, TroupeError> {
    let mut program = Command::new(std::env::current_exe()?);
    let settings = std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        name.starts_with("QUIRE_") && name != "QUIRE_PARSE"
    });
    for (name, _) in settings {
        program.env_remove(name);
    }
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_path(scratch, role))?;
    program
        .env_remove("DATABASE_URL")
        .env("QUIRE_LOG", "warn")
        // One job at a time in each process, so that there is always something to be done.
        .env("QUIRE_WORKERS", "1")
        .env("QUIRE_MIN_FREE_BYTES", "0")
        .arg("--data-dir")
        .arg(scratch.path().join("data"))
        .args(["--port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    Ok(program)
}

fn log_path(scratch: &TempDir, role: &str) -> PathBuf {
    scratch.path().join(format!("{role}.log"))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn send(process: &Child, signal: Signal) {
    // A process that has ended needs no signal; it is not reaped yet, so its number is nobody else's.
    let _ = kill_process(Pid::from_child(process), signal);
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for a child at the end of the program, off the async threads"
)]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}
