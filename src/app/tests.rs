//! What holds for every route: error bodies, request ids, CORS, policies, the OpenAPI document. No database is needed for it.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    extract::Request,
    response::Response,
    routing::{get, post},
};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::error::FieldError;

/// Everything around the routes, and routes that need no database.
fn app() -> Router {
    let validation = || async {
        Err::<(), _>(ApiError::Validation(vec![FieldError::new(
            "prompt",
            "required",
            "is required",
        )]))
    };
    let panicking = || async {
        panic!("a handler panics");
        #[expect(unreachable_code, reason = "gives the handler its type")]
        ""
    };
    let routes = Router::<()>::new()
        .route("/ok", get(|| async { "ok" }).post(|| async { "done" }))
        .route("/invalid", post(validation))
        .route(
            "/away",
            get(|| async { Err::<(), _>(ApiError::Overloaded(None)) }),
        )
        .route(
            "/broken",
            get(|| async {
                Err::<(), _>(ApiError::internal(std::io::Error::other("secret cause")))
            }),
        )
        .route("/panic", get(panicking))
        .route("/", get(page::index))
        .route("/assets/app.js", get(page::script))
        .route("/assets/app.css", get(page::style))
        .merge(docs::routes(openapi()));
    edged(
        routes,
        &Arc::new(Origins::new(&["https://app.example.com".to_owned()])),
        &Arc::new(Hosts::new(&[std::net::Ipv4Addr::LOCALHOST.into()], &[])),
    )
}

async fn send(method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8000");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .to_vec(),
    )
    .unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn an_error_has_the_body_of_the_contract_byte_for_byte() {
    let response = send(Method::POST, "/invalid", &[("x-request-id", "trace-1")]).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(
        text(response).await,
        concat!(
            r#"{"success":false,"error":"prompt is required","detail":"prompt is required","#,
            r#""type":"urn:quire:error:validation_failed","title":"Unprocessable Entity","status":422,"#,
            r#""code":"validation_failed","errors":[{"field":"prompt","code":"required","message":"is required","pointer":"#,
            "\"#/prompt\"}],",
            r#""retryable":false,"request_id":"trace-1"}"#,
        )
    );
}

#[tokio::test]
async fn problem_json_goes_to_those_who_name_it() {
    for (accept, expected) in [
        ("application/problem+json", "application/problem+json"),
        (
            "application/json, Application/Problem+JSON;q=0.9",
            "application/problem+json",
        ),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html", "application/json"),
    ] {
        let response = send(Method::POST, "/invalid", &[("accept", accept)]).await;
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            expected,
            "{accept}"
        );
    }
}

