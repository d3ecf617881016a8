//! One request on one connection, read by a thread of its own.
//!
//! Blocking reads cannot be interrupted, so nobody who must react waits in one: the thread reads and hands over events
//! through a bounded channel; the other side waits with a limit and looks at the cancel flag. Dropping the connection
//! shuts the socket, which ends the thread and tells the server that nobody listens any more.

use std::io::BufReader;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use ureq::http::{Response, StatusCode};

use crate::cancel::CancelFlag;
use crate::error::ModelError;

use super::event::{Event, events, kind};
use super::settings::RemoteSettings;
use super::sse::Events;

/// Events that may wait for the reader; then the server waits.
const QUEUE: usize = 64;
/// How soon a raised cancel flag is noticed.
const LOOK: Duration = Duration::from_millis(25);
/// Bytes of an error's body that are looked at, and of a reply that comes in one piece.
const MAX_ERROR: u64 = 16 * 1024;
const MAX_WHOLE: u64 = 2 * 1024 * 1024;

/// A request under way.
pub(super) struct Connection {
    agent: Agent,
    news: Receiver<Result<Event, Failure>>,
}

/// What came in.
pub(super) enum Received {
    Event(Event),
    /// Nothing within the limit.
    Silence,
    /// The connection is over, because of a failure or not.
    Ended(Option<Failure>),
}

/// Why a server gave no reply.
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) remedy: Remedy,
}

/// What can help.
pub(super) enum Remedy {
    /// Asking again, not before the time that the server names.
    Again(Option<Duration>),
    /// Another address or key: the operator's business. Meanwhile another engine may answer.
    Operator,
    /// Nothing: the request itself is refused.
    None,
}

impl Failure {
    fn passing(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: Remedy::Again(None),
        }
    }
}

impl Connection {
    /// Sends a request.
    pub(super) fn open(settings: &RemoteSettings, body: String) -> std::io::Result<Self> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(settings.connect))
            .timeout_connect(Some(settings.connect))
            .user_agent(concat!("quire/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let (sender, news) = sync_channel(QUEUE);
        let (asker, settings) = (agent.clone(), settings.clone());
        std::thread::Builder::new()
            .name("quire-remote".into())
            .spawn(move || {
                if let Err(failure) = read(&asker, &settings, body, &sender) {
                    sender.send(Err(failure)).ok();
                }
            })?;
        Ok(Self { agent, news })
    }

    /// Waits for the next event, at most so long.
    pub(super) fn receive(
        &self,
        limit: Duration,
        cancel: &CancelFlag,
    ) -> Result<Received, ModelError> {
        let end = Instant::now() + limit;
        loop {
            cancel.check()?;
            let left = end.saturating_duration_since(Instant::now());
            match self.news.recv_timeout(left.min(LOOK)) {
                Ok(Ok(event)) => return Ok(Received::Event(event)),
                Ok(Err(failure)) => return Ok(Received::Ended(Some(failure))),
                Err(RecvTimeoutError::Disconnected) => return Ok(Received::Ended(None)),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(Received::Silence),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.agent.clone().shutdown();
    }
}

/// Waits, unless the flag is raised.
pub(super) fn pause(time: Duration, cancel: &CancelFlag) -> Result<(), ModelError> {
    // Nobody sends: the limit is the only thing that can happen.
    let (_sender, nothing) = sync_channel::<()>(0);
    let end = Instant::now() + time;
    loop {
        cancel.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        nothing.recv_timeout(left.min(LOOK)).ok();
    }
}

/// Sends the request and hands over what comes back, until it ends or nobody listens.
fn read(
    agent: &Agent,
    settings: &RemoteSettings,
    body: String,
    sender: &SyncSender<Result<Event, Failure>>,
) -> Result<(), Failure> {
    let mut request = agent
        .post(&settings.url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/event-stream");
    if let Some(key) = &settings.key {
        request = request.header(AUTHORIZATION, format!("Bearer {}", key.reveal()));
    }
    let response = request
        .send(body)
        .map_err(|error| Failure::passing(format!("it cannot be reached: {error}")))?;
    if response.status() != StatusCode::OK {
        return Err(refusal(response));
    }
    let is_whole = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/json"));
    let hand_over = |data: &str| {
        events(data)
            .into_iter()
            .all(|event| sender.send(Ok(event)).is_ok())
    };
    if is_whole {
        let text = response
            .into_body()
            .into_with_config()
            .limit(MAX_WHOLE)
            .read_to_string()
            .map_err(|error| Failure::passing(format!("its reply cannot be read: {error}")))?;
        hand_over(&text);
        return Ok(());
    }
    let mut stream = Events::new(BufReader::new(response.into_body().into_reader()));
    loop {
        match stream.next() {
            Ok(Some(data)) => {
                if !hand_over(&data) {
                    return Ok(());
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => return Err(Failure::passing(format!("its reply broke off: {error}"))),
        }
    }
}

/// What a status other than 200 means.
fn refusal(response: Response<ureq::Body>) -> Failure {
    let status = response.status();
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.trim().parse().ok())
        .map(Duration::from_secs);
    let text = response
        .into_body()
        .into_with_config()
        .limit(MAX_ERROR)
        .read_to_string()
        .unwrap_or_default();
    let named = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|body| body.get("error").map(kind))
        .unwrap_or_default();
    let remedy = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT => {
            Remedy::Again(wait)
        }
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED => Remedy::Operator,
        status if status.is_server_error() => Remedy::Again(wait),
        status if status.is_client_error() => Remedy::None,
        _ => Remedy::Operator,
    };
    Failure {
        reason: format!("it answered {}{named}", status.as_u16()),
        remedy,
    }
}
