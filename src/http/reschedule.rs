//! `POST /api/jobs/{id}/reschedule`: another time for a job that waits.

use axum::{Json, extract::State};
use bytes::Bytes;
use quire_store::{Owner, clock};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    job_view::JobReply, jobs::JobPath, json_body, prioritize::reply, upload_values as values,
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// What is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the body; it is read field by field")]
pub struct Reschedule {
    /// Not before this time; one that has passed means now.
    #[schema(example = "2024-01-01T09:00:00Z")]
    scheduled_at: String,
}

/// Lets a waiting job start at another time. A job that waits in the queue is put off; one that waits for its time may be
/// called forward.
#[utoipa::path(post, path = "/api/jobs/{id}/reschedule", tag = "jobs",
    params(("id" = String, Path)), request_body = Reschedule,
    responses(
        (status = 200, body = JobReply), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`invalid_state`: the job runs or has ended"),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn reschedule(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    body: Bytes,
) -> Result<Json<JobReply>, ApiError> {
    let fields = json_body::object(&body)?;
    let at = json_body::required(&fields, "scheduled_at")
        .and_then(|text| values::scheduled_at(Some(text)))
        .map_err(|error| ApiError::Validation(vec![error]))?;
    let at = at.unwrap_or_else(clock::now);
    let outcome = state.store.reschedule(Owner::LOCAL, id, at).await?;
    reply(outcome, "rescheduled")
}
