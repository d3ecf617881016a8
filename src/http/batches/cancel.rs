//! `POST /api/batches/{id}/cancel`: nothing more goes in, and what has not ended is cancelled.

use axum::{Json, extract::State};
use quire_store::Owner;

use super::{
    BatchPath,
    show::{self, BatchReply},
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Cancels every job of a batch that has not ended.
///
/// What was answered stays answered. Cancelling again changes nothing.
#[utoipa::path(post, path = "/api/batches/{id}/cancel", tag = "batches",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = BatchReply), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody, description = "`overloaded`: some jobs may be left; cancel again"),
    ))]
pub async fn cancel(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
) -> Result<Json<BatchReply>, ApiError> {
    state
        .store
        .cancel_batch(Owner::LOCAL, id)
        .await?
        .ok_or(ApiError::NotFound("batch"))?;
    let batch = state
        .store
        .batch(Owner::LOCAL, id)
        .await?
        .ok_or(ApiError::NotFound("batch"))?;
    show::reply(&state, batch).await
}
