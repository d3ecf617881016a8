//! The one error type of the API and the one body every error has.
//!
//! A handler returns [`ApiError`]; it becomes a response that carries a [`Problem`], and `http::edge` writes the body once
//! the request id and the `Accept` header are at hand. The body serves three kinds of client at once: `success` + `error`
//! (a string) for the upload contract, `detail` for `FastAPI` clients, `type`, `title`, `status`, `detail` as RFC 9457.
//! What went wrong inside is logged by the edge and never sent.

use std::{borrow::Cow, error::Error, sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quire_store::{FileError, StoreError};
use rand::Rng as _;
use serde::Serialize;
use utoipa::ToSchema;

/// How soon a client may try again when the server is overloaded or its database is away.
const OVERLOADED_RETRY: Duration = Duration::from_secs(1);

/// How soon a client may try again when too many jobs wait: some of them end in this time, and the estimate is renewed.
const QUEUE_FULL_RETRY: Duration = Duration::from_secs(5);

/// How soon a client may try again when the disk is full: somebody or housekeeping has to make room first.
const STORAGE_FULL_RETRY: Duration = Duration::from_secs(30);

/// How soon a client may ask again for the result of a job that has not ended.
const UNFINISHED_RETRY: Duration = Duration::from_secs(1);

/// Why a request was not served, one variant for each `code` of the contract.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400 `malformed_request`: the request cannot be read; the text says what is broken.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// 403 `forbidden`: a web page of an origin that is not allowed sent a request that changes something.
    #[error("this origin may not call the server; cors_origins lists the origins that may")]
    ForbiddenOrigin,
    /// 403 `forbidden`: the request asks for a host that is not this server, as pages do that rebind their name.
    #[error("this server does not answer to that Host; allowed_hosts lists further names")]
    ForbiddenHost,
    /// 404 `not_found`: there is no such thing, or it belongs to somebody else.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// 405 `method_not_allowed`
    #[error("this path does not support the method")]
    MethodNotAllowed,
    /// 408 `timeout`: the client stopped sending.
    #[error("no data arrived for {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// 408 `timeout`: the client sends its body too slowly.
    #[error("the request body arrives too slowly")]
    BodyTooSlow,
    /// 409 `idempotency_mismatch`: the key was used for a different upload.
    #[error("the Idempotency-Key was used before for a different upload")]
    IdempotencyMismatch,
    /// 409 `invalid_state`: the job's state does not allow the action.
    #[error("a job that is {state} cannot be {action}")]
    InvalidState {
        /// Status of the job as the API shows it.
        state: &'static str,
        /// What was asked, as a participle.
        action: &'static str,
    },
    /// 409 `not_finished`: the result does not exist yet.
    #[error("the job is {0}, it has no result yet")]
    NotFinished(&'static str),
    /// 409 `invalid_state`: the batch was cancelled.
    #[error("the batch was cancelled and takes no more files")]
    BatchCancelled,
    /// 409 `password_needed`: the file is encrypted, and the password of the job is not kept.
    #[error("the file is encrypted; its pages are not shown as pictures")]
    PasswordNeeded,
    /// 413 `too_large`: a request with many files.
    #[error(
        "the request is larger than the limit of {limit} bytes; add files with several requests"
    )]
    BatchTooLarge {
        /// Largest accepted request in bytes.
        limit: u64,
    },
    /// 413 `too_large`
    #[error("the file is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Largest accepted file in bytes.
        limit: u64,
    },
    /// 415 `unsupported_type`: the text says which kind was expected.
    #[error("{0}")]
    UnsupportedType(&'static str),
    /// 415 `no_picture`: files of this type have no pages that could be drawn.
    #[error("a file of type {0} has no pages that can be shown as pictures")]
    NoPicture(&'static str),
    /// 422 `validation_failed`: every field that was refused.
    #[error("{}", sentence(.0))]
    Validation(Vec<FieldError>),
    /// 422 `bad_cursor`
    #[error("cursor is not one that this server gave out")]
    BadCursor,
    /// 424 `job_failed`: there will be no result; the text is the job's own error.
    #[error("{0}")]
    JobFailed(String),
    /// 424 `page_failed`: the page cannot be drawn; the text says why.
    #[error("the page cannot be drawn: {0}")]
    PageFailed(String),
    /// 503 `overloaded`: the database is away or busy, or the server is shutting down.
    #[error("the server cannot take this request now")]
    Overloaded(#[source] Option<Cause>),
    /// 503 `overloaded`: as many jobs wait as the server lets wait.
    #[error("{limit} jobs are waiting, which is the limit; try again later")]
    QueueFull {
        /// Most jobs that may wait.
        limit: u64,
    },
    /// 507 `storage_full`
    #[error("there is no room left to store the file")]
    StorageFull,
    /// 500 `internal`: the cause is logged, never sent.
    #[error("internal error")]
    Internal(#[source] Cause),
}

/// What lies behind an error; shared because response extensions are cloned.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// One refused field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Name of the field.
    #[schema(value_type = String, example = "prompt")]
    pub field: Cow<'static, str>,
    /// Stable word for the reason.
    #[schema(example = "required")]
    pub code: &'static str,
    /// The reason, to be read after the field's name.
    #[schema(value_type = String, example = "is required")]
    pub message: Cow<'static, str>,
    /// JSON pointer to the field.
    #[schema(example = "#/prompt")]
    pub pointer: String,
}

impl FieldError {
    /// A refused field; `message` continues a sentence that begins with the field's name.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        let field = field.into();
        let pointer = format!("#/{}", field.replace('~', "~0").replace('/', "~1"));
        Self {
            field,
            code,
            message: message.into(),
            pointer,
        }
    }
}

/// Every error body. The order of the keys is part of the contract.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Always false.
    #[schema(example = false)]
    pub success: bool,
    /// What went wrong, in words.
    #[schema(example = "prompt is required")]
    pub error: String,
    /// The same words under the name that other clients look for.
    #[schema(example = "prompt is required")]
    pub detail: String,
    /// `urn:quire:error:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:quire:error:validation_failed")]
    pub kind: String,
    /// The name of the HTTP status.
    #[schema(example = "Unprocessable Entity")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// Stable word for the error.
    #[schema(example = "validation_failed")]
    pub code: &'static str,
    /// Every refused field; empty for other errors.
    pub errors: Vec<FieldError>,
    /// The same request may succeed later.
    #[schema(example = false)]
    pub retryable: bool,
    /// When to try again, in milliseconds; only when retryable. The `Retry-After` header says the same in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The request's id, as in `X-Request-Id` and in the log.
    #[schema(example = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11")]
    pub request_id: String,
}

