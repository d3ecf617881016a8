//! `/api/jobs/{id}`: one job, with long poll, cancel and retry.
//!
//! A path segment that is no job id answers 404 like an id that nobody has: a client must not learn the difference.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    response::Response,
};
use bytes::Bytes;
use chrono::SecondsFormat;
use http::{HeaderMap, request::Parts};
use quire_store::{CancelOutcome, Event, Job, JobId, JobState, Owner, RetryOutcome};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    conditional,
    job_view::{JobReply, JobView, TimelineEntry, status_of},
    json_body,
    query::Parameters,
    upload_values, wait,
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Longest long poll. Proxies commonly cut a silent connection after 60 s.
const MAX_WAIT: Duration = Duration::from_mins(1);

/// Events read at once for a timeline.
const TIMELINE_PAGE: u32 = 1000;

/// A job's id from the path; anything that is no id is a job that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct JobPath(pub JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::NotFound("job"))?;
        text.parse()
            .map(Self)
            .map_err(|_| ApiError::NotFound("job"))
    }
}

/// Query of `GET /api/jobs/{id}`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// Seconds to wait for the job to end, at most 60.
    #[param(example = "30")]
    wait: Option<String>,
    /// What to add, separated by commas: `position`, `timeline`, `error` (its code). Other words are ignored.
    #[param(example = "position,timeline")]
    expand: Option<String>,
}

/// Shows one job.
///
/// With `wait` the reply comes when the job has ended or the time is over, whichever is first.
#[utoipa::path(get, path = "/api/jobs/{id}", tag = "jobs",
    params(("id" = String, Path), JobQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, body = JobReply, headers(("ETag" = String))),
        (status = 304, description = "the client's copy is current"),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn show(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<JobQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limit = wait_of(query.wait.as_deref())?;
    let job = wait::until_ended(&state, Owner::LOCAL, id, limit)
        .await?
        .ok_or(ApiError::NotFound("job"))?;
    let view = expanded(&state, job, query.expand.as_deref().unwrap_or_default()).await?;
    let body = serde_json::to_vec(&JobReply::new(view)).map_err(ApiError::internal)?;
    Ok(conditional::reply(
        &headers,
        "application/json",
        Bytes::from(body),
    ))
}

/// Stops a job that has not ended.
#[utoipa::path(post, path = "/api/jobs/{id}/cancel", tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = JobReply), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`invalid_state`: the job has ended"),
        (status = 503, body = ErrorBody),
    ))]
pub async fn cancel(
    State(state): State<AppState>,
    JobPath(id): JobPath,
) -> Result<Json<JobReply>, ApiError> {
    let cancelled = state.store.cancel_job(Owner::LOCAL, id);
    match state.answered(cancelled).await? {
        CancelOutcome::Cancelled(job) => Ok(Json(JobReply::new(job))),
        CancelOutcome::NotFound => Err(ApiError::NotFound("job")),
        CancelOutcome::InvalidState(job) => Err(invalid_state(&job, "cancelled")),
    }
}

/// The body of a retry as documentation; it is read by `json_body`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the body in the OpenAPI document")]
pub struct RetryRequest {
    /// Opens an encrypted PDF: the password of the upload is forgotten when a job ends.
    #[schema(format = Password)]
    password: Option<String>,
}

/// Queues a job again that failed or was cancelled. The body may be empty.
#[utoipa::path(post, path = "/api/jobs/{id}/retry", tag = "jobs",
    params(("id" = String, Path)), request_body = Option<RetryRequest>,
    responses(
        (status = 200, body = JobReply), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`invalid_state`: the job has not ended, or ended well"),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn retry(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    body: Bytes,
) -> Result<Json<JobReply>, ApiError> {
    let fields = json_body::object(&body)?;
    let password = json_body::optional(&fields, "password")
        .and_then(upload_values::password)
        .map_err(|error| ApiError::Validation(vec![error]))?;
    let retried = state
        .store
        .retry_job_with(Owner::LOCAL, id, password.as_ref());
    match state.answered(retried).await? {
        RetryOutcome::Queued(job) => Ok(Json(JobReply::new(job))),
        RetryOutcome::NotFound => Err(ApiError::NotFound("job")),
        RetryOutcome::InvalidState(job) => Err(invalid_state(&job, "retried")),
    }
}

/// 409, with the state as the API shows it.
pub(super) fn invalid_state(job: &Job, action: &'static str) -> ApiError {
    ApiError::InvalidState {
        state: status_of(job.state),
        action,
    }
}

fn wait_of(text: Option<&str>) -> Result<Duration, ApiError> {
    let Some(text) = text else {
        return Ok(Duration::ZERO);
    };
    let seconds: u64 = text
        .parse()
        .map_err(|_| ApiError::field("wait", "invalid", "is not a number of seconds"))?;
    Ok(Duration::from_secs(seconds).min(MAX_WAIT))
}

async fn expanded(state: &AppState, job: Job, expand: &str) -> Result<JobView, ApiError> {
    let failed = matches!(job.state, JobState::Failed | JobState::Dead);
    let error_code = job.error_code.clone().filter(|_| failed);
    let (id, mut view) = (job.id, JobView::from(job));
    for word in expand.split(',').map(str::trim) {
        match word {
            "position" => view.position = Some(state.store.queue_position(id).await?),
            "error" => view.error_code.clone_from(&error_code),
            "timeline" => view.timeline = Some(timeline(state, id).await?),
            _ => {}
        }
    }
    Ok(view)
}

/// Everything that happened but the text of the answer and the steps of its progress.
async fn timeline(state: &AppState, id: JobId) -> Result<Vec<TimelineEntry>, ApiError> {
    let mut entries = Vec::new();
    let mut after = -1;
    loop {
        let page = state
            .store
            .events()
            .since(Owner::LOCAL, id, after, TIMELINE_PAGE)
            .await?;
        let last = page.last().map(|record| record.seq);
        let milestones = page
            .iter()
            .filter(|r| !matches!(r.event, Event::Chunk { .. } | Event::Progress { .. }));
        entries.extend(milestones.map(|record| TimelineEntry {
            seq: record.seq,
            at: record.at.to_rfc3339_opts(SecondsFormat::Millis, true),
            event: record.event.kind(),
        }));
        match last {
            Some(seq) if page.len() == TIMELINE_PAGE as usize => after = seq,
            _ => return Ok(entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_bounded_and_checked() {
        assert_eq!(wait_of(None).unwrap(), Duration::ZERO);
        assert_eq!(wait_of(Some("0")).unwrap(), Duration::ZERO);
        assert_eq!(wait_of(Some("30")).unwrap(), Duration::from_secs(30));
        assert_eq!(wait_of(Some("100000")).unwrap(), MAX_WAIT);
        for text in ["", "-1", "1.5", "ten", "99999999999999999999"] {
            assert!(
                matches!(wait_of(Some(text)), Err(ApiError::Validation(_))),
                "{text:?}"
            );
        }
    }
}
