//! What every handler of one worker process shares.

use std::sync::Arc;

use quire_extract::ParserPool;
use quire_store::{FileStore, Store};
use tokio_util::task::TaskTracker;

use crate::{JobLimits, engines::Engines, quarantine::Quarantine, running::Running};

/// Shared by all handlers; lives as long as the workers.
pub(crate) struct Context {
    /// Jobs, events and the queue.
    pub(crate) store: Store,
    /// Uploaded files.
    pub(crate) files: FileStore,
    /// Engines that answer prompts.
    pub(crate) engines: Arc<Engines>,
    /// Sandboxed parser processes.
    pub(crate) parser: Arc<ParserPool>,
    /// The registered name of this process, which claims are made in.
    pub(crate) worker: String,
    /// What the names of this process's apalis workers begin with.
    pub(crate) apalis_prefix: String,
    /// Tesseract language codes.
    pub(crate) ocr_languages: Vec<String>,
    /// How long jobs may take.
    pub(crate) limits: JobLimits,
    /// Attempts that run now.
    pub(crate) running: Running,
    /// Keeps suspects apart.
    pub(crate) quarantine: Quarantine,
    /// Tasks of the running attempts; the graceful stop waits for them.
    pub(crate) attempts: TaskTracker,
    /// Stages that did not stop when they were asked to; nobody waits for them.
    pub(crate) left_behind: TaskTracker,
}
