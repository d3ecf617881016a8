//! The directory with the model files: `<root>/<model id>/<file>`.
//!
//! The same layout serves `quire pull` and a person who copies files in by hand; both are verified alike before anything is loaded.

use std::path::{Path, PathBuf};

use crate::cancel::CancelFlag;
use crate::catalog::{FileSpec, ModelSpec};
use crate::digest::content_of;
use crate::error::ModelError;
use crate::pull::{self, PullOptions, PullProgress};

/// What is there of a model, judged by names and lengths only; [`ModelDir::verify`] reads the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelStatus {
    /// At least one file is absent.
    Missing,
    /// All files are there with an accepted length.
    Installed,
    /// A file has a length that no accepted version has.
    Damaged,
}

/// The models of one installation.
#[derive(Clone, Debug)]
pub struct ModelDir {
    root: PathBuf,
}

impl ModelDir {
    /// The models below this directory, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory given to [`ModelDir::new`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the files of a model are.
    pub fn folder(&self, model: &ModelSpec) -> PathBuf {
        self.root.join(&model.id)
    }

    /// What is there of a model.
    pub fn status(&self, model: &ModelSpec) -> ModelStatus {
        let folder = self.folder(model);
        let length = |file: &FileSpec| {
            std::fs::metadata(folder.join(&file.name))
                .ok()
                .filter(std::fs::Metadata::is_file)
                .map(|meta| meta.len())
        };
        let lengths: Vec<_> = model
            .files
            .iter()
            .map(|file| (file, length(file)))
            .collect();
        if lengths
            .iter()
            .any(|(file, length)| length.is_some_and(|length| !file.accepts_length(length)))
        {
            return ModelStatus::Damaged;
        }
        if lengths.iter().any(|(_, length)| length.is_none()) {
            return ModelStatus::Missing;
        }
        ModelStatus::Installed
    }

    /// Reads all files of a model and compares them with the catalog.
    pub fn verify(&self, model: &ModelSpec) -> Result<(), ModelError> {
        let folder = self.folder(model);
        if model
            .files
            .iter()
            .any(|file| !folder.join(&file.name).is_file())
        {
            return Err(ModelError::NotInstalled {
                model: model.id.clone(),
            });
        }
        model.files.iter().try_for_each(|file| {
            verify_file(file, &folder.join(&file.name), &CancelFlag::default())
        })
    }

    /// Deletes the files of a model, also unfinished downloads. False when there was nothing.
    pub fn remove(&self, model: &ModelSpec) -> Result<bool, ModelError> {
        let folder = self.folder(model);
        let is_link = match std::fs::symlink_metadata(&folder) {
            Ok(meta) => meta.is_symlink(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(ModelError::io(&folder)(error)),
        };
        // Of a link only the link is ours.
        let removed = if is_link {
            std::fs::remove_file(&folder)
        } else {
            std::fs::remove_dir_all(&folder)
        };
        removed.map_err(ModelError::io(&folder))?;
        Ok(true)
    }

    /// Fetches what is missing or damaged of a model, from the first source that has it. Blocks, for minutes; see [`pull`].
    pub fn pull(
        &self,
        model: &ModelSpec,
        options: &PullOptions,
        progress: &mut dyn FnMut(PullProgress),
    ) -> Result<(), ModelError> {
        pull::pull(&self.folder(model), model, options, progress)
    }
}

/// Whether a file is an accepted version of what the catalog names.
pub(crate) fn verify_file(
    file: &FileSpec,
    path: &Path,
    cancel: &CancelFlag,
) -> Result<(), ModelError> {
    let length = std::fs::metadata(path).map_err(ModelError::io(path))?.len();
    if !file.accepts_length(length) {
        return Err(ModelError::damaged(
            path,
            format!("has {length} bytes, expected {}", file.max_bytes()),
        ));
    }
    let content = content_of(path, cancel)?;
    if !file.accepts(&content) {
        return Err(ModelError::damaged(
            path,
            format!(
                "has SHA-256 {}, which the catalog does not list",
                content.sha256
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Catalog, ModelKind};

    /// The default model with one small file instead of its own: "abc".
    fn small_model() -> ModelSpec {
        let file = r#"{"name":"model.safetensors","accepted":[{"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","bytes":3}]}"#;
        let files = vec![serde_json::from_str(file).unwrap()];
        ModelSpec {
            files,
            ..Catalog::builtin()
                .default_of(ModelKind::Embed)
                .unwrap()
                .clone()
        }
    }

    fn installed(text: &str) -> (tempfile::TempDir, ModelDir, ModelSpec) {
        let root = tempfile::tempdir().unwrap();
        let (dir, model) = (ModelDir::new(root.path()), small_model());
        std::fs::create_dir(dir.folder(&model)).unwrap();
        std::fs::write(dir.folder(&model).join("model.safetensors"), text).unwrap();
        (root, dir, model)
    }

    #[test]
    fn an_empty_directory_has_no_model() {
        let root = tempfile::tempdir().unwrap();
        let dir = ModelDir::new(root.path().join("not-yet"));
        assert_eq!(dir.status(&small_model()), ModelStatus::Missing);
        assert!(matches!(
            dir.verify(&small_model()),
            Err(ModelError::NotInstalled { .. })
        ));
    }

    #[test]
    fn the_right_bytes_verify() {
        let (_root, dir, model) = installed("abc");
        assert_eq!(dir.status(&model), ModelStatus::Installed);
        dir.verify(&model).unwrap();
    }

    #[test]
    fn a_removed_model_is_gone_and_a_link_leaves_its_target() {
        let (root, dir, model) = installed("abc");
        assert!(dir.remove(&model).unwrap());
        assert_eq!(dir.status(&model), ModelStatus::Missing);
        assert!(!dir.remove(&model).unwrap());
        let elsewhere = root.path().join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("model.safetensors"), "abc").unwrap();
        std::os::unix::fs::symlink(&elsewhere, dir.folder(&model)).unwrap();
        assert!(dir.remove(&model).unwrap());
        assert!(elsewhere.join("model.safetensors").is_file());
    }

    #[test]
    fn wrong_bytes_of_the_right_length_are_found_by_reading() {
        let (_root, dir, model) = installed("abd");
        assert_eq!(dir.status(&model), ModelStatus::Installed);
        assert!(
            matches!(dir.verify(&model), Err(ModelError::Damaged { path, .. }) if path.ends_with("model.safetensors"))
        );
    }

    #[test]
    fn a_wrong_length_is_damage_at_first_sight() {
        let (_root, dir, model) = installed("ab");
        assert_eq!(dir.status(&model), ModelStatus::Damaged);
        assert!(matches!(
            dir.verify(&model),
            Err(ModelError::Damaged { .. })
        ));
    }
}
