//! What every request passes through: its id, its log line and numbers, and the body of its errors.
//!
//! Two middlewares, because CORS stands between them: [`observe`] is outermost and sees the status that really leaves;
//! [`answer_errors`] turns whatever the inside made of an error (an `ApiError`, a bare status of the framework, a panic)
//! into the one error body. The log line names the route's pattern, never the path or the query, which may hold content.

use std::{any::Any, error::Error, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    Json,
    body::Body,
    extract::{MatchedPath, Request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use tracing::{Instrument, debug, error, info, info_span, warn};
use uuid::Uuid;

use super::{linger, metrics, stalled};
use crate::error::{ApiError, Problem};

/// Header that carries the request's id in both directions.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// RFC 9457's content type; sent only to a client that names it.
const PROBLEM_JSON: &str = "application/problem+json";

/// Longest id that is taken from a client: enough for a trace id with a prefix, too short to fill a log.
const MAX_ID: usize = 64;

/// Routes that are asked every few seconds by machines; their log lines would drown the others.
const PROBES: [&str; 4] = ["/health", "/healthz", "/readyz", "/metrics"];

/// The id of a request, in its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub Arc<str>);

/// Gives the request its id and span, and its response the id, a log line and its numbers.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let id: Arc<str> =
        sane_id(request.headers()).unwrap_or_else(|| Uuid::now_v7().to_string().into());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let span = info_span!("request", request.id = %id, http.method = method, http.route = route);

    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed = started.elapsed();

    let status = response.status().as_u16();
    metrics::count_request(method, route, status, elapsed);
    let duration_ms = elapsed.as_millis() as u64;
    span.in_scope(|| {
        if PROBES.contains(&route) {
            debug!(http.status = status, duration_ms, "request answered");
        } else {
            info!(http.status = status, duration_ms, "request answered");
        }
    });
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// Writes the body of every error and logs what caused it.
pub async fn answer_errors(request: Request, next: Next) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map_or_else(|| "".into(), |id| id.0.clone());
    let content_type = error_type(request.headers());
    let (request, stalled) = stalled::watch(request);
    let (request, rest) = linger::share(request);
    let response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => panicked(panic.as_ref()),
    };
    let Some(problem) = problem_of(&response) else {
        return response;
    };
    // Handlers see a body that broke off, and not why.
    let (problem, response) = if stalled.happened() {
        let timeout = ApiError::BodyTooSlow;
        (timeout.into(), StatusCode::REQUEST_TIMEOUT.into_response())
    } else {
        (problem, response)
    };
    log_cause(&problem);
    let response = with_body(response, &problem, &id, content_type);
    match rest {
        Some(rest) => rest.linger(response),
        None => response,
    }
}

/// The client's own id, when it is short and can do no harm in a log.
fn sane_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    (!id.is_empty() && id.len() <= MAX_ID && id.chars().all(harmless)).then(|| id.into())
}

/// The method as a label: a client may invent methods, the set of labels stays small.
fn method_label(method: &Method) -> &'static str {
    const KNOWN: [Method; 7] = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
    ];
    const LABELS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN
        .iter()
        .position(|known| known == method)
        .map_or("other", |at| LABELS[at])
}

/// Many fetch wrappers look for the words `application/json`, so that is what everybody gets who does not ask otherwise.
fn error_type(headers: &HeaderMap) -> &'static str {
    let names_problem = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value.split(',').any(|item| {
                item.split(';')
                    .next()
                    .is_some_and(|name| name.trim().eq_ignore_ascii_case(PROBLEM_JSON))
            })
        });
    if names_problem {
        PROBLEM_JSON
    } else {
        "application/json"
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    error!(
        panic = text.unwrap_or("not a text"),
        "request handler panicked"
    );
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn problem_of(response: &Response) -> Option<Problem> {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    failed.then(|| {
        response
            .extensions()
            .get::<Problem>()
            .cloned()
            .unwrap_or_else(|| Problem::from_status(status))
    })
}

/// The one place where the cause of a failed request is logged.
fn log_cause(problem: &Problem) {
    let Some(cause) = &problem.cause else {
        return;
    };
    let error = chain(cause.as_ref());
    if problem.retry_after.is_some() {
        warn!(
            error,
            code = problem.code,
            "request could not be served now"
        );
    } else {
        error!(error, code = problem.code, "request failed");
    }
}

/// `what: because: because`
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Replaces the body and keeps the headers, among them `Allow` of a 405.
fn with_body(
    response: Response,
    problem: &Problem,
    id: &str,
    content_type: &'static str,
) -> Response {
    let mut parts = response.into_parts().0;
    let body = Json(problem.body(id)).into_response().into_body();
    parts.headers.remove(CONTENT_LENGTH);
    parts
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(after) = problem.retry_after {
        let seconds = after.as_millis().div_ceil(1_000).max(1) as u64;
        parts
            .headers
            .insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    Response::from_parts(parts, Body::new(body))
}
