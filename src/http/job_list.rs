//! `GET /api/jobs`: the list of jobs, newest first, filtered and in pages.
//!
//! Every value of the query is text until it is checked here, so that all wrong ones are named in one reply.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use quire_store::{BatchId, JobCursor, JobFilter, JobState, Owner};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::job_view::{JobView, states_of};
use super::query::Parameters;
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody, FieldError},
};

/// Jobs on a page when the client does not say.
const DEFAULT_LIMIT: u32 = 50;

/// Most jobs on a page: 200 answers of some KB each are still a reply of about 1 MB.
const MAX_LIMIT: u32 = 200;

/// Longest search text; it goes into a pattern match over two columns.
const MAX_QUERY_CHARS: usize = 200;

/// Query of `GET /api/jobs`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Statuses or states, separated by commas: `pending`, `processing`, `completed`, `failed`, `cancelled`, or finer
    /// `queued`, `scheduled`, `running`, `streaming`, `dead`.
    #[param(example = "pending,processing")]
    status: Option<String>,
    /// Text in the file name or the prompt.
    q: Option<String>,
    /// Only jobs created after this time, RFC 3339 with offset.
    #[param(example = "2024-01-01T00:00:00Z")]
    created_after: Option<String>,
    /// Only jobs of this batch.
    batch_id: Option<String>,
    /// Jobs on a page, 1 to 200; 50 when not given.
    #[param(example = "50")]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The list of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListReply {
    /// Always true.
    success: bool,
    /// The jobs, newest first.
    data: Vec<JobView>,
    /// Where the list goes on.
    page: PageInfo,
}

/// Where a list goes on.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageInfo {
    /// `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// About how many jobs match.
    total_estimate: i64,
}

/// A query that was checked.
#[derive(Debug, PartialEq)]
struct Listing {
    filter: JobFilter,
    cursor: Option<JobCursor>,
    limit: u32,
}

/// Lists jobs, newest first.
#[utoipa::path(get, path = "/api/jobs", tag = "jobs", params(ListQuery),
    responses(
        (status = 200, body = ListReply),
        (status = 422, body = ErrorBody, description = "`validation_failed` or `bad_cursor`"),
        (status = 503, body = ErrorBody),
    ))]
pub async fn list(
    State(state): State<AppState>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<ListReply>, ApiError> {
    let Listing {
        filter,
        cursor,
        limit,
    } = check(&query)?;
    let page = state
        .store
        .list_jobs(Owner::LOCAL, &filter, cursor, limit)
        .await?;
    Ok(Json(ListReply {
        success: true,
        data: page.jobs.into_iter().map(JobView::from).collect(),
        page: PageInfo {
            next_cursor: page.next.map(|next| next.to_string()),
            total_estimate: page.total_estimate,
        },
    }))
}

fn check(query: &ListQuery) -> Result<Listing, ApiError> {
    let mut errors = Vec::new();
    let filter = JobFilter {
        states: or_note(&mut errors, states(query.status.as_deref())),
        q: or_note(&mut errors, search(query.q.as_deref())),
        created_after: or_note(&mut errors, created_after(query.created_after.as_deref())),
        batch: or_note(&mut errors, batch(query.batch_id.as_deref())),
    };
    let limit = or_note(&mut errors, limit(query.limit.as_deref()));
    if !errors.is_empty() {
        return Err(ApiError::Validation(errors));
    }
    let cursor = query
        .cursor
        .as_deref()
        .filter(|text| !text.is_empty())
        .map(str::parse)
        .transpose();
    Ok(Listing {
        filter,
        cursor: cursor.map_err(|_| ApiError::BadCursor)?,
        limit,
    })
}

fn or_note<T: Default>(errors: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> T {
    checked.unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}

fn states(text: Option<&str>) -> Result<Vec<JobState>, FieldError> {
    let mut states = Vec::new();
    for word in text
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let found = states_of(word);
        if found.is_empty() {
            return Err(FieldError::new(
                "status",
                "unknown",
                "names a status that does not exist",
            ));
        }
        states.extend(found);
    }
    Ok(states)
}

fn search(text: Option<&str>) -> Result<Option<String>, FieldError> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    if text.contains('\0') {
        return Err(FieldError::new(
            "q",
            "invalid_character",
            "contains a NUL character",
        ));
    }
    if text.chars().count() > MAX_QUERY_CHARS {
        return Err(FieldError::new(
            "q",
            "too_long",
            format!("is longer than {MAX_QUERY_CHARS} characters"),
        ));
    }
    Ok(Some(text.to_owned()))
}

