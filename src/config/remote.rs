//! The settings of a model behind an address.

use std::fmt;

use quire_models::{
    RemoteSettings,
    remote::{Key, SettingsError},
};
use serde::{Deserialize, Serialize};

use super::{Config, ConfigError};

/// Shown in place of a secret.
const HIDDEN: &str = "***";

/// A setting that is never shown: not in the log, not by `quire config show`.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { HIDDEN }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl Config {
    /// Where a remote model is; `None` when none is set up.
    pub fn remote(&self) -> Result<Option<RemoteSettings>, ConfigError> {
        if self.remote_url.trim().is_empty() {
            return Ok(None);
        }
        let settings = RemoteSettings::new(
            &self.remote_url,
            &self.remote_model,
            Key::new(&self.remote_key.0),
        );
        match settings {
            Ok(settings) => Ok(Some(settings.with_context(self.remote_context_tokens))),
            Err(error) => Err(ConfigError::Invalid {
                name: match error {
                    SettingsError::Url(_) => "remote_url",
                    SettingsError::Model => "remote_model",
                    SettingsError::Key => "remote_key",
                },
                reason: format!("cannot be used: {error}"),
            }),
        }
    }
}
