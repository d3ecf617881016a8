//! Where the model is and how patiently it is asked.

use std::fmt;
use std::time::Duration;

use ureq::http::Uri;

use crate::ground::Limits;

/// A server in the same building connects in milliseconds; a distant one takes a second or two.
const CONNECT: Duration = Duration::from_secs(5);
/// Before the first word a server may queue the request, load the model and read a long prompt.
const FIRST_TOKEN: Duration = Duration::from_mins(2);
/// Between two words; the slowest useful model writes one a second.
const BETWEEN_TOKENS: Duration = Duration::from_secs(30);
/// Tries of one request.
const TRIES: u32 = 4;
/// Window of the common small models, when nothing else is said.
const CONTEXT: usize = 8_192;
/// Tokens of passages shown for one question.
const PASSAGES: usize = 3_000;
/// Tokens of a reply.
const REPLY: usize = 1_024;

/// Where the model is and how patiently it is asked.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// Address of the chat endpoint.
    pub(super) url: String,
    /// Name of the model on the server.
    pub(super) model: String,
    pub(super) key: Option<Key>,
    pub(super) limits: Limits,
    pub(super) connect: Duration,
    pub(super) first_token: Duration,
    pub(super) between_tokens: Duration,
    pub(super) tries: u32,
}

/// A secret that shows itself nowhere.
#[derive(Clone)]
pub struct Key(String);

impl Key {
    /// Wraps a secret; none when there is nothing in it.
    pub fn new(secret: &str) -> Option<Self> {
        let secret = secret.trim();
        (!secret.is_empty()).then(|| Self(secret.to_owned()))
    }

    /// The secret, for the one header that carries it.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The address is none.
    #[error("{0:?} is no http or https address")]
    Url(String),
    /// The key cannot stand in a header.
    #[error("the key has characters that cannot be sent")]
    Key,
    /// No model is named.
    #[error("no model is named")]
    Model,
}

impl RemoteSettings {
    /// Checks an address such as `http://localhost:11434/v1` and what is asked there. The key is optional.
    pub fn new(url: &str, model: &str, key: Option<Key>) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Url(url.to_owned());
        let base = url.trim().trim_end_matches('/');
        let parsed: Uri = base.parse().map_err(|_| wrong())?;
        let is_http = matches!(parsed.scheme_str(), Some("http" | "https"));
        let has_secret = parsed.authority().is_some_and(|a| a.as_str().contains('@'));
        if !is_http
            || parsed.host().is_none_or(str::is_empty)
            || parsed.query().is_some()
            || has_secret
        {
            return Err(wrong());
        }
        if model.trim().is_empty() {
            return Err(SettingsError::Model);
        }
        if key
            .as_ref()
            .is_some_and(|k| !k.reveal().bytes().all(|b| (0x21..0x7f).contains(&b)))
        {
            return Err(SettingsError::Key);
        }
        Ok(Self {
            url: endpoint(base),
            model: model.trim().to_owned(),
            key,
            limits: Limits {
                context: CONTEXT,
                passages: PASSAGES,
                reply: REPLY,
            },
            connect: CONNECT,
            first_token: FIRST_TOKEN,
            between_tokens: BETWEEN_TOKENS,
            tries: TRIES,
        })
    }

    /// Sets the window of the model in tokens; passages and reply are kept within it.
    #[must_use]
    pub fn with_context(mut self, tokens: usize) -> Self {
        self.limits.context = tokens;
        self.limits.reply = REPLY.min(tokens / 4);
        self.limits.passages = PASSAGES.min(tokens / 2);
        self
    }

    /// Sets the time before the first word and between two.
    #[must_use]
    pub fn with_patience(mut self, first_token: Duration, between_tokens: Duration) -> Self {
        self.first_token = first_token;
        self.between_tokens = between_tokens;
        self
    }

    /// Sets how often a request is tried.
    #[must_use]
    pub fn with_tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }
}

/// The chat endpoint below a base address, which may or may not end in `/v1`.
fn endpoint(base: &str) -> String {
    if base.ends_with("/chat/completions") {
        return base.to_owned();
    }
    let path = base.split("://").nth(1).unwrap_or_default();
    if path.contains('/') {
        format!("{base}/chat/completions")
    } else {
        format!("{base}/v1/chat/completions")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for (given, endpoint) in [
            (
                "http://localhost:11434",
                "http://localhost:11434/v1/chat/completions",
            ),
            (
                "http://localhost:8080/v1/",
                "http://localhost:8080/v1/chat/completions",
            ),
            (
                "https://h/api/openai",
                "https://h/api/openai/chat/completions",
            ),
            (
                "https://h/v1/chat/completions",
                "https://h/v1/chat/completions",
            ),
        ] {
            assert_eq!(RemoteSettings::new(given, "m", None).unwrap().url, endpoint);
        }
        for given in [
            "",
            "localhost:8000",
            "ftp://h",
            "http://",
            "http://u:p@h",
            "http://h?a=1",
        ] {
            assert!(RemoteSettings::new(given, "m", None).is_err(), "{given}");
        }
        assert_eq!(
            RemoteSettings::new("http://h", " ", None).unwrap_err(),
            SettingsError::Model
        );
    }

    #[test]
    fn the_key_is_never_shown() {
        let key = Key::new(" s3cret ");
        let settings = RemoteSettings::new("http://h", "m", key).unwrap();
        assert!(!format!("{settings:?}").contains("s3cret"));
        assert!(Key::new("  ").is_none());
        let broken = RemoteSettings::new("http://h", "m", Key::new("a\nb"));
        assert_eq!(broken.unwrap_err(), SettingsError::Key);
    }
}
