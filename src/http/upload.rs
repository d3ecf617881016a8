//! `POST /api/upload`: a file and a question become a job.
//!
//! The order makes an acknowledged upload safe: the bytes are durable in the file store, then one transaction creates the
//! file's row, the job and its queue entry, then the reply goes out. What the job does before the client has read that
//! reply is held back for it (`socket::hold`), because the client knows the job's id only from then on.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{
    HeaderValue,
    header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION},
};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use quire_store::{Created, Idempotency, Job, NewUpload, Owner, clock};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{
    intake::Announced,
    job_view::status_of,
    metrics,
    origins::IDEMPOTENT_REPLAYED,
    socket::hold::ReplyGuard,
    upload_form::{self, UploadForm},
    upload_values,
};
use crate::{
    app::AppState,
    error::{ApiError, ErrorBody},
};

/// What a form may hold besides the file: the other fields at their limits, part headers, some unknown fields.
pub const FORM_OVERHEAD: u64 = 1024 * 1024;

/// The form as documentation; it is read by `upload_form`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the form in the OpenAPI document")]
pub struct UploadRequest {
    /// PDF, CSV, TSV, PNG, JPEG, WebP, GIF, TIFF, BMP, XLSX, DOCX, PPTX, HTML, Markdown, e-mail, plain text, or a ZIP of such files.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// The question or instruction, at most 32 KiB.
    #[schema(example = "What is the total?")]
    prompt: String,
    /// -100 to 100, larger goes first.
    #[schema(default = 0, minimum = -100, maximum = 100)]
    priority: Option<i32>,
    /// RFC 3339 time with offset before which the job does not start.
    #[schema(example = "2030-01-01T09:00:00Z")]
    scheduled_at: Option<String>,
    /// Opens an encrypted PDF, as user or owner; at most 256 bytes. Kept until the file has been read, or the job has ended, and
    /// shown to nobody.
    #[schema(format = Password)]
    password: Option<String>,
    /// Who is to answer: `auto`, `extractive`, `generate`, `remote` or the id of a generative model. When that engine is not
    /// available another answers, and the result's notes say so.
    #[schema(example = "extractive")]
    model: Option<String>,
    /// JSON schema, at most 16 KiB, that the answer is to fit; the result then has a `record`. Keywords that are not supported
    /// are refused.
    #[schema(example = r#"{"type":"object","properties":{"total":{"type":["number","null"]}}}"#)]
    schema: Option<String>,
}

/// The reply to an upload. The order of the keys is part of the contract.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadReply {
    /// Always true.
    success: bool,
    /// The new job.
    data: UploadedJob,
}

/// A job that was just created; of an upload that is repeated, the job as it is now.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadedJob {
    /// The job's id, the same as on the socket.
    #[schema(example = "01998c6e-2f5b-7c3a-9d50-6a3f0e9f1b11")]
    job_id: String,
    /// `pending`; of an upload that is repeated, the job's present status.
    #[schema(example = "pending")]
    status: &'static str,
    /// 0; of an upload that is repeated, the job's present progress.
    #[schema(example = 0)]
    progress: i16,
    /// Always `File uploaded successfully`.
    #[schema(example = "File uploaded successfully")]
    message: &'static str,
}

/// Takes a document and a question and queues a job.
///
/// With an `Idempotency-Key` (at most 255 visible ASCII characters) the upload may be sent again without creating a second job;
/// the reply then has `Idempotent-Replayed: true` and tells the job's present status and progress.
#[utoipa::path(post, path = "/api/upload", tag = "jobs",
    request_body(content = UploadRequest, content_type = "multipart/form-data"),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses(
        (status = 200, body = UploadReply, headers(
            ("Location" = String, description = "path of the job"),
            ("ETag" = String, description = "SHA-256 of the file"),
            ("Idempotent-Replayed" = Option<bool>, description = "true when the reply is that of an earlier upload"),
        )),
        (status = 400, body = ErrorBody, description = "`malformed_request`"),
        (status = 403, body = ErrorBody, description = "`forbidden`: a web page of an origin that is not allowed"),
        (status = 408, body = ErrorBody, description = "`timeout`: the client stopped sending"),
        (status = 409, body = ErrorBody, description = "`idempotency_mismatch`"),
        (status = 413, body = ErrorBody, description = "`too_large`"),
        (status = 415, body = ErrorBody, description = "`unsupported_type`"),
        (status = 422, body = ErrorBody, description = "`validation_failed`"),
        (status = 503, body = ErrorBody, description = "`overloaded`: also when too many jobs wait; try again after `Retry-After`"),
        (status = 507, body = ErrorBody, description = "`storage_full`"),
    ))]
