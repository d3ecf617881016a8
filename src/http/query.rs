//! The parameters behind the `?` of a request, with the one error for those that cannot be read.

use axum::extract::{FromRequestParts, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// Reads a query string; `422` names the field `query` when it cannot be.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<T>(pub T);

impl<T, S> FromRequestParts<S> for Parameters<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(parameters) = Query::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::field("query", "malformed", "cannot be read"))?;
        Ok(Self(parameters))
    }
}
