//! `GET /api/jobs/{id}/document`: what was read out of the file, as JSON, Markdown, plain text, or in pieces for retrieval.
//!
//! It is there as soon as the file has been read, while the answer is still being found, and also when none was. The same bytes read by
//! the same version give the same document, and the same document the same output: `quire_extract` writes both.

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::HeaderMap;
use quire_extract::{Budget, ChunkOptions, Document, EXTRACTOR_VERSION, markdown};
use quire_store::{Job, Owner, Stage};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    format::{Format, chunk_lines, csv_rows},
    jobs::JobPath,
    query::Parameters,
    result::must_be_completed,
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Sizes of pieces that may be asked for, in characters. Smaller ones would be mostly wrapping.
const CHARACTERS: std::ops::RangeInclusive<usize> = 50..=100_000;

/// The same in tokens.
const TOKENS: std::ops::RangeInclusive<usize> = 16..=25_000;

/// Query of `GET /api/jobs/{id}/document`, beside that of its pieces.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DocumentQuery {
    /// `json`, `md`, `text`, `csv` for the rows of a table, or `chunks`; without it the `Accept` header decides.
    #[param(example = "md")]
    format: Option<String>,
}

/// How pieces are cut, for `format=chunks`.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChunkQuery {
    /// Most characters of a piece, 50 to 100000 [default: 1000].
    #[param(example = "1000")]
    pub characters: Option<String>,
    /// Most tokens of a piece in place of characters, 16 to 25000, as far as they can be told without a model.
    #[param(example = "256")]
    pub tokens: Option<String>,
    /// What neighbours on a page share at most, in the same unit, less than half of a piece [default: a tenth].
    #[param(example = "100")]
    pub overlap: Option<String>,
}

/// `{success, data}` around a document, for documentation.
#[derive(Serialize, ToSchema)]
pub struct DocumentReply {
    /// Always true.
    pub success: bool,
    /// The document: `version` of the extractor, `media`, `pages` with `text`, `lines` and who read them, `table` with its profile and
    /// rows, `image`, `metadata`, `warnings`.
    #[schema(value_type = Object)]
    pub data: Document,
}

/// Gives what was read out of the file.
///
/// With `format=chunks` it comes as JSON lines: `index`, `page` or `rows`, `start`, `end`, `text`; the text of a piece is exactly the
/// characters `start..end` of its page.
#[utoipa::path(get, path = "/api/jobs/{id}/document", tag = "jobs",
    params(("id" = String, Path), DocumentQuery, ChunkQuery, ("If-None-Match" = Option<String>, Header)),
    responses(
        (status = 200, content((DocumentReply = "application/json"), (String = "text/markdown"), (String = "text/plain"), (String = "text/csv"), (String = "application/x-ndjson"))),
        (status = 304, description = "the client's copy is current"),
        (status = 404, body = ErrorBody, description = "`not_found`: no such job, or its document is no longer stored"),
        (status = 409, body = ErrorBody, description = "`not_finished`: the file has not been read yet; ask again after `Retry-After`"),
        (status = 422, body = ErrorBody),
        (status = 424, body = ErrorBody, description = "`job_failed`: the file could not be read, or the job was cancelled before"),
        (status = 503, body = ErrorBody),
    ))]
pub async fn show(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<DocumentQuery>,
    Parameters(cut): Parameters<ChunkQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = Format::choose(query.format.as_deref(), &headers)?;
    let options = cut.options()?;
    let job = state.store.job(Owner::LOCAL, id).await?;
    let job = job.ok_or(ApiError::NotFound("job"))?;
    must_be_read(&job)?;
    let document = state
        .store
        .document_of(Owner::LOCAL, &job.sha256, EXTRACTOR_VERSION.cast_signed())
        .await?
        .ok_or(ApiError::NotFound("document"))?;
    // A document of a thousand pages takes many milliseconds to decode and encode.
    let body = tokio::task::spawn_blocking(move || body(format, document, options))
        .await
        .map_err(ApiError::internal)??;
    Ok(format.reply(&headers, body))
}

/// The file was read once the job has come to its second stage, however that ends.
fn must_be_read(job: &Job) -> Result<(), ApiError> {
    if job.stage == Stage::Answer {
        return Ok(());
    }
    must_be_completed(job)
}

impl ChunkQuery {
    /// The options, within their limits.
    pub fn options(&self) -> Result<ChunkOptions, ApiError> {
        let characters = number("characters", self.characters.as_deref(), &CHARACTERS)?;
        let tokens = number("tokens", self.tokens.as_deref(), &TOKENS)?;
        if characters.is_some() && tokens.is_some() {
            return Err(ApiError::field(
                "tokens",
                "conflict",
                "cannot be given together with characters",
            ));
        }
        let ChunkOptions { budget, .. } = ChunkOptions::default();
        let budget = characters.map_or(budget, Budget::Characters);
        let budget = tokens.map_or(budget, Budget::Tokens);
        let (Budget::Characters(size) | Budget::Tokens(size)) = budget;
        let most = (size - 1) / 2;
        let overlap = number("overlap", self.overlap.as_deref(), &(0..=most))?;
        Ok(ChunkOptions {
            budget,
            overlap: overlap.unwrap_or(size / 10),
        })
    }
}

fn number(
    field: &'static str,
    text: Option<&str>,
    range: &std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(ApiError::field(
            field,
            "out_of_range",
            format!("is not a number from {} to {}", range.start(), range.end()),
        )),
    }
}

fn body(format: Format, document: Value, options: ChunkOptions) -> Result<Bytes, ApiError> {
    let document: Document = serde_json::from_value(document).map_err(ApiError::internal)?;
    Ok(match format {
        Format::Json => {
            let reply = DocumentReply {
                success: true,
                data: document,
            };
            serde_json::to_vec(&reply)
                .map_err(ApiError::internal)?
                .into()
        }
        Format::Markdown => markdown::document(&document).into(),
        Format::Text => markdown::plain(&document).into(),
        Format::Csv => csv_rows(document)?,
        Format::Chunks => chunk_lines(&document, options)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(
        characters: Option<&str>,
        tokens: Option<&str>,
        overlap: Option<&str>,
    ) -> Result<ChunkOptions, ApiError> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        ChunkQuery {
            characters: owned(characters),
            tokens: owned(tokens),
            overlap: owned(overlap),
        }
        .options()
    }

    #[test]
    fn pieces_have_a_size_and_an_overlap_below_half_of_it() {
        assert_eq!(cut(None, None, None).unwrap(), ChunkOptions::default());
        let options = cut(None, Some("200"), None).unwrap();
        assert_eq!((options.budget, options.overlap), (Budget::Tokens(200), 20));
        assert_eq!(cut(Some("101"), None, Some("50")).unwrap().overlap, 50);
        for (characters, tokens, overlap) in [
            (Some("49"), None, None),
            (Some("many"), None, None),
            (None, Some("15"), None),
            (Some("100"), Some("100"), None),
            (Some("101"), None, Some("51")),
            (None, None, Some("-1")),
        ] {
            let refused = cut(characters, tokens, overlap);
            assert!(
                matches!(refused, Err(ApiError::Validation(_))),
                "{characters:?} {tokens:?} {overlap:?}"
            );
        }
    }
}
