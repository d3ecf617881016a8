//! No request waits for a database that does not answer.
//!
//! A connection into the void says nothing for minutes. A handler that still waits a moment after the database was found away is
//! given up, with 503. What it had begun is then unknown, as after any lost reply. Uploads see to themselves: their bodies take
//! longer than a short absence, and need no database until they have been read.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::header::CONTENT_LENGTH,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::watch::Receiver, time::sleep};

use crate::error::ApiError;

/// For handlers that need no database, or have a limit of their own for it.
const GRACE: Duration = Duration::from_millis(1_200);

/// Larger bodies are uploads.
const SMALL: u64 = 64 * 1024;

/// Answers 503 for a handler that waits for a database that is not `reachable`.
pub async fn give_up(
    State(mut reachable): State<Receiver<bool>>,
    request: Request,
    next: Next,
) -> Response {
    if !is_small(&request) {
        return next.run(request).await;
    }
    let away = async {
        // Only a store that is gone closes the channel, and no handler waits for that one.
        while reachable.wait_for(|reachable| !reachable).await.is_ok() {
            sleep(GRACE).await;
            if !*reachable.borrow() {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = away => ApiError::Overloaded(None).into_response(),
    }
}

fn is_small(request: &Request) -> bool {
    use axum::body::HttpBody as _;
    let length = request.headers().get(CONTENT_LENGTH);
    let announced = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    announced.map_or_else(|| request.body().is_end_stream(), |bytes| bytes <= SMALL)
}

#[cfg(test)]
mod tests {
    use axum::{
        Router, body::Body, http::StatusCode, middleware::from_fn_with_state, routing::get,
    };
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_who_still_waits_after_the_grace_is_given_up() {
        let (reaching, reachable) = watch::channel(false);
        let app = Router::new()
            .route("/quick", get(|| async { "here" }))
            .route("/stuck", get(std::future::pending::<&'static str>))
            .layer(from_fn_with_state(reachable, give_up));
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap().status()
        };
        assert_eq!(ask("/quick").await, StatusCode::OK);
        assert_eq!(ask("/stuck").await, StatusCode::SERVICE_UNAVAILABLE);
        reaching.send_replace(true);
        let stuck = tokio::time::timeout(Duration::from_hours(1), ask("/stuck")).await;
        assert!(stuck.is_err(), "a slow handler of a database that answers");
    }
}
