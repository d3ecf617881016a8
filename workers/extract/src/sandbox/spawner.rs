//! The thread that starts children and collects dead ones.
//!
//! A child dies when the *thread* that started it ends (`PR_SET_PDEATHSIG` works by thread), so children must not be started from
//! threads of a caller, which come and go. This thread lives as long as the pool.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use super::child_process::ChildProcess;
use crate::error::ParseError;
use crate::request::CancelFlag;

/// Longest wait for a new child without a look at the cancel flag.
const TICK: Duration = Duration::from_millis(25);

/// Children that wait for a job, shared between the pool and its spawner.
pub(super) type IdleChildren = Arc<Mutex<Vec<ChildProcess>>>;

type Reply = Result<ChildProcess, ParseError>;

enum Order {
    /// Start a child and hand it over.
    Now(SyncSender<Reply>),
    /// Start a child for later, unless one is idle.
    Spare,
    /// Collect a child that was killed.
    Bury(Box<ChildProcess>),
}

/// What to start, and how.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) program: PathBuf,
    pub(super) memory_bytes: u64,
    pub(super) require_sandbox: bool,
}

/// Handle to the thread; dropping it ends the thread and with it every child.
#[derive(Debug)]
pub(super) struct Spawner {
    /// `None` only while the spawner is dropped.
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Spawner {
    /// Starts the thread. `slots` callers may wait for it at a time.
    pub(super) fn start(
        recipe: Recipe,
        slots: usize,
        idle: IdleChildren,
    ) -> Result<Self, ParseError> {
        // Per slot at most one child to start, one spare and one to bury are under way.
        let (orders, receiver) = mpsc::sync_channel(3 * slots + 1);
        let thread = thread::Builder::new()
            .name("quire-parse-spawner".to_owned())
            .spawn(move || serve(&recipe, &receiver, &idle))
            .map_err(|error| {
                ParseError::Unavailable(format!("no thread for starting parsers: {error}"))
            })?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// A new child.
    pub(super) fn spawn(&self, cancel: &CancelFlag) -> Reply {
        let (reply, answer) = mpsc::sync_channel(1);
        self.order(Order::Now(reply));
        loop {
            match answer.recv_timeout(TICK) {
                Ok(child) => return child,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ParseError::Unavailable(
                        "the thread that starts parsers has ended".to_owned(),
                    ));
                }
                Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                    return Err(ParseError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Asks for a spare child; nobody waits for it.
    pub(super) fn order_spare(&self) {
        self.order(Order::Spare);
    }

    /// Takes a killed child, whose memory may take the kernel a while to free.
    pub(super) fn bury(&self, child: ChildProcess) {
        self.order(Order::Bury(Box::new(child)));
    }

    fn order(&self, order: Order) {
        // A closed channel shows to `spawn` as a missing answer and does not matter to the others.
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(recipe: &Recipe, orders: &Receiver<Order>, idle: &IdleChildren) {
    for order in orders {
        match order {
            Order::Now(reply) => {
                // A caller that was cancelled meanwhile leaves its child to the next one.
                if let Err(mpsc::SendError(Ok(child))) = reply.send(spawn(recipe)) {
                    idle.lock().push(child);
                }
            }
            Order::Spare => {
                if idle.lock().is_empty()
                    && let Ok(child) = spawn(recipe)
                {
                    // Under the used ones: those have their fonts and pages of memory warm.
                    idle.lock().insert(0, child);
                }
            }
            Order::Bury(child) => drop(child),
        }
    }
}

fn spawn(recipe: &Recipe) -> Reply {
    let child = ChildProcess::spawn(&recipe.program, recipe.memory_bytes)?;
    if recipe.require_sandbox && child.sandbox.degraded {
        let missing = child.sandbox.missing.join(", ");
        return Err(ParseError::Unavailable(format!(
            "a full sandbox is required and this kernel lacks: {missing}"
        )));
    }
    Ok(child)
}
