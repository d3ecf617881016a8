//! `/api/admin`: the operator's view of the whole queue and the few things an operator does to it.
//!
//! Everything here looks across owners, so all of it stands behind one guard, [`Admin`]: whoever adds a route to [`router`] gets
//! it, and the live view asks for it by its type.

pub mod dead;
pub mod live;
pub mod queues;
pub mod view;

use axum::{extract::FromRequestParts, middleware::from_extractor};
use http::request::Parts;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::AppState, error::ApiError};

/// Somebody who may see and change what belongs to everybody. Without accounts that is whoever reaches the server: it listens
/// on this machine only, and pages of other origins are kept away from it.
#[derive(Clone, Copy, Debug)]
pub struct Admin(());

impl Admin {
    /// The local principal, which is everybody as long as there are no accounts.
    pub const LOCAL: Self = Self(());
}

impl<S: Send + Sync> FromRequestParts<S> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::LOCAL)
    }
}

/// Every route under `/api/admin`, behind the guard.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(queues::show))
        .routes(routes!(queues::workers))
        .routes(routes!(queues::pause))
        .routes(routes!(queues::resume))
        .routes(routes!(dead::list))
        .routes(routes!(dead::requeue))
        .route_layer(from_extractor::<Admin>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_operator_is_behind_the_guard() {
        let guarded = router().into_openapi().paths.paths;
        let all = crate::app::openapi().paths.paths;
        let admin = all.keys().filter(|path| path.starts_with("/api/admin"));
        assert!(
            admin.clone().eq(guarded.keys()),
            "{:?}",
            admin.collect::<Vec<_>>()
        );
        assert_eq!(guarded.len(), 6);
    }
}
