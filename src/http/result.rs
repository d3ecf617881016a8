//! `GET /api/jobs/{id}/result`: what came out of a completed job, in the form that was asked for.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use quire_extract::{ChunkOptions, Document, EXTRACTOR_VERSION};
use quire_store::{Job, JobState, Owner};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    document::ChunkQuery,
    format::{Format, chunk_lines, csv_rows},
    job_view::status_of,
    jobs::JobPath,
    query::Parameters,
    result_text,
    result_view::{ResultReply, ResultView},
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Query of `GET /api/jobs/{id}/result`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultQuery {
    /// `json`, `md`, `text`, `csv` for the rows of a table, or `chunks`: the document in pieces for retrieval, as JSON lines; without
    /// it the `Accept` header decides.
    #[param(example = "md")]
    format: Option<String>,
}

/// Gives the result of a completed job.
#[utoipa::path(get, path = "/api/jobs/{id}/result", tag = "jobs",
    params(("id" = String, Path), ResultQuery, ChunkQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, content((ResultReply = "application/json"), (String = "text/markdown"), (String = "text/plain"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 304, description = "the client's copy is current"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`not_finished`: ask again after `Retry-After`"),
        (status = 422, body = ErrorBody),
        (status = 424, body = ErrorBody, description = "`job_failed`: the job failed or was cancelled"),
        (status = 503, body = ErrorBody),
    ))]
pub async fn show(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<ResultQuery>,
    Parameters(cut): Parameters<ChunkQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = Format::choose(query.format.as_deref(), &headers)?;
    let options = cut.options()?;
    let job = state
        .store
        .job(Owner::LOCAL, id)
        .await?
        .ok_or(ApiError::NotFound("job"))?;
    must_be_completed(&job)?;
    let document = state
        .store
        .document_of(Owner::LOCAL, &job.sha256, EXTRACTOR_VERSION.cast_signed())
        .await?;
    // A document of a thousand pages takes many milliseconds to decode and encode.
    let body = tokio::task::spawn_blocking(move || body(format, job, document, options))
        .await
        .map_err(ApiError::internal)??;
    Ok(format.reply(&headers, body))
}

/// What a job that has not been completed is answered with.
pub fn must_be_completed(job: &Job) -> Result<(), ApiError> {
    match job.state {
        JobState::Completed => Ok(()),
        JobState::Failed | JobState::Dead => {
            let why = job
                .error_message
                .as_deref()
                .unwrap_or("no reason is stored");
            Err(ApiError::JobFailed(format!("the job failed: {why}")))
        }
        JobState::Cancelled => Err(ApiError::JobFailed("the job was cancelled".to_owned())),
        unfinished => Err(ApiError::NotFinished(status_of(unfinished))),
    }
}

fn body(
    format: Format,
    job: Job,
    document: Option<Value>,
    options: ChunkOptions,
) -> Result<Bytes, ApiError> {
    let answer = job
        .result
        .clone()
        .map(serde_json::from_value)
        .transpose()
        .map_err(ApiError::internal)?;
    let document: Option<Document> = document
        .map(serde_json::from_value)
        .transpose()
        .map_err(ApiError::internal)?;
    let there = |document: Option<Document>| document.ok_or(ApiError::NotFound("document"));
    let view = |document| ResultView::new(job, answer, document);
    Ok(match format {
        Format::Json => {
            let reply = ResultReply {
                success: true,
                data: view(document),
            };
            serde_json::to_vec(&reply)
                .map_err(ApiError::internal)?
                .into()
        }
        Format::Markdown => result_text::markdown(&view(document)).into(),
        Format::Text => result_text::plain(&view(document)).into(),
        Format::Csv => csv_rows(there(document)?)?,
        Format::Chunks => chunk_lines(&there(document)?, options)?,
    })
}
