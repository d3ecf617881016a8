//! `GET /api/admin/queue`, `GET /api/admin/workers`, and pause and resume of a queue.

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
};
use http::request::Parts;
use quire_store::Stage;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::{QueueState, QueueView, WorkerView};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// The queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueReply {
    /// Always true.
    success: bool,
    /// The queue.
    data: QueueView,
}

/// The workers.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkersReply {
    /// Always true.
    success: bool,
    /// The workers, in the order they came.
    data: Vec<WorkerView>,
}

/// One queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueStateReply {
    /// Always true.
    success: bool,
    /// The queue as it is now.
    data: QueueState,
}

/// A queue's name from the path.
#[derive(Clone, Copy, Debug)]
pub struct QueuePath(Stage);

impl<S: Send + Sync> FromRequestParts<S> for QueuePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let name = Path::<String>::from_request_parts(parts, state).await;
        let named = name.ok().and_then(|Path(name)| name.parse().ok());
        named.map(Self).ok_or(ApiError::NotFound("queue"))
    }
}

/// Shows the whole queue at one moment.
///
/// Every number is of the same state of the database. The same comes live on the socket: topic `admin` of `quire.v1`.
#[utoipa::path(get, path = "/api/admin/queue", tag = "admin",
    responses((status = 200, body = QueueReply), (status = 503, body = ErrorBody)))]
pub async fn show(State(state): State<AppState>) -> Result<Json<QueueReply>, ApiError> {
    let data = look(&state).await?;
    Ok(Json(QueueReply {
        success: true,
        data,
    }))
}

/// Lists the registered workers.
#[utoipa::path(get, path = "/api/admin/workers", tag = "admin",
    responses((status = 200, body = WorkersReply), (status = 503, body = ErrorBody)))]
pub async fn workers(State(state): State<AppState>) -> Result<Json<WorkersReply>, ApiError> {
    let data = look(&state).await?.workers;
    Ok(Json(WorkersReply {
        success: true,
        data,
    }))
}

/// Pauses a queue: it hands nothing out.
///
/// Jobs that run go on, new ones are taken in and wait. Pausing a paused queue changes nothing.
#[utoipa::path(post, path = "/api/admin/queues/{name}/pause", tag = "admin",
    params(("name" = String, Path, example = "extract", description = "`extract` or `answer`")),
    responses((status = 200, body = QueueStateReply), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn pause(
    State(state): State<AppState>,
    QueuePath(paused): QueuePath,
) -> Result<Json<QueueStateReply>, ApiError> {
    state.answered(state.store.pause_queue(paused)).await?;
    tracing::info!(queue = %paused, "queue paused");
    queue(&state, paused).await
}

/// Resumes a paused queue.
#[utoipa::path(post, path = "/api/admin/queues/{name}/resume", tag = "admin",
    params(("name" = String, Path, example = "extract", description = "`extract` or `answer`")),
    responses((status = 200, body = QueueStateReply), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn resume(
    State(state): State<AppState>,
    QueuePath(resumed): QueuePath,
) -> Result<Json<QueueStateReply>, ApiError> {
    state.answered(state.store.resume_queue(resumed)).await?;
    tracing::info!(queue = %resumed, "queue resumed");
    queue(&state, resumed).await
}

async fn look(state: &AppState) -> Result<QueueView, ApiError> {
    let snapshot = state.answered(state.store.queue_snapshot()).await?;
    Ok(QueueView::from(&snapshot))
}

async fn queue(state: &AppState, wanted: Stage) -> Result<Json<QueueStateReply>, ApiError> {
    let queues = look(state).await?.queues;
    let queue = queues
        .into_iter()
        .find(|queue| queue.name == wanted.as_str());
    let data = queue.ok_or(ApiError::NotFound("queue"))?;
    Ok(Json(QueueStateReply {
        success: true,
        data,
    }))
}
