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
use quire_store::{FileStore, Store, StoreError};
use quire_workers::WorkersStatus;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
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
        admin::{self, live::LiveQueue},
        away, batches, delete, docs, document, edge,
        head::{self, Hosts},
        health,
        intake::{Announced, Intake},
        job_list, jobs,
        metrics::{self, stored::QueueNumbers},
        origins::{self, Origins},
        page,
        pages::{self, studio::Studio},
        position, prioritize, reschedule, result, socket,
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
    /// Whether another upload is taken now.
    pub intake: Arc<Intake>,
    /// The whole queue, live.
    pub queue: LiveQueue,
    /// The numbers of the queue, for `/metrics`.
    pub queue_numbers: Arc<QueueNumbers>,
    /// Draws pages.
    pub studio: Arc<Studio>,
    /// Jobs whose upload reply is not read yet.
    pub hold: UploadHold,
    /// Web pages that may call the server.
    pub origins: Arc<Origins>,
    /// Names by which the server may be called.
    pub hosts: Arc<Hosts>,
    /// Every open socket: the stop waits until each was told.
    pub sockets: TaskTracker,
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
        let hosts = Arc::new(Hosts::new(&config.bind, &config.allowed_hosts));
        let (hold, shutdown) = (UploadHold::new(), CancellationToken::new());
        let studio = Studio::new(config.require_sandbox);
        Self {
            config,
            queue: LiveQueue::new(store.clone(), shutdown.clone()),
            queue_numbers: Arc::default(),
            store,
            files,
            workers: workers.map(Arc::new),
            models,
            intake: Arc::default(),
            studio: Arc::new(studio),
            hold,
            origins,
            hosts,
            sockets: TaskTracker::new(),
            shutdown,
        }
    }
}

impl AppState {
    /// Waits for a call into the store, but not for a database that does not answer any more: what it made of the call is then
    /// unknown, as after any lost reply.
    pub async fn answered<T>(
        &self,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, ApiError> {
        let mut reachable = self.store.reachable();
        tokio::select! {
            biased;
            answer = call => Ok(answer?),
            // Only a store that is gone closes the channel, and then the call has ended.
            Ok(_) = reachable.wait_for(|reachable| !reachable) => Err(ApiError::Overloaded(None)),
        }
    }

    /// Lets one upload in, or says why not now.
    pub async fn admit(&self, upload: Announced) -> Result<(), ApiError> {
        // Before a large body is read in vain.
        if !*self.store.reachable().borrow() {
            return Err(ApiError::Overloaded(None));
        }
        self.intake
            .admit(&self.config, &self.store, &self.files, upload)
            .await
    }
}

/// Largest request bodies in bytes, where they are not the framework's.
#[derive(Clone, Copy)]
struct BodyLimits {
    upload: usize,
    batch: usize,
}

impl BodyLimits {
    fn of(config: &Config) -> Self {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            upload: bytes(
                config
                    .max_upload_bytes
                    .saturating_add(upload::FORM_OVERHEAD),
            ),
            batch: bytes(config.max_batch_bytes),
        }
    }
}

/// Every route of the API with its description.
fn api(limits: BodyLimits) -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(docs::Head::openapi())
        .routes(routes!(upload::upload).layer(DefaultBodyLimit::max(limits.upload)))
        .routes(routes!(batches::create).layer(DefaultBodyLimit::max(limits.batch)))
        .routes(routes!(batches::add).layer(DefaultBodyLimit::max(limits.batch)))
        .routes(routes!(batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(batches::cancel))
        .routes(routes!(batches::results))
        .routes(routes!(job_list::list))
        .routes(routes!(jobs::show))
        .routes(routes!(delete::delete))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::retry))
        .routes(routes!(prioritize::prioritize))
        .routes(routes!(reschedule::reschedule))
        .routes(routes!(position::position))
        .routes(routes!(result::show))
        .routes(routes!(document::show))
        .routes(routes!(pages::page))
        .routes(routes!(pages::thumbnail))
        .routes(routes!(stream::events))
        .routes(routes!(socket::open))
        .routes(routes!(socket::open_session))
        .routes(routes!(socket::open_chat))
        .routes(routes!(health::health))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::version))
        .routes(routes!(metrics::show))
        .merge(admin::router())
}

/// The files of the pages at `/` and `/admin`.
fn site() -> Router<AppState> {
    Router::new()
        .route("/", get(page::index))
        .route("/assets/app.js", get(page::script))
        .route("/assets/app.css", get(page::style))
        .route("/assets/icon.svg", get(page::icon))
        .route("/admin", get(page::admin))
        .route("/assets/admin.js", get(page::admin_script))
        .route("/assets/admin.css", get(page::admin_style))
}

/// The whole application.
pub fn router(state: AppState) -> Router {
    metrics::install();
    let (api, document) = api(BodyLimits::of(&state.config)).split_for_parts();
    let routes = api.merge(site()).merge(docs::routes(document));
    let reachable = state.store.reachable();
    let routes = routes.layer(from_fn_with_state(reachable, away::give_up));
    edged(routes, &state.origins, &state.hosts).with_state(state)
}

/// The OpenAPI document of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let any = BodyLimits {
        upload: usize::MAX,
        batch: usize::MAX,
    };
    api(any).into_openapi()
}

/// What every request passes through; the last layer is the outermost.
fn edged<S: Clone + Send + Sync + 'static>(
    routes: Router<S>,
    origins: &Arc<Origins>,
    hosts: &Arc<Hosts>,
) -> Router<S> {
    routes
        .fallback(|| async { ApiError::NotFound("page") })
        .method_not_allowed_fallback(|| async { ApiError::MethodNotAllowed })
        .layer(from_fn_with_state(origins.clone(), origins::guard))
        .layer(from_fn_with_state(hosts.clone(), head::guard))
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
