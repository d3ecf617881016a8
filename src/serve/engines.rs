//! The answering engine of this process: lexical at once, with embeddings as soon as the model is loaded.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use quire_models::{Extractive, ModelDir, ModelError, open_default_embedder};
use quire_workers::Engines;

use crate::config::Config;

/// How far the default model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// Being verified and read; answers are lexical meanwhile.
    Loading = 0,
    /// In use.
    Ready = 1,
    /// Not installed; answers stay lexical.
    NotInstalled = 2,
    /// Refused; the log says why, answers stay lexical.
    Failed = 3,
}

impl ModelState {
    /// Word for `/health`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::NotInstalled => "not_installed",
            Self::Failed => "failed",
        }
    }
}

/// The load of the default model, which goes on beside the first requests.
#[derive(Clone)]
pub struct Loading {
    state: Arc<AtomicU8>,
}

impl Loading {
    /// How far it is.
    pub fn state(&self) -> ModelState {
        match self.state.load(Ordering::Acquire) {
            0 => ModelState::Loading,
            1 => ModelState::Ready,
            2 => ModelState::NotInstalled,
            _ => ModelState::Failed,
        }
    }

    /// A state that never changes, for processes and tests without a model.
    pub fn fixed(state: ModelState) -> Self {
        Self {
            state: Arc::new(AtomicU8::new(state as u8)),
        }
    }

    fn set(&self, state: ModelState) {
        self.state.store(state as u8, Ordering::Release);
    }
}

/// Starts with the lexical engine and loads the default model on a thread of its own.
pub fn start(config: &Config) -> (Arc<Engines>, Loading) {
    #[cfg(debug_assertions)]
    if let Some(script) = script() {
        let engines = Arc::new(Engines::new(Arc::new(script)));
        return (engines, Loading::fixed(ModelState::NotInstalled));
    }
    let engines = Arc::new(Engines::new(Arc::new(Extractive::new(None))));
    let loading = Loading::fixed(ModelState::Loading);
    let dir = ModelDir::new(&config.models_dir);
    let (target, state) = (Arc::clone(&engines), loading.clone());
    let thread = std::thread::Builder::new()
        .name("quire-model-load".into())
        .spawn(move || state.set(load(&dir, &target)));
    if let Err(error) = thread {
        tracing::error!(%error, "the model cannot be loaded");
        loading.set(ModelState::Failed);
    }
    (engines, loading)
}

/// What a test tells the program to answer with; a released program has no such engine.
#[cfg(debug_assertions)]
fn script() -> Option<quire_models::scripted::Scripted> {
    let script = std::env::var("QUIRE_TEST_ENGINE").ok()?;
    match script.parse() {
        Ok(script) => Some(script),
        Err(error) => {
            tracing::error!(error, "QUIRE_TEST_ENGINE is ignored");
            None
        }
    }
}

fn load(dir: &ModelDir, engines: &Engines) -> ModelState {
    let started = std::time::Instant::now();
    match open_default_embedder(dir) {
        Ok(embedder) => {
            tracing::info!(
                model.id = embedder.id(),
                duration_ms = started.elapsed().as_millis() as u64,
                "model loaded"
            );
            engines.replace(Arc::new(Extractive::new(Some(embedder))));
            ModelState::Ready
        }
        Err(ModelError::NotInstalled { model }) => {
            tracing::warn!(
                model.id = model,
                "model is not installed, answers are found by words only; `quire models pull` installs it"
            );
            ModelState::NotInstalled
        }
        Err(error) => {
            tracing::error!(%error, "model cannot be used, answers are found by words only");
            ModelState::Failed
        }
    }
}
