//! Replies with an `ETag`, and `304 Not Modified` to a client that has it already.
//!
//! The tag is a digest of the body as sent, so it needs no version column and is right for every view of a job.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use sha2::{Digest, Sha256};

/// Bytes of the digest that go into a tag: 128 bits, so that no two views of a job ever share one.
pub const TAG_BYTES: usize = 16;

/// Kept by the client only, and asked about every time.
const REVALIDATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// The body with its tag, or 304 without a body.
pub fn reply(request: &HeaderMap, content_type: &'static str, body: Bytes) -> Response {
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..TAG_BYTES]));
    let known = knows(request, &tag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(body).into_response()
    };
    let headers = response.headers_mut();
    if !known {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    headers.insert(CACHE_CONTROL, REVALIDATE);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

/// The first type in `Accept` that `choose` knows, by its name in lower case.
pub fn accepted<T>(request: &HeaderMap, choose: impl Fn(&str) -> Option<T>) -> Option<T> {
    let values = request
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .filter_map(|item| item.split(';').next())
        .find_map(|name| choose(&name.trim().to_ascii_lowercase()))
}

/// `If-None-Match` names the tag; weak tags count, as RFC 9110 has it for this header.
pub fn knows(request: &HeaderMap, tag: &str) -> bool {
    let values = request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(if_none_match: Option<&str>) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(value) = if_none_match {
            headers.insert(IF_NONE_MATCH, value.parse().unwrap());
        }
        reply(&headers, "application/json", Bytes::from_static(b"{}"))
    }

    #[test]
    fn a_known_tag_gets_304() {
        let tag = asked(None).headers()[ETAG].to_str().unwrap().to_owned();
        for value in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            "*".to_owned(),
        ] {
            let response = asked(Some(&value));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{value}");
            assert_eq!(response.headers()[ETAG], tag);
            assert!(!response.headers().contains_key(CONTENT_TYPE));
        }
    }

    #[test]
    fn an_unknown_tag_gets_the_body() {
        for value in [None, Some("\"other\""), Some("garbage"), Some("")] {
            let response = asked(value);
            assert_eq!(response.status(), StatusCode::OK, "{value:?}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        }
    }
}