/// An error on its way out: travels in the response's extensions until the edge writes the body.
#[derive(Clone, Debug)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable word.
    pub code: &'static str,
    /// What the client is told.
    pub detail: String,
    /// Refused fields.
    pub errors: Vec<FieldError>,
    /// Set when the same request may succeed later.
    pub retry_after: Option<Duration>,
    /// What is logged and never sent.
    pub cause: Option<Cause>,
}

impl Problem {
    /// The problem of a response that has an error status and says nothing more, as the framework makes them.
    pub fn from_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "page not found"),
            StatusCode::METHOD_NOT_ALLOWED => (
                "method_not_allowed",
                "this path does not support the method",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the request is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_type", "the content type is not supported")
            }
            status if status.is_server_error() => ("internal", "internal error"),
            _ => ("malformed_request", "the request cannot be understood"),
        };
        Self {
            status,
            code,
            detail: detail.to_owned(),
            errors: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// The body that the client sees.
    pub fn body(&self, request_id: &str) -> ErrorBody {
        ErrorBody {
            success: false,
            error: self.detail.clone(),
            detail: self.detail.clone(),
            kind: format!("urn:quire:error:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            errors: self.errors.clone(),
            retryable: self.retry_after.is_some(),
            retry_after_ms: self.retry_after.map(|after| after.as_millis() as u64),
            request_id: request_id.to_owned(),
        }
    }
}

impl ApiError {
    /// An internal error with what caused it.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    /// One refused field.
    pub fn field(
        field: impl Into<Cow<'static, str>>,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::Validation(vec![FieldError::new(field, code, message)])
    }

    /// Status and stable word of the error.
    pub fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed_request"),
            Self::ForbiddenOrigin | Self::ForbiddenHost => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Timeout(_) | Self::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::IdempotencyMismatch => (StatusCode::CONFLICT, "idempotency_mismatch"),
            Self::InvalidState { .. } | Self::BatchCancelled => {
                (StatusCode::CONFLICT, "invalid_state")
            }
            Self::NotFinished(_) => (StatusCode::CONFLICT, "not_finished"),
            Self::PasswordNeeded => (StatusCode::CONFLICT, "password_needed"),
            Self::TooLarge { .. } | Self::BatchTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large")
            }
            Self::UnsupportedType(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type"),
            Self::NoPicture(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "no_picture"),
            Self::Validation(_) => (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
            Self::BadCursor => (StatusCode::UNPROCESSABLE_ENTITY, "bad_cursor"),
            Self::JobFailed(_) => (StatusCode::FAILED_DEPENDENCY, "job_failed"),
            Self::PageFailed(_) => (StatusCode::FAILED_DEPENDENCY, "page_failed"),
            Self::Overloaded(_) | Self::QueueFull { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "overloaded")
            }
            Self::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage_full"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded(_) => Some(spread(OVERLOADED_RETRY)),
            Self::NotFinished(_) => Some(UNFINISHED_RETRY),
            Self::QueueFull { .. } => Some(spread(QUEUE_FULL_RETRY)),
            Self::StorageFull => Some(spread(STORAGE_FULL_RETRY)),
            _ => None,
        }
    }
}

/// Once to twice as long, by chance: clients that were sent away together shall not come back together.
fn spread(after: Duration) -> Duration {
    after.mul_f64(rand::rng().random_range(1.0..2.0))
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let (status, code) = error.status_and_code();
        let (detail, retry_after) = (error.to_string(), error.retry_after());
        let (errors, cause) = match error {
            ApiError::Validation(errors) => (errors, None),
            ApiError::BadCursor => (
                vec![FieldError::new(
                    "cursor",
                    "bad_cursor",
                    "is not one that this server gave out",
                )],
                None,
            ),
            ApiError::Overloaded(cause) => (Vec::new(), cause),
            ApiError::Internal(cause) => (Vec::new(), Some(cause)),
            _ => (Vec::new(), None),
        };
        Self {
            status,
            code,
            detail,
            errors,
            retry_after,
            cause,
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            Self::Overloaded(Some(Arc::new(error)))
        } else {
            Self::internal(error)
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::TooLarge { limit } => Self::TooLarge { limit },
            FileError::StorageFull => Self::StorageFull,
            FileError::Missing | FileError::Checksum | FileError::Stopped | FileError::Io(_) => {
                Self::internal(error)
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem::from(self);
        let mut response = problem.status.into_response();
        response.extensions_mut().insert(problem);
        response
    }
}

/// `prompt is required; priority is not an integer`
fn sentence(errors: &[FieldError]) -> String {
    let clauses: Vec<_> = errors
        .iter()
        .map(|e| format!("{} {}", e.field, e.message))
        .collect();
    clauses.join("; ")
}
