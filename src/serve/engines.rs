//! The answering engines of this process: lexical at once, with embeddings as soon as the model is loaded; a remote model
//! and a local one beside it, when they are set up.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use quire_models::{
    Embedder, EngineChoice, Extractive, Grounded, ModelDir, ModelError, Remote,
    open_default_embedder, remote::BreakerState,
};
use quire_workers::{Engines, Slot};

use crate::config::Config;

/// How far a model is.
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

/// The load of the default model, which goes on beside the first requests, and what else answers.
#[derive(Clone)]
pub struct Loading {
    state: Arc<AtomicU8>,
    usual: EngineChoice,
    remote: Option<Arc<Remote>>,
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
            usual: EngineChoice::Extractive,
            remote: None,
        }
    }

    /// What jobs get that name no engine.
    pub fn usual(&self) -> &EngineChoice {
        &self.usual
    }

    /// How the remote model is: `not_set_up`, `ready`, `resting` after failures, `on_trial` before it is trusted again.
    pub fn remote(&self) -> &'static str {
        match self.remote.as_ref().map(|remote| remote.state()) {
            None => "not_set_up",
            Some(BreakerState::Closed) => "ready",
            Some(BreakerState::Open) => "resting",
            Some(BreakerState::HalfOpen) => "on_trial",
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
    engines.set_usual(config.engine.clone());
    // The settings were checked when they were loaded.
    let remote = config
        .remote()
        .ok()
        .flatten()
        .map(|settings| Arc::new(Remote::new(settings)));
    let loading = Loading {
        usual: config.engine.clone(),
        remote: remote.clone(),
        ..Loading::fixed(ModelState::Loading)
    };
    install(&engines, remote.as_ref(), None);
    let dir = ModelDir::new(&config.models_dir);
    let (target, state) = (Arc::clone(&engines), loading.clone());
    let thread = std::thread::Builder::new()
        .name("quire-model-load".into())
        .spawn(move || state.set(load(&dir, &target, remote.as_ref())));
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

fn load(dir: &ModelDir, engines: &Engines, remote: Option<&Arc<Remote>>) -> ModelState {
    let started = std::time::Instant::now();
    match open_default_embedder(dir) {
        Ok(embedder) => {
            tracing::info!(
                model.id = embedder.id(),
                duration_ms = started.elapsed().as_millis() as u64,
                "model loaded"
            );
            install(engines, remote, Some(&embedder));
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

/// Puts engines in use that rank with this embedder, or by words.
fn install(engines: &Engines, remote: Option<&Arc<Remote>>, embedder: Option<&Arc<dyn Embedder>>) {
    engines.replace(Arc::new(Extractive::new(embedder.cloned())));
    engines.set_remote(match remote {
        Some(remote) => {
            let generator: Arc<Remote> = Arc::clone(remote);
            Slot::There(Arc::new(Grounded::new(generator, embedder.cloned())))
        }
        None => Slot::Missing("no remote_url is set".to_owned()),
    });
}
