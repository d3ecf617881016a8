//! `GET /api/batches`: the list of batches, newest first, in pages.

use axum::{Json, extract::State};
use quire_store::{Batch, BatchId, Owner};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::query::Parameters;
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
    http::{job_list, job_view::seconds},
};

/// Query of `GET /api/batches`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BatchListQuery {
    /// Batches on a page, 1 to 200; 50 when not given.
    #[param(example = "50")]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The list of batches.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchListReply {
    /// Always true.
    success: bool,
    /// The batches, newest first.
    data: Vec<ListedBatch>,
    /// Where the list goes on.
    page: BatchPageInfo,
}

/// A batch in the list. How far it is costs a look at all of its jobs, so that is told by `GET /api/batches/{id}` only.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListedBatch {
    /// The batch's id.
    batch_id: String,
    /// What the client calls it; null when it did not say.
    #[schema(required = true)]
    name: Option<String>,
    /// Files in it, refused ones included.
    items: i64,
    /// When it was opened.
    #[schema(example = "2024-01-01T00:00:00Z")]
    created_at: String,
    /// When it was cancelled; null when it was not.
    #[schema(required = true)]
    cancelled_at: Option<String>,
}

/// Where a list of batches goes on.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchPageInfo {
    /// `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Lists batches, newest first.
#[utoipa::path(get, path = "/api/batches", tag = "batches", params(BatchListQuery),
    responses(
        (status = 200, body = BatchListReply),
        (status = 422, body = ErrorBody, description = "`validation_failed` or `bad_cursor`"),
        (status = 503, body = ErrorBody),
    ))]
pub async fn list(
    State(state): State<AppState>,
    Parameters(query): Parameters<BatchListQuery>,
) -> Result<Json<BatchListReply>, ApiError> {
    let limit = job_list::limit(query.limit.as_deref())
        .map_err(|error| ApiError::Validation(vec![error]))?;
    let after: Option<BatchId> = query
        .cursor
        .filter(|text| !text.is_empty())
        .map(|text| text.parse())
        .transpose()
        .map_err(|_| ApiError::BadCursor)?;
    let page = state.store.list_batches(Owner::LOCAL, after, limit).await?;
    Ok(Json(BatchListReply {
        success: true,
        data: page.batches.into_iter().map(ListedBatch::from).collect(),
        page: BatchPageInfo {
            next_cursor: page.next.map(|next| next.to_string()),
        },
    }))
}

impl From<(Batch, i64)> for ListedBatch {
    fn from((batch, items): (Batch, i64)) -> Self {
        Self {
            batch_id: batch.id.to_string(),
            name: batch.name,
            items,
            created_at: seconds(batch.created_at),
            cancelled_at: batch.cancelled_at.map(seconds),
        }
    }
}
