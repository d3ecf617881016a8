//! `GET /api/admin/dead` and `POST /api/admin/dead/requeue`: jobs that ended with an error, and the way back for many at once.

use axum::{Json, body::Bytes, extract::State};
use quire_store::{DeadFilter, DeadLetter, JobCursor, JobId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::text;
use crate::http::query::Parameters;
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody, FieldError},
};

/// Letters on a page when the client does not say.
const DEFAULT_LIMIT: u32 = 50;

/// Most letters on a page.
const MAX_LIMIT: u32 = 200;

/// Jobs that one request may name.
const MAX_NAMED: usize = 1_000;

/// Jobs that one request queues again when it does not say.
const DEFAULT_REQUEUED: u32 = 1_000;

/// Most jobs that one request queues again: some seconds of work for the database.
const MAX_REQUEUED: u32 = 10_000;

/// Query of `GET /api/admin/dead`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeadQuery {
    /// Only jobs that ended with this error code.
    #[param(example = "poison")]
    code: Option<String>,
    /// Jobs on a page, 1 to 200; 50 when not given.
    #[param(example = "50")]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadReply {
    /// Always true.
    success: bool,
    /// The letters, those that ended last first.
    data: Vec<DeadView>,
    /// Where the list goes on.
    page: DeadPageInfo,
}

/// Where the list goes on.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadPageInfo {
    /// `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many match: exact up to 10,000.
    total_estimate: i64,
}

/// A job that ended with an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadView {
    /// The job.
    #[schema(example = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11")]
    job_id: String,
    /// Name of its file.
    file_name: String,
    /// `failed`, or `dead` after too many tries.
    #[schema(example = "dead")]
    state: &'static str,
    /// The queue whose work it ended in.
    #[schema(example = "extract")]
    queue: &'static str,
    /// Stable word for the error.
    #[schema(example = "poison")]
    code: String,
    /// The error in words.
    error: String,
    /// How often its last stage was started.
    attempts: i32,
    /// Failed tries.
    failures: i32,
    /// Workers that died at it.
    crashes: i32,
    /// When it was accepted.
    created_at: String,
    /// When it ended.
    finished_at: String,
}

/// Which dead letters to queue again: those of `job_ids`, those with `code`, or `all` of them.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct RequeueRequest {
    /// These jobs, at most 1,000.
    #[serde(default)]
    job_ids: Option<Vec<String>>,
    /// Jobs that ended with this error code.
    #[serde(default)]
    #[schema(example = "poison")]
    code: Option<String>,
    /// Every dead letter.
    #[serde(default)]
    all: bool,
    /// At most so many, 1 to 10,000; 1,000 when not given. Those that ended first come first.
    #[serde(default)]
    limit: Option<u32>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RequeueReply {
    /// Always true.
    success: bool,
    /// The counts.
    data: Requeued,
}

/// Counts of a requeue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Requeued {
    /// Jobs that were queued again.
    requeued: u64,
    /// Dead letters that still match.
    remaining: i64,
}

/// Lists the jobs that ended with an error, whoever they belong to, those that ended last first.
#[utoipa::path(get, path = "/api/admin/dead", tag = "admin", params(DeadQuery),
    responses(
        (status = 200, body = DeadReply),
        (status = 422, body = ErrorBody, description = "`validation_failed` or `bad_cursor`"),
        (status = 503, body = ErrorBody),
    ))]
pub async fn list(
    State(state): State<AppState>,
    Parameters(query): Parameters<DeadQuery>,
) -> Result<Json<DeadReply>, ApiError> {
    let (filter, cursor, limit) = check(query)?;
    let page = state
        .answered(state.store.dead_letters(&filter, cursor, limit))
        .await?;
    Ok(Json(DeadReply {
        success: true,
        data: page.letters.into_iter().map(DeadView::from).collect(),
        page: DeadPageInfo {
            next_cursor: page.next.map(|next| next.to_string()),
            total_estimate: page.total_estimate,
        },
    }))
}

/// Queues dead letters again: each begins a new run with fresh budgets.
///
/// Jobs that did not end with an error are left as they are.
#[utoipa::path(post, path = "/api/admin/dead/requeue", tag = "admin", request_body = RequeueRequest,
    responses((status = 200, body = RequeueReply), (status = 422, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub async fn requeue(
    State(state): State<AppState>,
    body: Bytes,
) -> Result<Json<RequeueReply>, ApiError> {
    let (filter, limit) = chosen(&body)?;
    let requeued = state.store.requeue_letters(&filter, limit).await?;
    tracing::info!(requeued, "dead letters queued again");
    let left = state
        .answered(state.store.dead_letters(&filter, None, 1))
        .await?;
    Ok(Json(RequeueReply {
        success: true,
        data: Requeued {
            requeued,
            remaining: left.total_estimate,
        },
    }))
}

impl From<DeadLetter> for DeadView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            job_id: letter.id.to_string(),
            file_name: letter.file_name,
            state: letter.state.as_str(),
            queue: letter.stage.as_str(),
            code: letter.code,
            error: letter.message,
            attempts: letter.attempts,
            failures: letter.failures,
            crashes: letter.crashes,
            created_at: text(letter.created_at),
            finished_at: text(letter.finished_at),
        }
    }
}

