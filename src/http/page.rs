//! `/`: one page for trying quire in a browser. Drop a file, type a question, watch the answer arrive over `/ws`.
//!
//! `/admin`: the queue for its operator, live by the same socket.
//!
//! Files inside the binary, no build step, no inline script or style, so that the policy below can forbid both. The
//! page puts text into the document as text only: answers and file names are untrusted.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::IntoResponse,
};

/// Only what this server serves; no inline script or style, no frame around the page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Asked about every time: the files change with the binary and have no version in their names.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The page.
pub async fn index() -> impl IntoResponse {
    file(
        "text/html; charset=utf-8",
        include_str!("assets/index.html"),
    )
}

/// Its script.
pub async fn script() -> impl IntoResponse {
    file(
        "text/javascript; charset=utf-8",
        include_str!("assets/app.js"),
    )
}

/// Its style.
pub async fn style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("assets/app.css"))
}

/// Its icon.
pub async fn icon() -> impl IntoResponse {
    file("image/svg+xml", include_str!("assets/icon.svg"))
}

/// The page of the operator.
pub async fn admin() -> impl IntoResponse {
    file(
        "text/html; charset=utf-8",
        include_str!("assets/admin.html"),
    )
}

/// Its script.
pub async fn admin_script() -> impl IntoResponse {
    file(
        "text/javascript; charset=utf-8",
        include_str!("assets/admin.js"),
    )
}

/// What its style adds to that of the first page.
pub async fn admin_style() -> impl IntoResponse {
    file("text/css; charset=utf-8", include_str!("assets/admin.css"))
}

fn file(
    content_type: &'static str,
    text: &'static str,
) -> ([(HeaderName, HeaderValue); 3], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, REVALIDATE),
    ];
    (headers, text)
}
