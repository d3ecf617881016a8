//! `GET /api/jobs/{id}/events`: one job's events as server-sent events, from any point on, to its end.
//!
//! The frames are those of `quire.v1`: `id` is `seq`, `event` the type, `data` the JSON. An `EventSource` that loses its connection
//! comes back with `Last-Event-ID` and goes on behind it. The stream is pulled by the client's reading, so a slow
//! client falls behind the broadcasts and is served from the table; nothing is buffered for it.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CACHE_CONTROL};
use quire_store::{EventHub, EventRecord, Job, JobId, Owner, StoreError};
use serde::Deserialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use super::{
    jobs::JobPath,
    query::Parameters,
    socket::{
        BACKOFF, PAGE, RETRY,
        sequence::{START, Sequencer},
        v1::frame::Frame,
    },
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody, Problem},
};

/// Pause between two comments on a silent stream: proxies cut connections after 60 s, some after 30.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// When an `EventSource` comes back after a lost connection.
const COME_BACK: Duration = Duration::from_secs(1);

/// Set by an `EventSource` that comes back.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells nginx not to collect the stream before it passes it on.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Query of the stream.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// The last event the client has; `Last-Event-ID` goes before it.
    #[param(example = "1048583")]
    since: Option<String>,
}

/// Streams the events of a job until it ends.
///
/// Every frame has `seq`; a client that comes back with the last one in `Last-Event-ID` or `since` misses nothing and gets
/// nothing twice.
#[utoipa::path(get, path = "/api/jobs/{id}/events", tag = "events",
    params(("id" = String, Path), EventsQuery, ("Last-Event-ID" = Option<i64>, Header)),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 204, description = "the job has ended and the client has its last event: do not come back"),
        (status = 404, body = ErrorBody),
        (status = 410, body = ErrorBody, description = "`events_expired`: ask for the job itself"),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn events(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let after = cursor(&headers, &query)?;
    let hub = state.store.events().clone();
    // Subscribed before the first look at the table, so that nothing can fall between the two.
    let live = hub.subscribe();
    let job = state
        .store
        .job(Owner::LOCAL, id)
        .await?
        .ok_or(ApiError::NotFound("job"))?;
    if hub.since(Owner::LOCAL, id, START, 1).await?.is_empty() {
        return Ok(expired());
    }
    if job.state.is_terminal() && hub.since(Owner::LOCAL, id, after, 1).await?.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(respond(Follower::new(
        hub,
        live,
        &job,
        after,
        state.shutdown.clone(),
    )))
}

/// The last event that the client has, or [`START`].
fn cursor(headers: &HeaderMap, query: &EventsQuery) -> Result<i64, ApiError> {
    let header = headers
        .get(LAST_EVENT_ID)
        .map(|id| id.to_str().unwrap_or_default());
    // An `EventSource` that never had an event sends none or an empty one.
    let given = header
        .filter(|id| !id.is_empty())
        .or(query.since.as_deref());
    let Some(text) = given else {
        return Ok(START);
    };
    let seq = text.parse().ok().filter(|seq: &i64| *seq >= 0);
    seq.ok_or_else(|| ApiError::field("since", "not_a_cursor", "is not the seq of an event"))
}

/// The job is there, its history is not.
fn expired() -> Response {
    let detail = "the events of this job are no longer stored; ask for the job itself".to_owned();
    let problem = Problem {
        code: "events_expired",
        detail,
        ..Problem::from_status(StatusCode::GONE)
    };
    let mut response = problem.status.into_response();
    response.extensions_mut().insert(problem);
    response
}

fn respond(follower: Follower) -> Response {
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// One client on one job's events.
struct Follower {
    hub: EventHub,
    live: Receiver<Arc<EventRecord>>,
    owner: Owner,
    job: JobId,
    /// Cancelled when the server stops; the client comes back to the next one.
    closing: CancellationToken,
    order: Sequencer,
    /// Events that may go out.
    ready: VecDeque<Arc<EventRecord>>,
    /// When to read the table.
    read_at: Option<Instant>,
    stage: Progress,
}

/// How far the stream itself is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Opening,
    Open,
    Over,
}

