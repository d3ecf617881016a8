//! The application: its state and, on one screen, every route with what each request passes through.

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use http::{
    HeaderValue,
    header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use quire_store::{FileStore, Store};
use quire_workers::WorkersStatus;
use tokio_util::sync::CancellationToken;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouterExt},
    routes,
};

use crate::{
    config::Config,
    error::ApiError,
    http::{
        docs, edge, health, job_list, jobs, metrics,
        origins::{self, Origins},
        page, result, socket,
        socket::hold::UploadHold,
        stream, upload,
    },
    serve::engines::Loading,
};

/// What handlers share. A clone costs some reference counts.
#[derive(Clone)]
pub struct AppState {
    /// The settings.
    pub config: Arc<Config>,
    /// Jobs and events.
    pub store: Store,
    /// Uploaded files.
    pub files: FileStore,
    /// The workers of this process, as they were started; `None` when it has none.
    pub workers: Option<Arc<WorkersStatus>>,
    /// How far the default model is.
    pub models: Loading,
    /// Jobs whose upload reply is not read yet.
    pub hold: UploadHold,
    /// Web pages that may call the server.
    pub origins: Arc<Origins>,
    /// Cancelled when the stop begins: no new uploads, long polls and sockets end, `/readyz` says no.
    pub shutdown: CancellationToken,
}

impl AppState {
    /// The state of one server.
    pub fn new(
        config: Arc<Config>,
        store: Store,
        files: FileStore,
        workers: Option<WorkersStatus>,
        models: Loading,
    ) -> Self {
        let origins = Arc::new(Origins::new(&config.cors_origins));
        let (hold, shutdown) = (UploadHold::new(), CancellationToken::new());
        Self {
            config,
            store,
            files,
            workers: workers.map(Arc::new),
            models,
            hold,
            origins,
            shutdown,
        }
    }
}

/// Every route of the API with its description.
fn api(max_upload: usize) -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(docs::Head::openapi())
        .routes(routes!(upload::upload).layer(DefaultBodyLimit::max(max_upload)))
        .routes(routes!(job_list::list))
        .routes(routes!(jobs::show))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(result::show))
        .routes(routes!(stream::events))
        .routes(routes!(socket::open))
        .routes(routes!(socket::open_session))
        .routes(routes!(socket::open_chat))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::version))
        .routes(routes!(metrics::show))
}

/// The files of the page at `/`.
fn pages() -> Router<AppState> {
    Router::new()
        .route("/", get(page::index))
        .route("/assets/app.js", get(page::script))
        .route("/assets/app.css", get(page::style))
        .route("/assets/icon.svg", get(page::icon))
}

/// The whole application.
pub fn router(state: AppState) -> Router {
    metrics::install();
    let max_upload = state
        .config
        .max_upload_bytes
        .saturating_add(upload::FORM_OVERHEAD);
    let (api, document) = api(usize::try_from(max_upload).unwrap_or(usize::MAX)).split_for_parts();
    let routes = api.merge(pages()).merge(docs::routes(document));
    edged(routes, &state.origins).with_state(state)
}

/// The OpenAPI document of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    api(usize::MAX).into_openapi()
}

/// What every request passes through; the last layer is the outermost.
fn edged<S: Clone + Send + Sync + 'static>(routes: Router<S>, origins: &Arc<Origins>) -> Router<S> {
    routes
        .fallback(|| async { ApiError::NotFound("page") })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(from_fn_with_state(origins.clone(), origins::guard))
        .layer(from_fn(edge::answer_errors))
        .layer(SetResponseHeaderLayer::if_not_present(
            CONTENT_SECURITY_POLICY,
            NO_CONTENT,
        ))
        .layer(SetResponseHeaderLayer::overriding(
            X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(SetResponseHeaderLayer::overriding(
            REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ))
        .layer(origins::cors(origins.clone()))
        .layer(from_fn(edge::observe))
}

/// Replies of the API are data: whatever they hold, a browser that shows one loads and runs nothing.
const NO_CONTENT: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

#[cfg(test)]
mod tests;