pub async fn upload(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let limit = state.config.max_upload_bytes;
    let announced = announced_length(&request).unwrap_or_default();
    if announced > limit.saturating_add(FORM_OVERHEAD) {
        return Err(ApiError::TooLarge { limit });
    }
    if state.shutdown.is_cancelled() {
        return Err(ApiError::Overloaded(None));
    }
    let announced = Announced {
        bytes: announced,
        ahead: 0,
    };
    state.admit(announced).await?;
    let (key, errors) = match upload_values::idempotency_key(request.headers()) {
        Ok(key) => (key, Vec::new()),
        Err(error) => (None, vec![error]),
    };
    let draft = upload_form::read(request, &state.files, limit, errors).await?;
    let _finishing = state.intake.finishing().await;
    let form = draft.finish().await?;
    metrics::count_upload(form.media.name(), form.file.bytes);
    let created = state.store.create_upload(new_upload(form, key));
    match state.answered(created).await? {
        Created::New(job) => {
            state.intake.count(1);
            reply(&state, &job, false)
        }
        Created::Replayed(job) => reply(&state, &job, true),
        Created::Mismatch => Err(ApiError::IdempotencyMismatch),
    }
}

fn announced_length(request: &Request) -> Option<u64> {
    request
        .headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// What the store is to take in.
pub(super) fn new_upload(form: UploadForm, key: Option<String>) -> NewUpload {
    let idempotency = key.map(|key| Idempotency {
        key,
        request_hash: request_hash(&form),
    });
    NewUpload {
        owner: Owner::LOCAL,
        file: form.file,
        file_name: form.file_name,
        media: form.media.name().to_owned(),
        prompt: form.prompt,
        priority: form.priority,
        // A time that has passed means now.
        scheduled_at: form.scheduled_at.filter(|at| *at > clock::now()),
        password: form.password,
        idempotency,
        options: form.options,
    }
}

/// Hash of everything the client asked for, but of the password only whether there is one: the hash is kept for as long as the
/// job, and passwords can be tried against it. The schedule counts as it was given, so that an upload repeated after its
/// time has come is still the same upload.
fn request_hash(form: &UploadForm) -> [u8; 32] {
    let scheduled_at = form
        .scheduled_at
        .map(|at| at.to_rfc3339())
        .unwrap_or_default();
    let priority = form.priority.to_string();
    let mut hash = Sha256::new();
    let mut parts = vec![
        form.file.sha256.as_slice(),
        form.prompt.as_bytes(),
        priority.as_bytes(),
        scheduled_at.as_bytes(),
        form.file_name.as_bytes(),
    ];
    // Only when given: an upload without them has the hash that earlier versions gave it.
    let model = form
        .options
        .model
        .as_deref()
        .map(|model| format!("model {model}"));
    let schema = form
        .options
        .schema
        .as_ref()
        .map(|schema| format!("schema {schema}"));
    parts.extend(model.iter().chain(&schema).map(String::as_bytes));
    for part in parts {
        // The length keeps two neighbouring parts from being cut in another place.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    if form.password.is_some() {
        hash.update(b"password");
    }
    hash.finalize().into()
}

/// The reply of the contract. An upload that is repeated gets the job as it is now: its end may have been told long ago,
/// and whoever learns the id only now would wait for it in vain.
fn reply(state: &AppState, job: &Job, replayed: bool) -> Result<Response, ApiError> {
    let guard = state.hold.begin(job.id);
    let body = serde_json::to_vec(&UploadReply::new(job)).map_err(ApiError::internal)?;
    let mut response = Response::new(Body::new(Guarded {
        body: Full::from(body),
        _guard: guard,
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(LOCATION, text(&format!("/api/jobs/{}", job.id))?);
    headers.insert(ETAG, text(&format!("\"{}\"", hex::encode(job.sha256)))?);
    if replayed {
        headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn text(value: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(value).map_err(ApiError::internal)
}

impl UploadReply {
    fn new(job: &Job) -> Self {
        let data = UploadedJob {
            job_id: job.id.to_string(),
            status: status_of(job.state),
            progress: job.progress,
            message: "File uploaded successfully",
        };
        Self {
            success: true,
            data,
        }
    }
}

/// A reply that holds back the job's events until the server has taken, or given up, the last byte of it.
struct Guarded {
    body: Full<Bytes>,
    /// Releases the events when it is dropped.
    _guard: ReplyGuard,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::convert::Infallible>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use quire_extract::MediaType;
    use quire_store::{AnswerOptions, FileHold, Password, StoredFile};

    use super::*;

    fn form() -> UploadForm {
        UploadForm {
            file: StoredFile {
                sha256: [7; 32],
                bytes: 3,
                hold: FileHold::default(),
            },
            file_name: "a.csv".into(),
            media: MediaType::Csv,
            prompt: "why?".into(),
            priority: 1,
            scheduled_at: None,
            password: None,
            options: AnswerOptions::default(),
        }
    }

    #[test]
    fn the_reply_is_that_of_the_contract_byte_for_byte() {
        let data = UploadedJob {
            job_id: "unique-job-id".into(),
            status: "pending",
            progress: 0,
            message: "File uploaded successfully",
        };
        assert_eq!(
            serde_json::to_string(&UploadReply {
                success: true,
                data
            })
            .unwrap(),
            r#"{"success":true,"data":{"job_id":"unique-job-id","status":"pending","progress":0,"message":"File uploaded successfully"}}"#
        );
    }

    #[test]
    fn everything_that_was_asked_for_is_in_the_hash() {
        let same = request_hash(&form());
        assert_eq!(request_hash(&form()), same);
        let changes: [fn(&mut UploadForm); 9] = [
            |form| form.file.sha256[0] = 8,
            |form| form.prompt.push('!'),
            |form| form.priority = 2,
            |form| form.scheduled_at = "2030-01-01T00:00:00Z".parse().ok(),
            |form| form.file_name = "b.csv".into(),
            |form| form.password = Password::new("s3cret"),
            |form| form.options.model = Some("remote".into()),
            |form| form.options.schema = Some(serde_json::json!({})),
            // The same letters cut elsewhere.
            |form| (form.prompt, form.priority) = ("why?1".into(), 0),
        ];
        for (at, change) in changes.iter().enumerate() {
            let mut form = form();
            change(&mut form);
            assert_ne!(request_hash(&form), same, "change {at}");
        }
    }

    #[test]
    fn a_password_cannot_be_tried_against_the_hash() {
        let with = |password| UploadForm {
            password: Password::new(password),
            ..form()
        };
        assert_eq!(request_hash(&with("one")), request_hash(&with("two")));
    }

    #[test]
    fn a_time_that_has_passed_means_now() {
        let hour = chrono::TimeDelta::hours(1);
        let at = |at| {
            new_upload(
                UploadForm {
                    scheduled_at: Some(at),
                    ..form()
                },
                None,
            )
            .scheduled_at
        };
        assert_eq!(at(clock::now() - hour), None);
        let later = clock::now() + hour;
        assert_eq!(at(later), Some(later));
    }

    #[test]
    fn a_length_is_read_from_the_header_only() {
        let request = |value: &str| {
            Request::builder()
                .header(CONTENT_LENGTH, value)
                .body(Body::empty())
                .unwrap()
        };
        assert_eq!(announced_length(&request("12")), Some(12));
        assert_eq!(announced_length(&request("many")), None);
    }
}