fn created_after(text: Option<&str>) -> Result<Option<DateTime<Utc>>, FieldError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = DateTime::parse_from_rfc3339(text);
    let at = parsed.map_err(|_| {
        FieldError::new(
            "created_after",
            "invalid",
            "is not an RFC 3339 time with offset",
        )
    })?;
    Ok(Some(at.to_utc()))
}

fn batch(text: Option<&str>) -> Result<Option<BatchId>, FieldError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parsed = text.parse();
    let id = parsed.map_err(|_| FieldError::new("batch_id", "invalid", "is not a batch id"))?;
    Ok(Some(id))
}

/// Entries on a page.
pub(super) fn limit(text: Option<&str>) -> Result<u32, FieldError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(DEFAULT_LIMIT);
    };
    let limit = text
        .parse()
        .ok()
        .filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| {
        FieldError::new(
            "limit",
            "out_of_range",
            format!("is not a number from 1 to {MAX_LIMIT}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> ListQuery {
        let get = |name| {
            pairs
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| (*value).to_owned())
        };
        ListQuery {
            status: get("status"),
            q: get("q"),
            created_after: get("created_after"),
            batch_id: get("batch_id"),
            limit: get("limit"),
            cursor: get("cursor"),
        }
    }

    #[test]
    fn an_empty_query_lists_everything() {
        for query in [
            query(&[]),
            query(&[
                ("status", ""),
                ("q", " "),
                ("created_after", ""),
                ("batch_id", ""),
                ("limit", ""),
                ("cursor", ""),
            ]),
        ] {
            let expected = Listing {
                filter: JobFilter::default(),
                cursor: None,
                limit: DEFAULT_LIMIT,
            };
            assert_eq!(check(&query).unwrap(), expected);
        }
    }

    #[test]
    fn filters_are_read() {
        let listing = check(&query(&[
            ("status", "pending, dead"),
            ("q", " invoice "),
            ("created_after", "2024-01-01T02:00:00+02:00"),
            ("limit", "200"),
        ]));
        let listing = listing.unwrap();
        assert_eq!(
            listing.filter.states,
            [JobState::Queued, JobState::Scheduled, JobState::Dead]
        );
        assert_eq!(listing.filter.q.as_deref(), Some("invoice"));
        assert_eq!(
            listing.filter.created_after.unwrap().to_rfc3339(),
            "2024-01-01T00:00:00+00:00"
        );
        assert_eq!(listing.limit, 200);
    }

    #[test]
    fn every_wrong_value_is_named() {
        let long = "x".repeat(MAX_QUERY_CHARS + 1);
        let wrong = query(&[
            ("status", "done"),
            ("q", &long),
            ("created_after", "2024-01-01T00:00:00"),
            ("batch_id", "7"),
            ("limit", "201"),
        ]);
        let Err(ApiError::Validation(errors)) = check(&wrong) else {
            panic!("accepted");
        };
        let named: Vec<_> = errors.iter().map(|e| (e.field.as_ref(), e.code)).collect();
        let expected = [
            ("status", "unknown"),
            ("q", "too_long"),
            ("created_after", "invalid"),
            ("batch_id", "invalid"),
            ("limit", "out_of_range"),
        ];
        assert_eq!(named, expected);
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for text in ["abc", "1", "zz", "ffffffffffffffff"] {
            assert!(
                matches!(check(&query(&[("cursor", text)])), Err(ApiError::BadCursor)),
                "{text}"
            );
        }
    }

    #[test]
    fn limits_outside_the_range_are_refused() {
        for text in ["0", "-1", "201", "1e2", "4294967296", "ten"] {
            assert!(limit(Some(text)).is_err(), "{text}");
        }
    }
}