fn check(query: DeadQuery) -> Result<(DeadFilter, Option<JobCursor>, u32), ApiError> {
    let limit = match query.limit.as_deref().filter(|text| !text.is_empty()) {
        None => DEFAULT_LIMIT,
        Some(text) => {
            let limit = text.parse().ok();
            let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit.ok_or_else(|| {
                let message = format!("is not a number from 1 to {MAX_LIMIT}");
                ApiError::field("limit", "out_of_range", message)
            })?
        }
    };
    let cursor = query.cursor.as_deref().filter(|text| !text.is_empty());
    let cursor = cursor.map(str::parse).transpose();
    let filter = DeadFilter {
        code: code(query.code),
        ..DeadFilter::default()
    };
    Ok((filter, cursor.map_err(|_| ApiError::BadCursor)?, limit))
}

/// A NUL is in no stored code, and Postgres takes none in a text: without it the code matches nothing all the same.
fn code(text: Option<String>) -> Option<String> {
    let text = text.map(|text| text.replace('\0', "\u{fffd}"));
    text.filter(|text| !text.is_empty())
}

fn chosen(body: &[u8]) -> Result<(DeadFilter, u32), ApiError> {
    let request = read(body).map_err(|error| {
        ApiError::field("body", "malformed", format!("cannot be read: {error}"))
    })?;
    let mut errors = Vec::new();
    let limit = request.limit.unwrap_or(DEFAULT_REQUEUED);
    if !(1..=MAX_REQUEUED).contains(&limit) {
        let message = format!("is not a number from 1 to {MAX_REQUEUED}");
        errors.push(FieldError::new("limit", "out_of_range", message));
    }
    let named = request.job_ids.is_some();
    let jobs = match jobs(&request.job_ids.unwrap_or_default()) {
        Ok(jobs) if named && jobs.is_empty() => {
            errors.push(FieldError::new("job_ids", "required", "names no job"));
            jobs
        }
        Ok(jobs) => jobs,
        Err(error) => {
            errors.push(error);
            Vec::new()
        }
    };
    let code = code(request.code);
    if !named && code.is_none() && !request.all {
        let message = "is required when neither code nor all says which";
        errors.push(FieldError::new("job_ids", "required", message));
    }
    if errors.is_empty() {
        Ok((DeadFilter { code, jobs }, limit))
    } else {
        Err(ApiError::Validation(errors))
    }
}

/// Through a map, because a structure is also read from an array, where nobody says which field is which.
fn read(body: &[u8]) -> Result<RequeueRequest, serde_json::Error> {
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body)?;
    serde_json::from_value(fields.into())
}

fn jobs(ids: &[String]) -> Result<Vec<JobId>, FieldError> {
    if ids.len() > MAX_NAMED {
        let message = format!("names more than {MAX_NAMED} jobs");
        return Err(FieldError::new("job_ids", "too_many", message));
    }
    let parsed: Result<Vec<JobId>, _> = ids.iter().map(|id| id.parse()).collect();
    parsed.map_err(|_| FieldError::new("job_ids", "invalid", "has an entry that is no job id"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> Vec<(String, &'static str)> {
        let Err(ApiError::Validation(errors)) = chosen(body.as_bytes()) else {
            panic!("accepted: {body}");
        };
        let named = errors.iter().map(|e| (e.field.to_string(), e.code));
        named.collect()
    }

    #[test]
    fn nothing_is_requeued_by_accident() {
        let required = [("job_ids".to_owned(), "required")];
        assert_eq!(refused("{}"), required);
        assert_eq!(refused(r#"{"job_ids":[]}"#), required);
        assert_eq!(refused(r#"{"code":""}"#), required);
        assert_eq!(refused(r#"{"all":false,"limit":5}"#), required);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for body in ["", "[]", r#"{"all":1}"#, r#"{"limit":-1,"all":true}"#] {
            assert_eq!(refused(body), [("body".to_owned(), "malformed")], "{body}");
        }
        assert_eq!(
            refused(r#"{"job_ids":["job-123"],"limit":0}"#),
            [
                ("limit".to_owned(), "out_of_range"),
                ("job_ids".to_owned(), "invalid")
            ]
        );
        let many = vec!["01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11"; MAX_NAMED + 1];
        let many = serde_json::json!({"job_ids": many}).to_string();
        assert_eq!(refused(&many), [("job_ids".to_owned(), "too_many")]);
    }

    #[test]
    fn a_choice_becomes_a_filter() {
        let (filter, limit) = chosen(br#"{"code":"poison","all":true,"limit":7}"#).unwrap();
        assert_eq!((filter.code.as_deref(), limit), (Some("poison"), 7));
        let (filter, limit) = chosen(br#"{"all":true}"#).unwrap();
        assert_eq!((filter, limit), (DeadFilter::default(), DEFAULT_REQUEUED));
    }
}
