//! `GET /api/batches/{id}`: how far a batch is.

use axum::{Json, extract::State};
use quire_store::{Batch, Owner, clock};
use serde::Serialize;
use utoipa::ToSchema;

use super::{BatchPath, view::BatchView};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// `{success, data}` around one batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchReply {
    /// Always true.
    success: bool,
    /// The batch.
    data: BatchView,
}

/// Shows one batch: counts by state, progress, and when it will be done.
#[utoipa::path(get, path = "/api/batches/{id}", tag = "batches",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = BatchReply), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn show(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
) -> Result<Json<BatchReply>, ApiError> {
    let batch = state
        .store
        .batch(Owner::LOCAL, id)
        .await?
        .ok_or(ApiError::NotFound("batch"))?;
    reply(&state, batch).await
}

/// The reply about a batch as it is now.
pub(super) async fn reply(state: &AppState, batch: Batch) -> Result<Json<BatchReply>, ApiError> {
    let counts = state.store.batch_counts(batch.id).await?;
    Ok(Json(BatchReply {
        success: true,
        data: BatchView::new(batch, &counts, clock::now()),
    }))
}
