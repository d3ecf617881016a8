//! The pool of parser children: the only way to read an untrusted file.
//!
//! One child serves one job at a time and as many jobs as it stays healthy for. One more than is busy is kept warm, so that a job
//! never waits for a start. A child that dies, lies, panics, is killed, grows or gets old is replaced; the next job never meets it.
//! The pool starts no more children at a time than it has slots, and blocks callers beyond that.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::child_process::ChildProcess;
use super::draw::{self, Drawn};
use super::job::{self, Ending, Job};
use super::spawner::{IdleChildren, Recipe, Spawner};
use super::status::SandboxStatus;
use super::watch::Deadlines;
use crate::document::{Document, Table};
use crate::error::ParseError;
use crate::media::MediaType;
use crate::ocr::Ocr;
use crate::picture::{Picture, PictureRequest};
use crate::query::{Query, QueryResult, TypedQuery};
use crate::request::{CancelFlag, ParseProgress, ParseRequest};

/// File name of the child's program.
const PROGRAM: &str = "quire-parse";

/// Names another program; for tests and packagers.
const PROGRAM_VARIABLE: &str = "QUIRE_PARSE";

const MIB: u64 = 1024 * 1024;

/// Jobs after which a child is replaced: leaks of a parser stay small.
const MAX_JOBS: u32 = 1_000;

/// Age at which a child is replaced.
const MAX_AGE: Duration = Duration::from_mins(10);

/// Memory at which a child is replaced after its job; what one big file took is then given back.
const MAX_RESIDENT: u64 = 256 * MIB;

/// Longest wait for a slot without a look at the cancel flag.
const TICK: Duration = Duration::from_millis(25);

/// How a pool works.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The child's program, see [`find_program`].
    pub program: PathBuf,
    /// Jobs at a time.
    pub slots: usize,
    /// Address space of a child.
    pub memory_bytes: u64,
    /// Longest waiting time for any file; a small one starts with less and earns more with every page.
    pub wall: Duration,
    /// Longest time between two signs of life.
    pub idle_progress: Duration,
    /// Most bytes of text in a document.
    pub output_bytes: u64,
    /// Whether to refuse work on a kernel that cannot lock a child in.
    pub require_sandbox: bool,
}

impl PoolConfig {
    /// The limits that held every hostile file measured (research/reliability.md 3.3, 3.4).
    pub fn with_program(program: PathBuf, slots: usize) -> Self {
        Self {
            program,
            slots: slots.max(1),
            memory_bytes: 768 * MIB,
            wall: Duration::from_mins(2),
            idle_progress: Duration::from_secs(30),
            output_bytes: 64 * MIB,
            require_sandbox: false,
        }
    }
}

/// Finds `quire-parse`: `$QUIRE_PARSE`, else beside this program, else in the folder above (tests run from `target/debug/deps`).
pub fn find_program() -> Result<PathBuf, ParseError> {
    if let Some(path) = env::var_os(PROGRAM_VARIABLE) {
        return Ok(PathBuf::from(path));
    }
    let current = env::current_exe()?;
    let folders = current.ancestors().skip(1).take(2);
    let found = folders
        .map(|folder| folder.join(PROGRAM))
        .find(|path| path.is_file());
    found.ok_or_else(|| {
        let folder = current
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string();
        ParseError::Unavailable(format!(
            "{PROGRAM} is not in {folder}; set {PROGRAM_VARIABLE} to its path"
        ))
    })
}

/// A pool of parser children.
#[derive(Debug)]
pub struct ParserPool {
    config: PoolConfig,
    ocr: Ocr,
    idle: IdleChildren,
    free_slots: Mutex<usize>,
    slot_freed: Condvar,
    /// Declared last: its thread ends after everything that might order from it.
    spawner: Spawner,
    sandbox: SandboxStatus,
}

impl ParserPool {
    /// Starts the pool with one warm child.
    pub fn start(config: PoolConfig) -> Result<Self, ParseError> {
        let idle = IdleChildren::default();
        let recipe = Recipe {
            program: config.program.clone(),
            memory_bytes: config.memory_bytes,
            require_sandbox: config.require_sandbox,
        };
        let spawner = Spawner::start(recipe, config.slots, Arc::clone(&idle))?;
        let first = spawner.spawn(&CancelFlag::default())?;
        let sandbox = first.sandbox.clone();
        if !sandbox.missing.is_empty() {
            tracing::warn!(sandbox.missing = ?sandbox.missing, sandbox.degraded, "the parser sandbox is not complete on this kernel");
        }
        idle.lock().push(first);
        let free_slots = Mutex::new(config.slots);
        Ok(Self {
            config,
            ocr: Ocr::find(),
            idle,
            free_slots,
            slot_freed: Condvar::new(),
            spawner,
            sandbox,
        })
    }

