//! `GET /api/batches/{id}/results`: one JSON line for each item, in the order of the input, as a stream.
//!
//! It can be read while the batch runs: an item that has not ended is a line with its present status and no answer. Pages are
//! read as the client takes them, so memory does not depend on the number of items. When the database goes away in the
//! middle the connection breaks off, which every client sees; a list that only looks complete would be worse.

use std::collections::VecDeque;

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderValue, header::CONTENT_TYPE};
use quire_store::{BatchId, BatchItem, BatchItemCursor, Owner, Store};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{BatchPath, view::ResultLine};
use crate::http::query::Parameters;
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Items read at once: with answers of some KB each, about 1 MB.
const PAGE: u32 = 200;

/// Items read at once when their answers are not wanted.
const BRIEF_PAGE: u32 = 1000;

/// Query of `GET /api/batches/{id}/results`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// `false` leaves answers and citations out.
    #[param(example = "false")]
    answers: Option<String>,
}

/// Streams the results of a batch as JSON lines, in the order of the input.
///
/// One line for each item: `index`, `key`, `reference`, `file_name`, `job_id`, `status`, `error`, `error_code`, `answer`,
/// `citations`. Items that have not ended are there too, with the status `pending` or `processing`.
#[utoipa::path(get, path = "/api/batches/{id}/results", tag = "batches",
    params(("id" = String, Path), ResultsQuery),
    responses(
        (status = 200, body = ResultLine, content_type = "application/jsonl", description = "one line for each item"),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn results(
    State(state): State<AppState>,
    BatchPath(id): BatchPath,
    Parameters(query): Parameters<ResultsQuery>,
) -> Result<Response, ApiError> {
    let answers = match query.answers.as_deref() {
        None | Some("" | "true") => true,
        Some("false") => false,
        Some(_) => {
            return Err(ApiError::field(
                "answers",
                "invalid",
                "is neither true nor false",
            ));
        }
    };
    let store = state.store;
    if store.batch(Owner::LOCAL, id).await?.is_none() {
        return Err(ApiError::NotFound("batch"));
    }
    let mut pages = Pages {
        store,
        id,
        answers,
        after: None,
        ended: false,
    };
    // The first page before the head, so that a database that is away is a 503 and no broken reply.
    let first = pages.next().await?;
    let body = Body::from_stream(lines(pages, first));
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    Ok(response)
}

fn lines(pages: Pages, first: Option<Bytes>) -> impl Stream<Item = Result<Bytes, ApiError>> {
    let ready: VecDeque<Bytes> = first.into_iter().collect();
    stream::try_unfold((pages, ready), async |(mut pages, mut ready)| {
        let page = match ready.pop_front() {
            Some(page) => Some(page),
            None => pages.next().await?,
        };
        Ok(page.map(|page| (page, (pages, ready))))
    })
}

struct Pages {
    store: Store,
    id: BatchId,
    answers: bool,
    after: Option<BatchItemCursor>,
    ended: bool,
}

impl Pages {
    /// The lines of the next items; `None` behind the last one.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        if self.ended {
            return Ok(None);
        }
        let limit = if self.answers { PAGE } else { BRIEF_PAGE };
        let items = self
            .store
            .batch_items(self.id, self.after.as_ref(), limit, self.answers)
            .await?;
        self.ended = items.len() < limit as usize;
        self.after = items.last().map(BatchItem::cursor);
        if items.is_empty() {
            return Ok(None);
        }
        let mut lines = Vec::new();
        for item in items {
            let line = ResultLine::new(item, self.answers).map_err(ApiError::internal)?;
            serde_json::to_writer(&mut lines, &line).map_err(ApiError::internal)?;
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}
