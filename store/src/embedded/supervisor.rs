//! The thread that starts the server, restarts it when it dies, and lives as long as it.
//!
//! It is a thread of its own because the server is tied to the *thread* that created it (see `parent_death`): one of a runtime's
//! blocking pool ends after some idle seconds and would take the server with it. It sleeps in the kernel until the server ends.
//!
//! A process id may be given to another process as soon as its owner is reaped. So reaping happens under the same lock as
//! signalling, and waiting happens without reaping.

use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::error::{AtPath as _, EmbeddedError};
use super::launch::{Launch, Life, Spawned};
use super::poll::poll;
use super::predecessor::{self, TAKEOVER_LIMIT};
use super::room;

/// How long a start may take. Replaying the log after a crash needs seconds (3.9 s after 150,000 rows, measured).
const READY_LIMIT: Duration = Duration::from_mins(2);

/// How a server is told to end, ever more sharply, and how long each takes at most. The first normally takes 72-230 ms; the
/// others lose nothing either, but the next start has to replay the log.
const STOP_LADDER: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_mins(1)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(10)),
];

/// Before another attempt while a predecessor's processes go away.
const RETRY_DELAY: Duration = Duration::from_millis(50);

/// Before a server that died is started again, doubled up to the second with every failure.
const RESTART_DELAY: Duration = Duration::from_millis(100);
const RESTART_DELAY_LIMIT: Duration = Duration::from_secs(5);

/// On a full disk: between two looks for space, and how long it is looked for before a start is tried all the same.
const ROOM_STEP: Duration = Duration::from_millis(500);
const ROOM_LIMIT: Duration = Duration::from_mins(1);

/// A running server that is kept running.
#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Supervisor {
    /// Starts the server and returns when it is ready.
    pub(super) fn start(launch: Launch) -> Result<Self, EmbeddedError> {
        let shared = Arc::new(Shared::default());
        let (started, start) = sync_channel(1);
        let (theirs, cluster) = (Arc::clone(&shared), launch.cluster());
        let thread = Builder::new()
            .name("postgres".to_owned())
            .spawn(move || supervise(&launch, &theirs, &started))
            .at("start a thread for", &cluster)?;
        match start.recv() {
            Ok(Ok(())) => Ok(Self { shared, thread }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(thread_ended()),
        }
    }

    /// Ends the server, and returns when it has ended.
    pub(super) fn stop(self) -> Result<(), EmbeddedError> {
        let mut waited = Duration::ZERO;
        for (signal, limit) in STOP_LADDER {
            self.shared.tell_to_stop(signal);
            if self.shared.wait_for_end(limit) {
                return self.thread.join().map_err(|_| thread_ended());
            }
            waited += limit;
            tracing::warn!(
                waited_s = waited.as_secs(),
                "the database server has not ended yet"
            );
        }
        Err(EmbeddedError::NotStopped {
            seconds: waited.as_secs(),
        })
    }
}

/// Starts a server that nobody supervises, and returns when it is ready.
#[cfg(feature = "testing")]
pub(super) fn start_detached(launch: &Launch) -> Result<(), EmbeddedError> {
    bring_up(launch, Life::Detached, &Shared::default()).map(drop)
}

/// What the supervising thread and the one that stops it share.
#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The server's process, from its start until it is reaped: the time in which it may be signalled.
    running: Option<Pid>,
    /// Set once, by `stop`.
    stopping: bool,
    /// Set once, when the thread is about to end.
    ended: bool,
}

impl Shared {
    fn adopt(&self, child: &Child) {
        let mut state = self.state.lock();
        state.running = Some(Pid::from_child(child));
        if state.stopping {
            signal(&state, Signal::INT);
        }
    }

    fn try_reap(&self, child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
        let mut state = self.state.lock();
        let status = child.try_wait();
        // An error means that somebody else reaped it: its number may be taken already.
        if !matches!(status, Ok(None)) {
            state.running = None;
        }
        status
    }

    fn kill(&self, child: &mut Child) -> std::io::Result<()> {
        let mut state = self.state.lock();
        child.kill()?;
        child.wait()?;
        state.running = None;
        Ok(())
    }

    fn tell_to_stop(&self, how: Signal) {
        let mut state = self.state.lock();
        state.stopping = true;
        signal(&state, how);
        self.changed.notify_all();
    }

    /// Waits until a stop is asked for, at most this long.
    fn wait_for_stop(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed
            .wait_while_for(&mut state, |state| !state.stopping, limit);
        state.stopping
    }

    fn wait_for_end(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        self.changed
            .wait_while_for(&mut state, |state| !state.ended, limit);
        state.ended
    }

    fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }
}

