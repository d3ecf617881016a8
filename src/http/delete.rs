//! `DELETE /api/jobs/{id}`: a job is deleted, with its file when that is asked for.

use axum::extract::State;
use http::StatusCode;
use quire_store::{DeleteOutcome, Owner};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{job_view::status_of, jobs::JobPath, query::Parameters};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// Query of `DELETE /api/jobs/{id}`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// `file` deletes the uploaded file as well, and what was extracted from it, unless another job needs it.
    #[param(example = "file")]
    purge: Option<String>,
}

/// Deletes a job, its answer and its events.
///
/// A job that still waits is cancelled first; one that is being worked on has to be cancelled before. The file stays unless
/// `purge=file` is given; it is then removed at once or, when it was uploaded in the last minute, by the housekeeping.
#[utoipa::path(delete, path = "/api/jobs/{id}", tag = "jobs",
    params(("id" = String, Path), DeleteQuery),
    responses(
        (status = 204, description = "the job is gone"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`invalid_state`: the job is being worked on"),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ))]
pub async fn delete(
    State(state): State<AppState>,
    JobPath(id): JobPath,
    Parameters(query): Parameters<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let purge = purges_file(query.purge.as_deref())?;
    match state.store.delete_job(Owner::LOCAL, id, purge).await? {
        DeleteOutcome::Deleted { freed } => {
            if let Some(sha256) = freed {
                remove_file(&state, &sha256).await;
            }
            Ok(StatusCode::NO_CONTENT)
        }
        DeleteOutcome::InUse(state) => Err(ApiError::InvalidState {
            state: status_of(state),
            action: "deleted",
        }),
        DeleteOutcome::NotFound => Err(ApiError::NotFound("job")),
    }
}

fn purges_file(purge: Option<&str>) -> Result<bool, ApiError> {
    match purge {
        None | Some("") => Ok(false),
        Some("file") => Ok(true),
        Some(_) => Err(ApiError::field("purge", "invalid", "is not `file`")),
    }
}

/// The job is gone whatever happens here; what cannot be removed now is removed by the next sweep.
async fn remove_file(state: &AppState, sha256: &[u8; 32]) {
    match state.store.remove_unnamed(&state.files, sha256).await {
        Ok(removed) => tracing::debug!(removed, "the file of a deleted job"),
        Err(error) => {
            tracing::warn!(%error, "the file of a deleted job is left to the next sweep");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_file_can_be_purged() {
        assert!(!purges_file(None).unwrap() && !purges_file(Some("")).unwrap());
        assert!(purges_file(Some("file")).unwrap());
        assert!(purges_file(Some("all")).is_err());
    }
}
