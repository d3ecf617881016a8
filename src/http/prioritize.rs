//! `POST /api/jobs/{id}/prioritize`: another priority for a job that waits.

use axum::{Json, extract::State};
use bytes::Bytes;
use quire_store::{MoveOutcome, Owner};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    job_view::JobReply,
    jobs::{JobPath, invalid_state},
    json_body, upload_values as values,
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body; it is read field by field")]
pub struct Prioritize {
    /// Larger goes first.
    #[schema(example = 5, minimum = -100, maximum = 100)]
    priority: i32,
}

/// Gives a waiting job another priority. It keeps its age among the jobs of that priority.
#[utoipa::path(post, path = "/api/jobs/{id}/prioritize", tag = "jobs",
    params(("id" = String, Path)), request_body = Prioritize,
    responses(
        (status = 200, body = JobReply), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`invalid_state`: the job runs or has ended"),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn prioritize(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    body: Bytes,
) -> Result<Json<JobReply>, ApiError> {
    let fields = json_body::object(&body)?;
    let priority = json_body::required(&fields, "priority")
        .and_then(|text| values::priority(Some(text)))
        .map_err(|error| ApiError::Validation(vec![error]))?;
    let outcome = state.store.prioritize(Owner::LOCAL, id, priority).await?;
    reply(outcome, "prioritized")
}

/// The reply to a move in the queue.
pub(super) fn reply(
    outcome: MoveOutcome,
    action: &'static str,
) -> Result<Json<JobReply>, ApiError> {
    match outcome {
        MoveOutcome::Moved(job) => Ok(Json(JobReply::new(job))),
        MoveOutcome::NotFound => Err(ApiError::NotFound("job")),
        MoveOutcome::InvalidState(job) => Err(invalid_state(&job, action)),
    }
}
