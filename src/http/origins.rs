//! Which web pages may call the server: CORS for reading, and a guard for requests that change something.
//!
//! A browser sends a form upload to any address without asking first (CORS only hides the reply), so with no accounts a
//! foreign page could fill the queue of whoever visits it. Programs other than browsers send no `Origin` and are not
//! touched. The socket asks [`Origins::allows`] too, because CORS does not cover WebSocket.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, Method,
    header::{
        AUTHORIZATION, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, LOCATION, ORIGIN, RETRY_AFTER,
    },
};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::edge::X_REQUEST_ID;
use crate::error::ApiError;

/// Request header that makes an upload safe to send twice.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Response header of an upload that was answered from an earlier one.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Where an `EventSource` goes on after a lost connection.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How long a browser may remember the answer to a preflight: two hours, the most that Chromium keeps.
const PREFLIGHT_AGE: Duration = Duration::from_hours(2);

/// The web origins that may call the server.
#[derive(Debug)]
pub struct Origins {
    /// Origins of the setting `cors_origins`, in lower case.
    named: Vec<String>,
}

impl Origins {
    /// Localhost on any port, and the named ones.
    pub fn new(named: &[String]) -> Self {
        Self {
            named: named
                .iter()
                .map(|origin| origin.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Whether a page of this origin may call the server.
    pub fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        is_local(&origin) || self.named.contains(&origin)
    }

    /// Whether the request's page may call the server: no `Origin` at all, one that is allowed, or the server's own.
    pub fn allows_request(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        origin
            .to_str()
            .is_ok_and(|origin| self.allows(origin) || is_own(origin, headers))
    }
}

/// The CORS layer; methods and headers are named one by one because `*` leaves out `Authorization`.
pub fn cors(origins: Arc<Origins>) -> CorsLayer {
    let allowed = move |origin: &http::HeaderValue, _: &http::request::Parts| {
        origin.to_str().is_ok_and(|origin| origins.allows(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::OPTIONS])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IDEMPOTENCY_KEY,
            IF_NONE_MATCH,
            LAST_EVENT_ID,
            X_REQUEST_ID,
        ])
        .expose_headers([
            ETAG,
            IDEMPOTENT_REPLAYED,
            LOCATION,
            RETRY_AFTER,
            X_REQUEST_ID,
        ])
        .max_age(PREFLIGHT_AGE)
}

/// Refuses a request that changes something and comes from a page of a foreign origin.
pub async fn guard(State(origins): State<Arc<Origins>>, request: Request, next: Next) -> Response {
    if request.method().is_safe() || origins.allows_request(request.headers()) {
        return next.run(request).await;
    }
    ApiError::ForbiddenOrigin.into_response()
}

/// `http://localhost`, `http://127.0.0.1`, with or without a port; nothing that merely begins like it.
fn is_local(origin: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    let Some(authority) = authority else {
        return false;
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let digits =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
    matches!(host, "localhost" | "127.0.0.1") && port.is_none_or(digits)
}

/// The page came from this server itself, under whatever name it is reached.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    matches!((host, authority), (Some(host), Some(authority)) if host.eq_ignore_ascii_case(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_and_named_origins_are_allowed() {
        let origins = Origins::new(&[
            "https://App.example.com".into(),
            "http://10.0.0.5:3000".into(),
        ]);
        for origin in [
            "http://localhost",
            "http://localhost:3000",
            "https://localhost:3000",
            "http://127.0.0.1:8080",
            "https://app.example.com",
            "http://10.0.0.5:3000",
        ] {
            assert!(origins.allows(origin), "{origin}");
        }
    }

    #[test]
    fn lookalikes_are_refused() {
        let origins = Origins::new(&["https://app.example.com".into()]);
        for origin in [
            "null",
            "",
            "localhost:3000",
            "http://localhost.evil.com",
            "http://localhost:3000.evil.com",
            "http://localhost:",
            "http://localhost:99999",
            "http://localhost:+80",
            "http://localhost@evil.com",
            "http://evil.com#http://localhost",
            "http://127.0.0.1.evil.com",
            "http://127.0.0.10",
            "https://app.example.com.evil.com",
            "https://evil-app.example.com",
            "http://app.example.com",
            "https://app.example.com:444",
            "file://localhost",
        ] {
            assert!(!origins.allows(origin), "{origin}");
        }
    }

    #[test]
    fn a_page_of_the_server_itself_may_call_it() {
        let origins = Origins::new(&[]);
        let headers = |origin: &'static str, host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, http::HeaderValue::from_static(origin));
            headers.insert(HOST, http::HeaderValue::from_static(host));
            headers
        };
        assert!(origins.allows_request(&HeaderMap::new()));
        assert!(origins.allows_request(&headers("https://docs.example.com", "docs.example.com")));
        assert!(origins.allows_request(&headers("http://192.168.0.2:8000", "192.168.0.2:8000")));
        assert!(!origins.allows_request(&headers("https://evil.example", "docs.example.com")));
        assert!(!origins.allows_request(&headers("http://192.168.0.2:9000", "192.168.0.2:8000")));
        assert!(!origins.allows_request(&headers("null", "127.0.0.1:8000")));
    }
}
