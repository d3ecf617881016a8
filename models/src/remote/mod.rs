//! A language model behind an address: any server that speaks the OpenAI chat protocol, such as vLLM, llama.cpp or Ollama.
//!
//! One request is one connection. A thread of its own reads from it and hands over events; the thread that answers waits
//! for them with a time limit, so that a silent server is noticed and a cancelled job closes the connection at once
//! (`connection`). Until the first piece of text a request is tried again after a pause that grows (`backoff`); later
//! it is not, because the reader has seen its beginning. A server that keeps failing is left alone for a while (`breaker`).
//!
//! The key is sent in one header and stands in no log, no error and no debug output. Redirects are not followed: they
//! could carry it elsewhere.

mod backoff;
mod breaker;
mod connection;
mod event;
mod request;
mod settings;
mod sse;

use std::time::Instant;

use parking_lot::Mutex;

use crate::cancel::CancelFlag;
use crate::error::ModelError;
use crate::ground::{Generated, Generation, Generator, Limits, Shape};

pub use breaker::BreakerState;
pub use settings::{Key, RemoteSettings, SettingsError};

use backoff::Backoff;
use breaker::Breaker;
use connection::{Connection, Received, Remedy};
use event::Event;

/// Name of the engine in its answers.
pub const ENGINE: &str = "remote";
/// Longest reply that is read, in bytes of text; a server that ignores `max_tokens` is stopped here.
const MAX_TEXT: usize = 1 << 20;
/// Bytes of text that one token stands for at least, over the languages of the common vocabularies. Makes estimates high.
const BYTES_PER_TOKEN: usize = 3;

/// A model behind an address.
pub struct Remote {
    settings: RemoteSettings,
    breaker: Mutex<Breaker>,
}

/// Why one try of a request ended without a reply.
enum Trouble {
    /// The server may do better in a moment.
    Passing {
        reason: String,
        /// What the server itself says about when.
        wait: Option<std::time::Duration>,
    },
    /// Nothing more can be done.
    Final(ModelError),
}

impl Remote {
    /// A model that is asked from now on; nothing is sent before the first request.
    pub fn new(settings: RemoteSettings) -> Self {
        Self {
            settings,
            breaker: Mutex::new(Breaker::default()),
        }
    }

    /// Whether requests are let through.
    pub fn state(&self) -> BreakerState {
        self.breaker.lock().state(Instant::now())
    }

    fn unavailable(reason: impl Into<String>) -> ModelError {
        ModelError::Unavailable {
            engine: ENGINE,
            reason: reason.into(),
        }
    }

    /// Tries until the first piece of text, or until trying makes no sense.
    fn try_often(
        &self,
        body: &str,
        cancel: &CancelFlag,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Generated, ModelError> {
        let mut backoff = Backoff::new(self.settings.tries);
        loop {
            match self.try_once(body, cancel, piece) {
                Ok(generated) => return Ok(generated),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing { reason, wait }) => {
                    let Some(pause) = backoff.next(wait) else {
                        return Err(Self::unavailable(reason));
                    };
                    tracing::warn!(
                        reason,
                        pause_ms = pause.as_millis() as u64,
                        "remote model is asked again"
                    );
                    connection::pause(pause, cancel)?;
                }
            }
        }
    }

    fn try_once(
        &self,
        body: &str,
        cancel: &CancelFlag,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Generated, Trouble> {
        let connection = Connection::open(&self.settings, body.to_owned())
            .map_err(|error| Trouble::Final(Self::unavailable(error.to_string())))?;
        let mut reply = Reply::default();
        loop {
            let limit = if reply.bytes == 0 {
                self.settings.first_token
            } else {
                self.settings.between_tokens
            };
            let received = connection.receive(limit, cancel).map_err(Trouble::Final)?;
            match received {
                Received::Event(event) => {
                    if let Some(generated) = reply.take(event, piece)? {
                        return Ok(generated);
                    }
                }
                Received::Silence => {
                    return Err(reply.broke(format!("no word for {} s", limit.as_secs()), None));
                }
                Received::Ended(None) => return reply.end(),
                Received::Ended(Some(failure)) => {
                    return Err(match failure.remedy {
                        Remedy::Again(wait) => reply.broke(failure.reason, wait),
                        Remedy::Operator => Trouble::Final(Self::unavailable(failure.reason)),
                        Remedy::None => Trouble::Final(ModelError::Refused(failure.reason)),
                    });
                }
            }
        }
    }
}

impl Generator for Remote {
    fn engine(&self) -> &'static str {
        ENGINE
    }

    fn model(&self) -> String {
        self.settings.model.clone()
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    fn count_tokens(&self, text: &str) -> usize {
        text.len().div_ceil(BYTES_PER_TOKEN)
    }

    fn generate(
        &self,
        request: &Generation<'_>,
        cancel: &CancelFlag,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Generated, ModelError> {
        cancel.check()?;
        if let Err(left) = self.breaker.lock().enter(Instant::now()) {
            return Err(Self::unavailable(format!(
                "it failed several times in a row and is left alone for {} s more",
                left.as_secs() + 1
            )));
        }
        let body = request::body(&self.settings.model, request);
        let outcome = self.try_often(&body, cancel, piece);
        let mut breaker = self.breaker.lock();
        match &outcome {
            Ok(_) | Err(ModelError::Refused(_)) => breaker.succeeded(),
            // Says nothing about the server.
            Err(ModelError::Cancelled) => breaker.abandoned(),
            Err(_) => breaker.failed(Instant::now()),
        }
        drop(breaker);
        outcome
    }
}

/// A reply while it comes in.
#[derive(Default)]
struct Reply {
    bytes: usize,
    generated: Option<Generated>,
    usage: Option<crate::engine::Usage>,
}

impl Reply {
    /// Takes an event. The reply is complete when this returns one.
    fn take(
        &mut self,
        event: Event,
        piece: &mut dyn FnMut(&str),
    ) -> Result<Option<Generated>, Trouble> {
        match event {
            Event::Text(text) => {
                self.bytes += text.len();
                if self.bytes > MAX_TEXT {
                    let reason = format!("the reply is longer than {MAX_TEXT} bytes");
                    return Err(Trouble::Final(ModelError::Remote(reason)));
                }
                piece(&text);
            }
            Event::Finished(ended) => {
                self.generated = Some(Generated {
                    ended,
                    usage: None,
                    shape: Shape::Free,
                });
            }
            Event::Usage(usage) => self.usage = Some(usage),
            Event::Alive => {}
            Event::Failed(reason) => return Err(self.broke(reason, None)),
            Event::Done => return self.end().map(Some),
        }
        Ok(None)
    }

    /// The server has closed. Without a word that it was done, something is missing.
    fn end(&self) -> Result<Generated, Trouble> {
        match self.generated {
            Some(generated) => Ok(Generated {
                usage: self.usage,
                ..generated
            }),
            None => Err(self.broke("the connection ended before the reply did".to_owned(), None)),
        }
    }

    /// A failure: passing as long as nobody has seen any text.
    fn broke(&self, reason: String, wait: Option<std::time::Duration>) -> Trouble {
        if self.bytes == 0 {
            Trouble::Passing { reason, wait }
        } else {
            Trouble::Final(ModelError::Remote(reason))
        }
    }
}

#[cfg(test)]
mod tests;