#[tokio::test]
async fn what_may_be_tried_again_says_when() {
    let response = send(Method::GET, "/away", &[]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let seconds = response.headers()[header::RETRY_AFTER].clone();
    let body = json(response).await;
    assert_eq!(body["retryable"], true);
    let millis = body["retry_after_ms"].as_u64().unwrap();
    assert!((1_000..2_000).contains(&millis), "{millis}");
    assert_eq!(seconds, millis.div_ceil(1_000).to_string());
}

#[tokio::test]
async fn causes_and_panics_are_not_told() {
    for path in ["/broken", "/panic"] {
        let response = send(Method::GET, path, &[]).await;
        assert_eq!(
            response.status(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "{path}"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        let body = text(response).await;
        assert!(
            body.contains(r#""code":"internal""#)
                && !body.contains("secret")
                && !body.contains("panics"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_get_the_same_body() {
    let response = send(Method::GET, "/nowhere", &[]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(json(response).await["code"], "not_found");
    let response = send(Method::PUT, "/ok", &[]).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allow = response.headers()[header::ALLOW]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        allow.split(',').collect::<BTreeSet<_>>(),
        BTreeSet::from(["GET", "HEAD", "POST"])
    );
    assert_eq!(json(response).await["code"], "method_not_allowed");
    let response = send(Method::GET, "/docs/nothing.js", &[]).await;
    assert_eq!(json(response).await["status"], 404);
}

#[tokio::test]
async fn request_ids_are_taken_when_sane_and_made_otherwise() {
    let id = |response: &Response| {
        response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let response = send(
        Method::GET,
        "/nowhere",
        &[("x-request-id", "0af7651916cd43dd8448eb211c80319c")],
    )
    .await;
    assert_eq!(id(&response), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        json(response).await["request_id"],
        "0af7651916cd43dd8448eb211c80319c"
    );
    let long = "a".repeat(65);
    for given in ["", "two words", "<script>", "a\"b", &long] {
        let response = send(Method::GET, "/ok", &[("x-request-id", given)]).await;
        let made: uuid::Uuid = id(&response).parse().unwrap();
        assert_eq!(made.get_version_num(), 7, "{given:?}");
    }
}

#[tokio::test]
async fn a_preflight_names_methods_and_headers() {
    let ask = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,idempotency-key,content-type",
        ),
    ];
    let response = send(Method::OPTIONS, "/ok", &ask).await;
    assert_eq!(response.status(), StatusCode::OK);
    let header = |name: &str| {
        response.headers()[name]
            .to_str()
            .unwrap()
            .to_ascii_lowercase()
    };
    assert_eq!(
        header("access-control-allow-origin"),
        "http://localhost:3000"
    );
    for name in [
        "authorization",
        "idempotency-key",
        "content-type",
        "last-event-id",
        "if-none-match",
    ] {
        assert!(
            header("access-control-allow-headers").contains(name),
            "{name}"
        );
    }
    assert!(header("access-control-allow-methods").contains("post"));
    assert!(header("vary").contains("origin"));
}

#[tokio::test]
async fn foreign_pages_read_nothing_and_change_nothing() {
    let from = |origin| [("origin", origin), ("host", "127.0.0.1:8000")];
    let allow = |response: &Response| {
        response
            .headers()
            .contains_key("access-control-allow-origin")
    };
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
    ] {
        let read = send(Method::GET, "/ok", &from(origin)).await;
        assert_eq!(
            (read.status(), allow(&read)),
            (StatusCode::OK, false),
            "{origin}"
        );
        let write = send(Method::POST, "/ok", &from(origin)).await;
        assert_eq!(
            (write.status(), allow(&write)),
            (StatusCode::FORBIDDEN, false),
            "{origin}"
        );
        assert_eq!(json(write).await["code"], "forbidden");
    }
    for origin in ["http://localhost:3000", "https://app.example.com"] {
        let write = send(Method::POST, "/ok", &from(origin)).await;
        assert_eq!(
            (write.status(), allow(&write)),
            (StatusCode::OK, true),
            "{origin}"
        );
        let exposed = write.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .to_ascii_lowercase();
        for name in [
            "location",
            "etag",
            "retry-after",
            "idempotent-replayed",
            "x-request-id",
        ] {
            assert!(exposed.contains(name), "{name}");
        }
    }
    assert_eq!(
        send(Method::POST, "/ok", &[]).await.status(),
        StatusCode::OK,
        "programs send no origin"
    );
}

#[tokio::test]
async fn an_error_can_be_read_by_an_allowed_page() {
    let response = send(
        Method::POST,
        "/invalid",
        &[("origin", "http://localhost:3000")],
    )
    .await;
    assert_eq!(
        response.headers()["access-control-allow-origin"],
        "http://localhost:3000"
    );
}

#[tokio::test]
async fn the_page_keeps_its_own_policy() {
    let response = send(Method::GET, "/", &[]).await;
    let policy = response.headers()[CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.starts_with("default-src 'self';") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = text(response).await;
    assert_eq!(
        html.matches("<script").count(),
        html.matches("<script src=\"/assets/").count()
    );
    for inline in [
        "style=",
        "onclick",
        "onload",
        "javascript:",
        "<style",
        "://",
    ] {
        assert!(!html.contains(inline), "{inline}");
    }
    let script = text(send(Method::GET, "/assets/app.js", &[]).await).await;
    for sink in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        ".style",
    ] {
        assert!(!script.contains(sink), "{sink}");
    }
    let api = send(Method::GET, "/ok", &[]).await;
    assert_eq!(api.headers()[CONTENT_SECURITY_POLICY], NO_CONTENT);
}

#[tokio::test]
async fn the_docs_need_no_network() {
    let page = send(Method::GET, "/docs/", &[]).await;
    assert_eq!(page.status(), StatusCode::OK);
    let policy = page.headers()[CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        policy.contains("default-src 'self'") && !policy.contains("http"),
        "{policy}"
    );
    let html = text(page).await;
    for source in html
        .split("src=\"")
        .skip(1)
        .chain(html.split("href=\"").skip(1))
    {
        assert!(
            !source.starts_with("http") && !source.starts_with("//"),
            "{source}"
        );
    }
    let bundle = send(Method::GET, "/docs/swagger-ui-bundle.js", &[]).await;
    assert_eq!(bundle.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_description_is_openapi_3_1_and_names_only_schemas_that_it_holds() {
    let document = json(send(Method::GET, "/openapi.json", &[]).await).await;
    assert_eq!(document["openapi"], "3.1.0");
    let schemas: BTreeSet<_> = document["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    for reference in document.to_string().split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains(name), "{name}");
    }
}

#[test]
fn every_route_of_the_contract_is_described_with_its_errors() {
    let document = serde_json::to_value(openapi()).unwrap();
    let described = |path: &str, method: &str| document["paths"][path][method]["responses"].clone();
    for (path, method, statuses) in [
        (
            "/api/upload",
            "post",
            &[
                "200", "400", "403", "408", "409", "413", "415", "422", "503", "507",
            ][..],
        ),
        ("/api/jobs", "get", &["200", "422", "503"]),
        (
            "/api/jobs/{id}",
            "get",
            &["200", "304", "404", "422", "503"],
        ),
        (
            "/api/jobs/{id}/cancel",
            "post",
            &["200", "404", "409", "503"],
        ),
        (
            "/api/jobs/{id}/retry",
            "post",
            &["200", "400", "404", "409", "422", "503"],
        ),
        (
            "/api/jobs/{id}/document",
            "get",
            &["200", "304", "404", "409", "422", "424", "503"],
        ),
        (
            "/api/jobs/{id}/pages/{page}",
            "get",
            &["200", "304", "404", "409", "415", "422", "424", "503"],
        ),
        (
            "/api/jobs/{id}/thumbnail",
            "get",
            &["200", "304", "404", "409", "415", "422", "424", "503"],
        ),
        (
            "/api/jobs/{id}/result",
            "get",
            &["200", "304", "404", "409", "422", "424", "503"],
        ),
        ("/health", "get", &["200"]),
        ("/healthz", "get", &["200"]),
        ("/readyz", "get", &["200", "503"]),
        ("/version", "get", &["200"]),
        ("/metrics", "get", &["200"]),
    ] {
        let responses = described(path, method);
        let found: Vec<_> = responses
            .as_object()
            .unwrap_or_else(|| panic!("{method} {path}"))
            .keys()
            .collect();
        assert_eq!(found, statuses, "{method} {path}");
    }
}
