//! `GET /api/jobs/{id}/position`: the place in the queue and when the job's turn will probably come.

use axum::{Json, extract::State};
use quire_store::{Estimate, Owner};
use serde::Serialize;
use utoipa::ToSchema;

use super::{job_view::seconds, jobs::JobPath};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PositionView {
    /// Place among the jobs that wait for the same stage, 1 is next; null when the job does not wait in the queue.
    #[schema(example = 3, required = true)]
    pub position: Option<i64>,
    /// Jobs in front of it.
    #[schema(example = 2, required = true)]
    pub ahead: Option<i64>,
    /// When it starts next, or has started; null when nobody can know: no job has ended yet, the queue is paused, no worker lives.
    #[schema(example = "2024-01-01T00:01:00Z", required = true)]
    pub estimated_start: Option<String>,
    /// When it ends, or has ended.
    #[schema(example = "2024-01-01T00:02:00Z", required = true)]
    pub estimated_finish: Option<String>,
    /// What the times are worth: `high` (many recent jobs of similar length), `medium`, `low`, or `none` without times. They
    /// count on no job coming in front.
    #[schema(example = "medium")]
    pub confidence: &'static str,
}

/// `{success, data}` around it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PositionReply {
    /// Always true.
    pub success: bool,
    /// The place.
    pub data: PositionView,
}

impl From<Estimate> for PositionView {
    fn from(estimate: Estimate) -> Self {
        Self {
            position: estimate.position,
            ahead: estimate.position.map(|position| position - 1),
            estimated_start: estimate.starts_at.map(seconds),
            estimated_finish: estimate.ends_at.map(seconds),
            confidence: estimate.confidence.as_str(),
        }
    }
}

/// Shows the place of a job in the queue, with estimated times.
#[utoipa::path(get, path = "/api/jobs/{id}/position", tag = "jobs",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = PositionReply), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn position(
    State(state): State<AppState>,
    JobPath(id): JobPath,
) -> Result<Json<PositionReply>, ApiError> {
    let estimate = state.store.estimate(Owner::LOCAL, id).await?;
    let estimate = estimate.ok_or(ApiError::NotFound("job"))?;
    Ok(Json(PositionReply {
        success: true,
        data: estimate.into(),
    }))
}