    /// How far children can lock themselves in on this kernel.
    pub fn sandbox_status(&self) -> SandboxStatus {
        self.sandbox.clone()
    }

    /// Reads `file`. Blocks until there is a document or an error; `on` is told how far it is. A cancel acts within 100 ms.
    ///
    /// A job whose child dies is tried once more in a fresh child, if the first had served other jobs before.
    pub fn parse(
        &self,
        file: &File,
        request: &ParseRequest,
        cancel: &CancelFlag,
        on: &mut dyn FnMut(ParseProgress),
    ) -> Result<Document, ParseError> {
        let job = Job {
            config: &self.config,
            ocr: &self.ocr,
            file,
            request,
            query: None,
            cancel,
        };
        self.serve(&job, on)?.into_outcome()
    }

    /// Computes `query` over every row of the table in `file`, which was read as `media` and gave `table`. Blocks and reports as
    /// [`ParserPool::parse`] does.
    pub fn query(
        &self,
        file: &File,
        (media, table): (MediaType, &Table),
        query: &Query,
        cancel: &CancelFlag,
        on: &mut dyn FnMut(ParseProgress),
    ) -> Result<QueryResult, ParseError> {
        let typed = TypedQuery::new(query, table)?;
        let job = Job {
            config: &self.config,
            ocr: &self.ocr,
            file,
            request: &ParseRequest::new(media),
            query: Some((&typed, table.rows)),
            cancel,
        };
        self.serve(&job, on)?.into_result()
    }

    fn serve(
        &self,
        job: &Job<'_>,
        on: &mut dyn FnMut(ParseProgress),
    ) -> Result<Ending, ParseError> {
        let _slot = self.take_slot(job.cancel)?;
        let child = self.take_child(job.cancel)?;
        let was_used = child.jobs > 0;
        let ending = self.run(child, job, on);
        if was_used && ending.is_death() {
            return Ok(self.run(self.spawner.spawn(job.cancel)?, job, on));
        }
        Ok(ending)
    }

    /// Draws one page of `file`. Blocks until there is a picture or an error. A cancel acts within 100 ms.
    pub fn draw(
        &self,
        file: &File,
        request: &PictureRequest,
        cancel: &CancelFlag,
    ) -> Result<Picture, ParseError> {
        let _slot = self.take_slot(cancel)?;
        let mut child = self.take_child(cancel)?;
        let deadlines = Deadlines {
            wall: self.config.wall,
            longest_wall: self.config.wall,
            silence: self.config.idle_progress,
        };
        let Drawn { outcome, reusable } = draw::run(&mut child, file, request, deadlines, cancel);
        self.put_back(child, reusable);
        outcome
    }

    fn run(
        &self,
        mut child: ChildProcess,
        job: &Job<'_>,
        on: &mut dyn FnMut(ParseProgress),
    ) -> Ending {
        let ending = job::run(&mut child, job, on);
        self.put_back(child, ending.reusable);
        ending
    }

    /// Keeps the child for the next job, or replaces it.
    fn put_back(&self, mut child: ChildProcess, reusable: bool) {
        if reusable && !is_worn(&child) {
            self.idle.lock().push(child);
            return;
        }
        tracing::debug!(
            child.pid = child.id(),
            child.jobs = child.jobs,
            "a parser child is replaced"
        );
        child.kill();
        self.spawner.bury(child);
        self.spawner.order_spare();
    }

    fn take_slot(&self, cancel: &CancelFlag) -> Result<Slot<'_>, ParseError> {
        let mut free = self.free_slots.lock();
        while *free == 0 {
            if cancel.is_cancelled() {
                return Err(ParseError::Cancelled);
            }
            self.slot_freed.wait_for(&mut free, TICK);
        }
        *free -= 1;
        Ok(Slot { pool: self })
    }

    /// An idle child, else a new one; and a spare is ordered when none is left.
    fn take_child(&self, cancel: &CancelFlag) -> Result<ChildProcess, ParseError> {
        let ready = self.take_idle();
        let child = match ready {
            Some(child) => child,
            None => self.spawner.spawn(cancel)?,
        };
        if self.idle.lock().is_empty() {
            self.spawner.order_spare();
        }
        Ok(child)
    }

    /// An idle child that still lives.
    fn take_idle(&self) -> Option<ChildProcess> {
        loop {
            let mut child = self.idle.lock().pop()?;
            if child.is_ready() {
                return Some(child);
            }
        }
    }
}

fn is_worn(child: &ChildProcess) -> bool {
    child.jobs >= MAX_JOBS
        || child.born.elapsed() >= MAX_AGE
        || child.resident_bytes() >= MAX_RESIDENT
}

/// One of the pool's slots; free again when dropped.
struct Slot<'a> {
    pool: &'a ParserPool,
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.pool.free_slots.lock() += 1;
        self.pool.slot_freed.notify_one();
    }
}
