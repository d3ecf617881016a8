//! The answering engines of this process: lexical at once, with embeddings as soon as the model is loaded; a remote model
//! and a local one beside it, when they are set up.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use quire_models::{
    Catalog, Embedder, EngineChoice, Extractive, Generate, GenerateOptions, Generator, Grounded,
    ModelDir, ModelError, ModelKind, ModelSpec, Remote, open_default_captioner, open_embedder,
    remote::BreakerState,
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
    /// How far the generative model is.
    generate: Arc<AtomicU8>,
    usual: EngineChoice,
    remote: Option<Arc<Remote>>,
}

impl Loading {
    /// How far it is.
    pub fn state(&self) -> ModelState {
        read(&self.state)
    }

    /// How far the generative model is.
    pub fn generate(&self) -> ModelState {
        read(&self.generate)
    }

    /// A state that never changes, for processes and tests without a model.
    pub fn fixed(state: ModelState) -> Self {
        Self {
            state: Arc::new(AtomicU8::new(state as u8)),
            generate: Arc::new(AtomicU8::new(state as u8)),
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

fn read(state: &AtomicU8) -> ModelState {
    match state.load(Ordering::Acquire) {
        0 => ModelState::Loading,
        1 => ModelState::Ready,
        2 => ModelState::NotInstalled,
        _ => ModelState::Failed,
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
    let (target, state, usual) = (Arc::clone(&engines), loading.clone(), config.engine.clone());
    let embedder = config.embedder.clone();
    let thread = std::thread::Builder::new()
        .name("quire-model-load".into())
        .spawn(move || {
            let embedder = load(&dir, &embedder, &state);
            if embedder.is_some() {
                install(&target, remote.as_ref(), embedder.as_ref());
            }
            load_generative(&dir, &usual, &target, embedder, &state);
            load_captioner(&dir, &target);
        });
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

fn load(dir: &ModelDir, id: &str, loading: &Loading) -> Option<Arc<dyn Embedder>> {
    let started = std::time::Instant::now();
    // The settings were checked when they were loaded.
    let model = Catalog::builtin().find(id);
    let opened = model.ok_or_else(|| ModelError::Unknown(id.to_owned()));
    match opened.and_then(|model| open_embedder(dir, model)) {
        Ok(embedder) => {
            tracing::info!(
                model.id = embedder.id(),
                duration_ms = started.elapsed().as_millis() as u64,
                "model loaded"
            );
            loading.set(ModelState::Ready);
            Some(embedder)
        }
        Err(ModelError::NotInstalled { model }) => {
            tracing::warn!(
                model.id = model,
                "model is not installed, answers are found by words only; `quire models pull MODEL` installs it"
            );
            loading.set(ModelState::NotInstalled);
            None
        }
        Err(error) => {
            tracing::error!(%error, "model cannot be used, answers are found by words only");
            loading.set(ModelState::Failed);
            None
        }
    }
}

/// Has pictures described, when somebody has pulled the model for it.
fn load_captioner(dir: &ModelDir, engines: &Engines) {
    match open_default_captioner(dir) {
        Ok(captioner) => {
            tracing::info!(model.id = captioner.id(), "pictures are described");
            engines.set_captioner(captioner);
        }
        Err(ModelError::NotInstalled { .. }) => {}
        Err(error) => {
            tracing::error!(%error, "pictures are not described: the model cannot be used");
        }
    }
}

/// Puts the generative model in use that the settings name, or the default one, when it is installed. Its weights are read at the
/// first request.
fn load_generative(
    dir: &ModelDir,
    usual: &EngineChoice,
    engines: &Engines,
    embedder: Option<Arc<dyn Embedder>>,
    loading: &Loading,
) {
    let Some(model) = generative(usual) else {
        return;
    };
    let state = match Generate::open(dir, model, GenerateOptions::default()) {
        Ok(generate) => {
            let generator: Arc<dyn Generator> = Arc::new(generate);
            let engine = Arc::new(Grounded::new(generator, embedder));
            engines.set_generate(&model.id, Slot::There(engine));
            tracing::info!(model.id = model.id, "generative model is in use");
            ModelState::Ready
        }
        Err(ModelError::NotInstalled { model }) => {
            let reason = format!("`quire models pull {model}` installs its model");
            engines.set_generate(&model, Slot::Missing(reason));
            ModelState::NotInstalled
        }
        Err(error) => {
            tracing::error!(%error, model.id = model.id, "generative model cannot be used");
            let reason = "its model cannot be used, as the log of the server says";
            engines.set_generate(&model.id, Slot::Missing(reason.to_owned()));
            ModelState::Failed
        }
    };
    loading.generate.store(state as u8, Ordering::Release);
}

fn generative(usual: &EngineChoice) -> Option<&'static ModelSpec> {
    let catalog = Catalog::builtin();
    match usual {
        EngineChoice::Generate(Some(id)) => catalog.find(id),
        _ => catalog.default_of(ModelKind::Generate),
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
