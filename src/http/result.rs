//! `GET /api/jobs/{id}/result`: what came out of a completed job, as JSON, Markdown or plain text.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, VARY},
};
use quire_extract::{ChunkOptions, Document, EXTRACTOR_VERSION, export::to_csv};
use quire_store::{Job, JobState, Owner};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    conditional,
    document::{ChunkQuery, JSON_LINES, chunk_lines},
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

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Markdown,
    Text,
    /// The document in pieces, without the answer.
    Chunks,
    /// The rows that are kept of a table.
    Csv,
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
    let body = tokio::task::spawn_blocking(move || format.body(job, document, options))
        .await
        .map_err(ApiError::internal)??;
    let mut response = conditional::reply(&headers, format.content_type(), body);
    response
        .headers_mut()
        .append(VARY, HeaderValue::from_name(ACCEPT));
    Ok(response)
}

fn must_be_completed(job: &Job) -> Result<(), ApiError> {
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

impl Format {
    fn choose(format: Option<&str>, headers: &HeaderMap) -> Result<Self, ApiError> {
        match format {
            None => Ok(Self::accepted(headers)),
            Some("json") => Ok(Self::Json),
            Some("md" | "markdown") => Ok(Self::Markdown),
            Some("text" | "txt") => Ok(Self::Text),
            Some("chunks" | "jsonl") => Ok(Self::Chunks),
            Some("csv") => Ok(Self::Csv),
            Some(_) => Err(ApiError::field(
                "format",
                "unknown",
                "is not one of json, md, text, csv, chunks",
            )),
        }
    }

    /// The first type in `Accept` that is one of ours; JSON when there is none.
    fn accepted(headers: &HeaderMap) -> Self {
        let known = conditional::accepted(headers, |name| match name {
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            "text/markdown" => Some(Self::Markdown),
            "text/plain" | "text/*" => Some(Self::Text),
            JSON_LINES => Some(Self::Chunks),
            "text/csv" => Some(Self::Csv),
            _ => None,
        });
        known.unwrap_or(Self::Json)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Chunks => JSON_LINES,
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    fn body(
        self,
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
        if self == Self::Csv {
            let table = document.and_then(|document| document.table);
            let table = table.ok_or_else(|| {
                ApiError::field("format", "no_table", "is csv, and the file holds no table")
            })?;
            return Ok(to_csv(&table).into());
        }
        let view = |document| ResultView::new(job, answer, document);
        Ok(match self {
            Self::Json => {
                let reply = ResultReply {
                    success: true,
                    data: view(document),
                };
                serde_json::to_vec(&reply)
                    .map_err(ApiError::internal)?
                    .into()
            }
            Self::Markdown => result_text::markdown(&view(document)).into(),
            Self::Text | Self::Csv => result_text::plain(&view(document)).into(),
            Self::Chunks => {
                let document = document.ok_or(ApiError::NotFound("document"))?;
                chunk_lines(&document, options)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: Option<&str>) -> Format {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        Format::choose(None, &headers).unwrap()
    }

    #[test]
    fn accept_decides_when_the_query_does_not() {
        assert_eq!(accepted(None), Format::Json);
        assert_eq!(accepted(Some("*/*")), Format::Json);
        assert_eq!(
            accepted(Some("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")),
            Format::Json
        );
        assert_eq!(accepted(Some("text/markdown")), Format::Markdown);
        assert_eq!(
            accepted(Some("text/html, Text/Markdown;q=0.9, */*")),
            Format::Markdown
        );
        assert_eq!(accepted(Some("text/plain; charset=utf-8")), Format::Text);
    }

    #[test]
    fn the_query_wins() {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        assert_eq!(
            Format::choose(Some("md"), &headers).unwrap(),
            Format::Markdown
        );
        assert_eq!(
            Format::choose(Some("text"), &headers).unwrap(),
            Format::Text
        );
        assert_eq!(
            Format::choose(Some("json"), &headers).unwrap(),
            Format::Json
        );
        assert_eq!(Format::choose(Some("csv"), &headers).unwrap(), Format::Csv);
        assert!(matches!(
            Format::choose(Some("docx"), &headers),
            Err(ApiError::Validation(_))
        ));
    }
}
