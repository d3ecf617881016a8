//! `/openapi.json`, and `/docs`: Swagger UI from files inside the binary, so that it works without a network.

use axum::Router;
use http::{HeaderValue, header::CONTENT_SECURITY_POLICY};
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::{OpenApi, openapi::OpenApi as Document};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Swagger UI sets styles from its script and has its icons inline; nothing else is let in.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
);

/// What stands above the paths; the paths come from the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "quire",
        description = "Upload a PDF, CSV, image or office document with a question; the answer streams over WebSocket or server-sent events while it is found.\n\nEvery error has the body `ErrorBody`. It is sent as `application/problem+json` (RFC 9457) to a client whose `Accept` names that type, else as `application/json`."
    ),
    tags(
        (name = "jobs", description = "Uploads, their jobs and results"),
        (name = "batches", description = "Many files as one thing, with results in the order of the input"),
        (name = "events", description = "What happens to jobs, live"),
        (name = "operation", description = "State of the server"),
        (name = "admin", description = "The whole queue, for its operator"),
    )
)]
pub struct Head;

/// The document and the page that shows it.
pub fn routes<S: Clone + Send + Sync + 'static>(document: Document) -> Router<S> {
    let config = Config::default()
        .validator_url("none")
        .try_it_out_enabled(true);
    let pages = SwaggerUi::new("/docs")
        .config(config)
        .url("/openapi.json", document);
    Router::from(pages).layer(SetResponseHeaderLayer::overriding(
        CONTENT_SECURITY_POLICY,
        POLICY,
    ))
}
