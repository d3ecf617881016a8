//! `POST /api/batches` opens a batch and fills it; `POST /api/batches/{id}/files` fills it further.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header::LOCATION};
use quire_store::{BatchId, Owner, clock};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    BatchPath,
    receive::{Filled, Target, receive},
    view::{BatchView, ItemView},
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody, FieldError},
    http::{origins::IDEMPOTENT_REPLAYED, upload_values},
};

/// The form as documentation; it is read by `form` and `receive`. Fields come before files.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in the OpenAPI document")]
pub struct BatchForm {
    /// What to call the batch, at most 255 bytes. Only when it is opened.
    #[schema(example = "invoices of May")]
    name: Option<String>,
    /// The question about every file for which the manifest has none of its own.
    #[schema(example = "What is the total?")]
    prompt: Option<String>,
    /// -100 to 100, larger goes first; for every file for which the manifest has none of its own.
    #[schema(default = 0, minimum = -100, maximum = 100)]
    priority: Option<i32>,
    /// RFC 3339 time with offset before which no job starts, unless the manifest says otherwise.
    #[schema(example = "2030-01-01T09:00:00Z")]
    scheduled_at: Option<String>,
    /// Opens encrypted PDFs, for every file for which the manifest has none of its own. Kept until the file has been read.
    #[schema(format = Password)]
    password: Option<String>,
    /// Who is to answer, as in an upload; for every file for which the manifest has none of its own.
    #[schema(example = "extractive")]
    model: Option<String>,
    /// JSON schema that every answer is to fit, as in an upload.
    schema: Option<String>,
    /// Index of the first file, the others follow. Without it a new batch begins at 0, and files that are added come behind
    /// those that are there.
    first_index: Option<i64>,
    /// CSV with a header, or JSON lines: `file` (as it is named in its part), and if wanted `prompt`, `priority`, `scheduled_at`, `password`,
    /// `model`, `reference` (your own name for it), `key` (an idempotency key: sent again, also in another batch, it gives the same job),
    /// `index`.
    #[schema(example = "file,prompt\na.pdf,What is the total?")]
    manifest: Option<String>,
    /// The files, any number of parts with this name, none to open a batch that is filled later.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
}

/// The reply to a batch that was opened.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedReply {
    /// Always true: single files may have been refused.
    success: bool,
    /// The batch, and what became of the files of this request.
    data: OpenedView,
}

/// The batch, and what became of the files of this request.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedView {
    /// The batch.
    #[serde(flatten)]
    batch: BatchView,
    /// The files of this request, in the order of the input.
    items: Vec<ItemView>,
}

/// The reply to files that were added.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedReply {
    /// Always true: single files may have been refused.
    success: bool,
    /// What became of the files.
    data: AddedView,
}

/// What became of files that were added. How far the whole batch is takes a look at all of its jobs, and is not told at each
/// of ten thousand additions.
#[derive(Debug, Serialize, ToSchema)]
pub struct AddedView {
    /// The batch's id.
    batch_id: String,
    /// The files of this request, in the order of the input.
    items: Vec<ItemView>,
}

/// Opens a batch of files with a question about each, and queues a job for each.
///
/// The fields come before the files. A file that is refused becomes an item with its error and does not stop the others. Every
/// file is a job as soon as it is received: with an `Idempotency-Key` a request that was cut off is sent again, and adds what
/// was missing.
#[utoipa::path(post, path = "/api/batches", tag = "batches",
    request_body(content = BatchForm, content_type = "multipart/form-data"),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 202, body = OpenedReply, headers(
            ("Location" = String, description = "path of the batch"),
            ("Idempotent-Replayed" = Option<bool>, description = "true when the batch was opened by an earlier request"),
        )),
        (status = 400, body = ErrorBody, description = "`malformed_request`"),
        (status = 403, body = ErrorBody, description = "`forbidden`: a web page of an origin that is not allowed"),
        (status = 408, body = ErrorBody, description = "`timeout`: the client stopped sending"),
        (status = 409, body = ErrorBody, description = "`idempotency_mismatch`, or `invalid_state`: the batch was cancelled"),
        (status = 413, body = ErrorBody, description = "`too_large`"),
        (status = 415, body = ErrorBody, description = "`unsupported_type`: the request is no form"),
        (status = 422, body = ErrorBody, description = "`validation_failed`: a field, or a line of the manifest"),
        (status = 503, body = ErrorBody, description = "`overloaded`: what was received is kept; go on after `Retry-After`"),
        (status = 507, body = ErrorBody, description = "`storage_full`"),
    ))]
pub async fn create(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (key, errors) = match upload_values::idempotency_key(request.headers()) {
        Ok(key) => (key, Vec::new()),
        Err(error) => (None, vec![error]),
    };
    let Filled {
        batch,
        replayed,
        items,
    } = take_in(&state, request, Target::New(key), errors).await?;
    let id = batch.id;
    let counts = state.store.batch_counts(id).await?;
    let data = OpenedView {
        batch: BatchView::new(batch, &counts, clock::now()),
        items,
    };
    let reply = OpenedReply {
        success: true,
        data,
    };
    let mut response = accepted(id, reply)?;
    if replayed {
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Adds files to a batch, and queues a job for each.
///
/// The form is that of `POST /api/batches`. A file whose key (from the manifest, else its index) is there already changes
/// nothing, unless it was refused before.
#[utoipa::path(post, path = "/api/batches/{id}/files", tag = "batches",
    request_body(content = BatchForm, content_type = "multipart/form-data"),
    params(("id" = String, Path)),
    responses(
        (status = 202, body = AddedReply, headers(("Location" = String, description = "path of the batch"))),
        (status = 400, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 408, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`invalid_state`: the batch was cancelled"),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody), (status = 422, body = ErrorBody),
        (status = 503, body = ErrorBody), (status = 507, body = ErrorBody),
    ))]
pub async fn add(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    request: Request,
) -> Result<Response, ApiError> {
    let batch = state
        .store
        .batch(Owner::LOCAL, id)
        .await?
        .ok_or(ApiError::NotFound("batch"))?;
    if batch.cancelled_at.is_some() {
        return Err(ApiError::BatchCancelled);
    }
    let filled = take_in(&state, request, Target::Known(batch), Vec::new()).await?;
    let data = AddedView {
        batch_id: id.to_string(),
        items: filled.items,
    };
    let reply = AddedReply {
        success: true,
        data,
    };
    accepted(id, reply)
}

async fn take_in(
    state: &AppState,
    request: Request,
    target: Target,
    errors: Vec<FieldError>,
) -> Result<Filled, ApiError> {
    if state.shutdown.is_cancelled() {
        return Err(ApiError::Overloaded(None));
    }
    let state = state.clone();
    // A task of its own, because the server drops a handler whose client is gone, and with it the files that were received
    // whole. The task sees the end of the body, writes out what it has, and ends.
    let receiving = tokio::spawn(async move { receive(&state, request, target, errors).await });
    receiving.await.map_err(ApiError::internal)?
}

fn accepted(id: BatchId, reply: impl Serialize) -> Result<Response, ApiError> {
    let mut response = (StatusCode::ACCEPTED, Json(reply)).into_response();
    let location =
        HeaderValue::from_str(&format!("/api/batches/{id}")).map_err(ApiError::internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
