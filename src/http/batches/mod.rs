//! `/api/batches`: many files as one thing, with results in the order of the input.
//!
//! A batch is filled by the request that opens it, by any number of later ones, or by both. Every file becomes a job, or an
//! item with the reason why not, while the next is still being received: a request that breaks off loses nothing of what
//! came before, and sending it again adds only what was missing. One bad file never sinks the others.

pub mod cancel;
pub mod fill;
mod form;
pub mod list;
mod plan;
mod receive;
pub mod results;
pub mod show;
pub mod view;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use quire_store::BatchId;

use crate::error::ApiError;

pub use cancel::{__path_cancel, cancel};
pub use fill::{__path_add, __path_create, add, create};
pub use list::{__path_list, list};
pub use results::{__path_results, results};
pub use show::{__path_show, show};

/// A batch's id from the path; anything that is no id is a batch that does not exist.
#[derive(Clone, Copy, Debug)]
pub struct BatchPath(pub BatchId);

impl<S: Send + Sync> FromRequestParts<S> for BatchPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let missing = || ApiError::NotFound("batch");
        let text = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        text.parse().map(Self).map_err(|_| missing())
    }
}
