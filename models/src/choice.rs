//! Which engine is wanted for a job, as settings and uploads name it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, ModelKind};

/// An engine by its name, or a generative model of the catalog by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EngineChoice {
    /// The most capable engine that is set up: remote, then generate, then extractive.
    #[default]
    Auto,
    /// Quotes from the document.
    Extractive,
    /// A model in this process; which one, when it matters.
    Generate(Option<String>),
    /// A model behind an address.
    Remote,
}

/// A name that no engine and no model has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of {}", EngineChoice::names().join(", "))]
pub struct UnknownEngine;

impl EngineChoice {
    /// Every name that is understood.
    pub fn names() -> Vec<String> {
        let engines = ["auto", "extractive", "generate", "remote"];
        let models = Catalog::builtin().models().iter();
        let models = models.filter(|model| model.kind == ModelKind::Generate);
        let ids = models.map(|model| model.id.clone());
        engines.into_iter().map(str::to_owned).chain(ids).collect()
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        Ok(match name {
            "auto" => Self::Auto,
            "extractive" => Self::Extractive,
            "generate" => Self::Generate(None),
            "remote" => Self::Remote,
            id => {
                let model = Catalog::builtin().find(id);
                let model = model.filter(|model| model.kind == ModelKind::Generate);
                Self::Generate(Some(model.ok_or(UnknownEngine)?.id.clone()))
            }
        })
    }
}

impl TryFrom<String> for EngineChoice {
    type Error = UnknownEngine;

    fn try_from(name: String) -> Result<Self, UnknownEngine> {
        name.parse()
    }
}

impl From<EngineChoice> for String {
    fn from(choice: EngineChoice) -> Self {
        choice.to_string()
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Extractive => "extractive",
            Self::Generate(None) => "generate",
            Self::Generate(Some(id)) => id,
            Self::Remote => "remote",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back() {
        for name in EngineChoice::names() {
            assert_eq!(name.parse::<EngineChoice>().unwrap().to_string(), name);
        }
        for name in ["", "Extractive", "gpt-9", "all-MiniLM-L6-v2"] {
            let error = name.parse::<EngineChoice>().unwrap_err().to_string();
            assert!(error.contains("extractive, generate, remote"), "{error}");
        }
    }
}
