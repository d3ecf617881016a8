//! Live events over WebSocket: one door for two kinds of client.
//!
//! A client that negotiates nothing gets exactly the four frames of the upload contract (`legacy`); one that asks for the
//! subprotocol `quire.v1`, or `?v=1` where it cannot set headers, gets cursors, replay and commands (`v1`). The same three paths
//! serve both. Sockets never talk to workers: they read the store's events and its table.

pub mod hold;
mod legacy;
mod recent;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod sequence;
#[cfg(test)]
mod tests;
pub(crate) mod v1;
mod wire;

use std::time::Duration;

use axum::{
    extract::{
        Path, Query, State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use quire_store::{Owner, Store};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

use self::{
    hold::UploadHold,
    wire::{READ_BUFFER, READ_LIMIT, Wire},
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
    http::{admin::live::LiveQueue, metrics::OpenSocket},
};

/// The subprotocol of clients that know more than the upload contract.
pub(crate) const V1: &str = "quire.v1";

/// How long ago a job may have ended and still be told to a socket that comes or falls behind. A client of the upload contract
/// redials for 15 s, a write may hang for 10 s.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Events read from the table at once.
pub(super) const PAGE: u32 = 500;

/// Pause before the table is asked again for what it did not hold yet: two flushes.
pub(super) const RETRY: Duration = Duration::from_millis(100);

/// Pause after the database did not answer.
pub(super) const BACKOFF: Duration = Duration::from_secs(1);

/// What clients are told about a cancelled job: the upload contract has no frame of its own for it.
const CANCELLED: &str = "job was cancelled";

/// What makes a request an upgrade, or why it is none.
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// The query of a socket's address.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SocketQuery {
    /// `1` asks for `quire.v1`, for clients that cannot name a subprotocol.
    #[param(example = "1")]
    v: Option<String>,
}

/// Opens a WebSocket with the live events of all jobs.
///
/// Without a subprotocol the server sends `job_update`, `ai_chunk`, `job_completed` and `job_failed` and expects nothing. With
/// `Sec-WebSocket-Protocol: quire.v1` or `?v=1` the client begins with a `hello` and gets cursors, replay and commands.
#[utoipa::path(get, path = "/ws", tag = "events", params(SocketQuery),
    responses(
        (status = 101, description = "the socket is open"),
        (status = 403, body = ErrorBody, description = "`forbidden`: a web page of an origin that is not allowed"),
    ))]
pub async fn open(
    State(state): State<AppState>,
    Query(query): Query<SocketQuery>,
    headers: HeaderMap,
    request: Upgrade,
) -> Response {
    upgrade(&state, &query, &headers, request)
}

/// Opens the same socket for a client that names its session.
///
/// While there are no accounts, every session sees the same jobs.
#[utoipa::path(get, path = "/ws/{user_id}", tag = "events", params(("user_id" = String, Path), SocketQuery),
    responses(
        (status = 101, description = "the socket is open"),
        (status = 403, body = ErrorBody, description = "`forbidden`: a web page of an origin that is not allowed"),
    ))]
pub async fn open_session(
    State(state): State<AppState>,
    Path(_session): Path<String>,
    Query(query): Query<SocketQuery>,
    headers: HeaderMap,
    request: Upgrade,
) -> Response {
    upgrade(&state, &query, &headers, request)
}

/// Opens the same socket for a chat client.
#[utoipa::path(get, path = "/api/chat/ws", tag = "events", params(SocketQuery),
    responses(
        (status = 101, description = "the socket is open"),
        (status = 403, body = ErrorBody, description = "`forbidden`: a web page of an origin that is not allowed"),
    ))]
pub async fn open_chat(
    State(state): State<AppState>,
    Query(query): Query<SocketQuery>,
    headers: HeaderMap,
    request: Upgrade,
) -> Response {
    upgrade(&state, &query, &headers, request)
}

/// What a socket may see and by what it is ended.
struct Session {
    store: Store,
    hold: UploadHold,
    /// Whose jobs it sees.
    owner: Owner,
    /// The whole queue, for those who may see it.
    queue: LiveQueue,
    /// Cancelled when the server stops.
    closing: CancellationToken,
}

/// CORS does not cover sockets, so the page's origin is asked for here.
fn upgrade(
    state: &AppState,
    query: &SocketQuery,
    headers: &HeaderMap,
    request: Upgrade,
) -> Response {
    if !state.origins.allows_request(headers) {
        return ApiError::ForbiddenOrigin.into_response();
    }
    let upgrade = match request {
        Ok(upgrade) => upgrade
            .protocols([V1])
            .read_buffer_size(READ_BUFFER)
            .max_message_size(READ_LIMIT)
            .max_frame_size(READ_LIMIT),
        Err(rejection) => return rejection.into_response(),
    };
    let v1 = query.v.as_deref() == Some("1") || upgrade.selected_protocol().is_some();
    let session = Session {
        store: state.store.clone(),
        hold: state.hold.clone(),
        owner: Owner::LOCAL,
        queue: state.queue.clone(),
        closing: state.shutdown.clone(),
    };
    let open = state.sockets.token();
    upgrade.on_upgrade(async move |socket| {
        serve(session, socket, v1).await;
        drop(open);
    })
}

async fn serve(session: Session, socket: WebSocket, v1: bool) {
    let mut wire = Wire::new(socket);
    let _counted = OpenSocket::new(if v1 { V1 } else { "contract" });
    let end = if v1 {
        v1::serve(session, &mut wire).await
    } else {
        legacy::serve(session, &mut wire).await
    };
    tracing::debug!(?end, v1, "socket ended");
    wire.close(end).await;
}