fn signal(state: &State, signal: Signal) {
    if let Some(pid) = state.running
        && let Err(error) = kill_process(pid, signal)
    {
        tracing::warn!(error = %error, "the database server could not be signalled");
    }
}

fn thread_ended() -> EmbeddedError {
    EmbeddedError::Exited {
        detail: "its thread panicked".to_owned(),
    }
}

fn supervise(launch: &Launch, shared: &Shared, started: &SyncSender<Result<(), EmbeddedError>>) {
    let first = bring_up(launch, Life::WithThread, shared);
    let (mut running, outcome) = match first {
        Ok(child) => (Some(child), Ok(())),
        Err(error) => (None, Err(error)),
    };
    started
        .send(outcome)
        .expect("the starter waits for exactly this");
    while let Some(child) = running {
        wait_for_exit(child, shared);
        running = restart(launch, shared);
    }
    shared.end();
}

/// Starts the server again after it died; `None` when it was meant to end.
fn restart(launch: &Launch, shared: &Shared) -> Option<Child> {
    let mut delay = RESTART_DELAY;
    while !shared.wait_for_stop(delay) {
        tracing::warn!("the database server ended unexpectedly, starting it again");
        match bring_up(launch, Life::WithThread, shared) {
            Ok(child) => return Some(child),
            Err(error) => {
                tracing::error!(error = %error, "the database server could not be started again");
            }
        }
        delay = (delay * 2).min(RESTART_DELAY_LIMIT);
        if wait_for_room(launch, shared) {
            delay = RESTART_DELAY;
        }
    }
    None
}

/// Waits while the disk is full, at most until a stop is asked for. Whether space has come.
fn wait_for_room(launch: &Launch, shared: &Shared) -> bool {
    let (begun, cluster) = (Instant::now(), launch.cluster());
    let mut waited = false;
    while room::is_short(&cluster) && begun.elapsed() < ROOM_LIMIT {
        waited = true;
        if shared.wait_for_stop(ROOM_STEP) {
            return false;
        }
    }
    waited && !room::is_short(&cluster)
}

/// Sleeps until the server ends.
fn wait_for_exit(mut child: Child, shared: &Shared) {
    let pid = Pid::from_child(&child);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), options) {}
    match shared.try_reap(&mut child) {
        Ok(Some(status)) => tracing::debug!(status = %status, "the database server ended"),
        Ok(None) => tracing::error!("the database server is still there after it ended"),
        Err(error) => {
            tracing::error!(error = %error, "the database server could not be waited for");
        }
    }
}

/// Starts the server and waits until it is ready. While remains of a killed one stand in its way it is tried again.
fn bring_up(launch: &Launch, life: Life, shared: &Shared) -> Result<Child, EmbeddedError> {
    let begun = Instant::now();
    loop {
        predecessor::settle(&launch.cluster(), &launch.user)?;
        launch.socket.sweep();
        let mut spawned = launch.spawn(life)?;
        shared.adopt(&spawned.child);
        if wait_until_ready(launch, &mut spawned, shared)? {
            let pid = spawned.child.id();
            tracing::info!(
                pid,
                duration_ms = begun.elapsed().as_millis() as u64,
                "the database server is ready"
            );
            return Ok(spawned.child);
        }
        // Its complaint about a lock file that it cannot write must not be taken for one that is held.
        if room::is_short(&launch.cluster()) {
            return Err(EmbeddedError::DiskFull {
                path: launch.cluster(),
            });
        }
        let detail = launch.last_words(&spawned);
        if !is_held(&detail)
            || begun.elapsed() > TAKEOVER_LIMIT
            || shared.wait_for_stop(RETRY_DELAY)
        {
            return Err(EmbeddedError::Exited { detail });
        }
    }
}

/// `false` when the server ended instead.
fn wait_until_ready(
    launch: &Launch,
    spawned: &mut Spawned,
    shared: &Shared,
) -> Result<bool, EmbeddedError> {
    let pid = Pid::from_child(&spawned.child);
    let outcome = poll(READY_LIMIT, || {
        if launch.is_ready(pid)? {
            return Ok(Some(true));
        }
        let exited = shared
            .try_reap(&mut spawned.child)
            .at("wait for the server of", &launch.cluster())?;
        Ok(exited.map(|_| false))
    })?;
    if outcome.is_none() {
        // It must not stand in the way of the next attempt.
        shared
            .kill(&mut spawned.child)
            .at("end the server of", &launch.cluster())?;
    }
    outcome.ok_or_else(|| EmbeddedError::NotReady {
        seconds: READY_LIMIT.as_secs(),
        log: launch.log(),
    })
}

/// Whether the server ended because it found another one's lock or memory. Its messages are in English: it runs with `LC_ALL=C`.
fn is_held(last_words: &str) -> bool {
    last_words.contains("lock file") || last_words.contains("pre-existing shared memory block")
}