impl Follower {
    fn new(
        hub: EventHub,
        live: Receiver<Arc<EventRecord>>,
        job: &Job,
        after: i64,
        closing: CancellationToken,
    ) -> Self {
        let mut order = Sequencer::after(after);
        order.fall_behind();
        Self {
            hub,
            live,
            owner: job.owner,
            job: job.id,
            closing,
            order,
            ready: VecDeque::new(),
            read_at: Some(Instant::now()),
            stage: Progress::Opening,
        }
    }

    /// The next event to send; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        if self.stage == Progress::Opening {
            self.stage = Progress::Open;
            return Some(Event::default().retry(COME_BACK));
        }
        loop {
            if let Some(record) = self.ready.pop_front() {
                if record.event.is_terminal() && self.ready.is_empty() {
                    self.stage = Progress::Over;
                }
                return Some(event(&record));
            }
            if self.stage == Progress::Over || !self.wait().await {
                return None;
            }
        }
    }

    /// Waits for one thing to happen; false when nothing more will.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.closing.cancelled() => return false,
            () = sleep_until(self.read_at.unwrap_or_else(Instant::now)), if self.read_at.is_some() => self.catch_up().await,
            event = self.live.recv() => match event {
                Ok(record) if record.job_id == self.job && record.owner == self.owner => self.take(record),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    self.order.fall_behind();
                    self.read_at = Some(Instant::now());
                }
                Err(RecvError::Closed) => return false,
            },
        }
        true
    }

    fn take(&mut self, record: Arc<EventRecord>) {
        let mut out = Vec::new();
        self.order.live(record, &mut out);
        self.ready.extend(out);
        if self.order.is_behind() && self.read_at.is_none() {
            self.read_at = Some(Instant::now());
        }
    }

    /// Reads one page from the table; a reader of a long history gets it page by page.
    async fn catch_up(&mut self) {
        let now = Instant::now();
        self.read_at = match self.read().await {
            Ok(true) if self.order.is_behind() => Some(now + RETRY),
            Ok(true) => None,
            Ok(false) => Some(now),
            Err(error) => {
                tracing::warn!(%error, job.id = %self.job, "events of a job could not be read, trying again");
                Some(now + BACKOFF)
            }
        };
    }

    /// True when the table holds no more.
    async fn read(&mut self) -> Result<bool, StoreError> {
        let records = self
            .hub
            .since(self.owner, self.job, self.order.seq(), PAGE)
            .await?;
        let last = records.len() < PAGE as usize;
        let mut out = Vec::new();
        self.order.stored(records, &mut out);
        if last {
            self.order.settle(&mut out);
        }
        self.ready.extend(out);
        Ok(last)
    }
}

fn event(record: &EventRecord) -> Event {
    let frame = Frame::of(record, None);
    Event::default()
        .id(record.seq.to_string())
        .event(frame.name())
        .data(frame.json())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: Option<&'static str>, since: Option<&str>) -> Result<i64, ApiError> {
        let mut headers = HeaderMap::new();
        if let Some(id) = header {
            headers.insert(LAST_EVENT_ID, HeaderValue::from_static(id));
        }
        cursor(
            &headers,
            &EventsQuery {
                since: since.map(str::to_owned),
            },
        )
    }

    #[test]
    fn the_cursor_comes_from_the_header_or_the_query() {
        assert_eq!(read(None, None).unwrap(), START);
        assert_eq!(read(Some("7"), None).unwrap(), 7);
        assert_eq!(read(None, Some("0")).unwrap(), 0);
        assert_eq!(read(Some("9"), Some("7")).unwrap(), 9);
        assert_eq!(read(Some(""), Some("7")).unwrap(), 7);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["-1", "x", "1.5", "99999999999999999999"] {
            assert!(
                matches!(read(None, Some(text)), Err(ApiError::Validation(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn an_expired_history_is_gone_with_the_code_of_the_contract() {
        let response = expired();
        assert_eq!(response.status(), StatusCode::GONE);
        let problem = response.extensions().get::<Problem>().unwrap();
        assert_eq!(
            (problem.code, problem.status),
            ("events_expired", StatusCode::GONE)
        );
    }
}
