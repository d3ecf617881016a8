//! How far a child could lock itself in.

use serde::{Deserialize, Serialize};

/// How far a child could lock itself in on this kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxStatus {
    /// Whether a whole layer is missing; a layer that is merely partial is named in `missing` only.
    pub degraded: bool,
    /// What is missing, for a person, such as `landlock`.
    pub missing: Vec<String>,
}

impl SandboxStatus {
    /// Notes that a whole layer is missing.
    pub fn lacks(&mut self, layer: &str) {
        self.degraded = true;
        self.missing.push(layer.to_owned());
    }

    /// Notes that a layer is there but not complete.
    pub fn partly(&mut self, layer: &str) {
        self.missing.push(layer.to_owned());
    }
}
