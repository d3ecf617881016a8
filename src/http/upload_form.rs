//! The multipart form of an upload, read once, in whatever order the fields come, with the file going straight to the store.
//!
//! What is wrong with the fields is collected and reported together. What is wrong with the file's bytes (too large, of a
//! type that is not read, no room) ends the reading at once. The file becomes part of the store only when everything was
//! right: dropping its writer on any other way out removes it. Nothing here knows the database.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{StatusCode, header::CONTENT_TYPE};
use quire_extract::{MediaType, SNIFF_BYTES, sniff};
use quire_store::{FileStore, FileWriter, StoredFile};
use tokio::time::timeout;

use super::{
    paced::{PacedBody, Unparsed},
    upload_name,
    upload_values::{self as values, MAX_PROMPT, MAX_VALUE, Text},
};
use crate::error::{ApiError, FieldError};

/// A client that sends nothing for this long is gone; its half file would hold disk space.
const IDLE: Duration = Duration::from_secs(30);

/// An upload that was read and found right; its file is in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadForm {
    /// The stored bytes.
    pub file: StoredFile,
    /// The cleaned name.
    pub file_name: String,
    /// What the bytes are.
    pub media: MediaType,
    /// The question.
    pub prompt: String,
    /// Larger goes first.
    pub priority: i32,
    /// The time before which the job must not start, as given.
    pub scheduled_at: Option<DateTime<Utc>>,
}

/// Reads the form. `errors` are those found before, in the headers; they are reported with those of the fields.
pub async fn receive(
    request: Request,
    files: &FileStore,
    limit: u64,
    errors: Vec<FieldError>,
) -> Result<UploadForm, ApiError> {
    let (mut multipart, reader) = open(request, limit).await?;
    let mut draft = Draft { errors, ..Draft::default() };
    while let Some(field) = reader.next(&mut multipart).await? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "file" => draft.read_file(field, &reader, files).await?,
            "prompt" => draft.read_text(field, &reader, TextField::Prompt).await?,
            "priority" => draft.read_text(field, &reader, TextField::Priority).await?,
            "scheduled_at" => draft.read_text(field, &reader, TextField::ScheduledAt).await?,
            _ => reader.skip(field).await?,
        }
    }
    draft.finish().await
}

async fn open(request: Request, limit: u64) -> Result<(Multipart, Reader), ApiError> {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        return Err(ApiError::UnsupportedType("the request is not multipart/form-data"));
    }
    let (head, body) = request.into_parts();
    let (body, unparsed) = PacedBody::new(body);
    let multipart = Multipart::from_request(Request::from_parts(head, Body::new(body)), &()).await;
    let multipart = multipart.map_err(|_| ApiError::Malformed("the form has no boundary".into()))?;
    Ok((multipart, Reader { unparsed, limit }))
}

/// Reads the parts of a form, with a limit on silence and on what the parser may hold.
struct Reader {
    /// What the parser holds.
    unparsed: Unparsed,
    /// Largest file, to be named in errors.
    limit: u64,
}

impl Reader {
    async fn next<'a>(&self, multipart: &'a mut Multipart) -> Result<Option<Field<'a>>, ApiError> {
        let next = timeout(IDLE, multipart.next_field()).await.map_err(|_| ApiError::Timeout(IDLE))?;
        self.unparsed.reset();
        next.map_err(|error| broken(&error, self.limit))
    }

    async fn chunk(&self, field: &mut Field<'_>) -> Result<Option<Bytes>, ApiError> {
        let chunk = timeout(IDLE, field.chunk()).await.map_err(|_| ApiError::Timeout(IDLE))?;
        self.unparsed.reset();
        chunk.map_err(|error| broken(&error, self.limit))
    }

    async fn skip(&self, mut field: Field<'_>) -> Result<(), ApiError> {
        while self.chunk(&mut field).await?.is_some() {}
        Ok(())
    }

    /// The field's bytes up to `limit`; the rest is read and forgotten.
    async fn text(&self, mut field: Field<'_>, limit: usize) -> Result<Text, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut field).await? {
            if bytes.len() + chunk.len() > limit {
                self.skip(field).await?;
                return Ok(Text::TooLong(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Text::Whole(bytes))
    }
}

/// The body as a whole has a limit too, just above that of the file; all else is a form that cannot be read.
fn broken(error: &MultipartError, limit: u64) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return ApiError::TooLarge { limit };
    }
    ApiError::Malformed(format!("the form cannot be read: {}", error.body_text()).into())
}

/// The text fields, by position in [`Draft::texts`].
#[derive(Clone, Copy)]
enum TextField {
    Prompt,
    Priority,
    ScheduledAt,
}

impl TextField {
    fn name_and_limit(self) -> (&'static str, usize) {
        match self {
            Self::Prompt => ("prompt", MAX_PROMPT),
            Self::Priority => ("priority", MAX_VALUE),
            Self::ScheduledAt => ("scheduled_at", MAX_VALUE),
        }
    }
}

/// What has been read of a form.
#[derive(Default)]
struct Draft {
    file: Option<FilePart>,
    texts: [Option<Text>; 3],
    errors: Vec<FieldError>,
}

/// A file that was received whole and is not yet part of the store.
enum FilePart {
    Empty,
    Received { writer: FileWriter, name: String, media: MediaType },
}

impl Draft {
    async fn read_text(&mut self, field: Field<'_>, reader: &Reader, slot: TextField) -> Result<(), ApiError> {
        let (name, limit) = slot.name_and_limit();
        if self.texts[slot as usize].is_some() {
            self.duplicate(name);
            return reader.skip(field).await;
        }
        self.texts[slot as usize] = Some(reader.text(field, limit).await?);
        Ok(())
    }

    async fn read_file(
        &mut self,
        mut field: Field<'_>,
        reader: &Reader,
        files: &FileStore,
    ) -> Result<(), ApiError> {
        if self.file.is_some() {
            self.duplicate("file");
            return reader.skip(field).await;
        }
        let given = field.file_name().unwrap_or_default();
        let nameless = given.is_empty();
        let name = upload_name::clean(given);
        let mut writer = files.writer(reader.limit).await.map_err(ApiError::from)?;
        let mut bytes = 0;
        let mut media = None;
        while let Some(chunk) = reader.chunk(&mut field).await? {
            bytes += chunk.len();
            writer.write(chunk).await?;
            if media.is_none() && bytes >= SNIFF_BYTES {
                media = Some(recognised(&writer, &name)?);
            }
        }
        self.file = match (bytes, media) {
            // What a browser sends for a file input that was left empty: no name and no bytes.
            (0, _) if nameless => None,
            (0, _) => Some(FilePart::Empty),
            (_, Some(media)) => Some(FilePart::Received { writer, name, media }),
            (_, None) => Some(FilePart::Received { media: recognised(&writer, &name)?, writer, name }),
        };
        Ok(())
    }

    fn duplicate(&mut self, field: &'static str) {
        if !self.errors.iter().any(|error| error.field == field && error.code == "duplicate") {
            self.errors.push(FieldError::new(field, "duplicate", "is given more than once"));
        }
    }

    async fn finish(self) -> Result<UploadForm, ApiError> {
        let Self { file, texts: [prompt, priority, scheduled_at], mut errors } = self;
        let file = match file {
            Some(FilePart::Received { writer, name, media }) => Ok((writer, name, media)),
            Some(FilePart::Empty) => Err(FieldError::new("file", "empty", "is empty")),
            None => Err(FieldError::new("file", "required", "is required")),
        };
        let mut checked = Vec::new();
        let (file, prompt) = (noted(&mut checked, file), noted(&mut checked, values::prompt(prompt)));
        let priority = noted(&mut checked, values::priority(priority));
        let scheduled_at = noted(&mut checked, values::scheduled_at(scheduled_at));
        errors.append(&mut checked);
        let (Some((writer, file_name, media)), Some(prompt), Some(priority), Some(scheduled_at), true) =
            (file, prompt, priority, scheduled_at, errors.is_empty())
        else {
            return Err(ApiError::Validation(errors));
        };
        let file = writer.finish().await?;
        Ok(UploadForm { file, file_name, media, prompt, priority, scheduled_at })
    }
}

fn recognised(writer: &FileWriter, name: &str) -> Result<MediaType, ApiError> {
    sniff(writer.head(), name).ok_or(ApiError::UnsupportedType("the file is neither PDF, CSV nor an image that can be read"))
}

fn noted<T>(errors: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> Option<T> {
    checked.map_err(|error| errors.push(error)).ok()
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use axum::http::header::CONTENT_LENGTH;
    use futures_util::stream;
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    const CSV: &[u8] = b"name,amount\nanna,1\nbert,2\n";
    const LIMIT: u64 = 300_000;

    /// One part: name, file name, bytes.
    type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

    const FILE: Part<'static> = ("file", Some("table.csv"), CSV);
    const PROMPT: Part<'static> = ("prompt", None, b"How much?");

    fn encode(parts: &[Part<'_>]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, file_name, bytes) in parts {
            body.extend_from_slice(format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes());
            if let Some(file_name) = file_name {
                body.extend_from_slice(format!("; filename=\"{file_name}\"").as_bytes());
            }
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--X--\r\n");
        body
    }

    fn request(body: impl Into<Body>) -> Request {
        Request::builder().header(CONTENT_TYPE, "multipart/form-data; boundary=X").body(body.into()).unwrap()
    }

    /// A store in a directory that goes away with the test.
    struct Files {
        dir: TempDir,
        store: FileStore,
    }

    impl Files {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = FileStore::open(dir.path()).unwrap();
            Self { dir, store }
        }

        async fn receive(&self, request: Request) -> Result<UploadForm, ApiError> {
            receive(request, &self.store, LIMIT, Vec::new()).await
        }

        async fn upload(&self, parts: &[Part<'_>]) -> Result<UploadForm, ApiError> {
            self.receive(request(encode(parts))).await
        }

        /// Every file in the store's directory, finished or not.
        fn count(&self) -> usize {
            fn count(dir: &Path) -> usize {
                let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
                entries.map(|e| if e.file_type().unwrap().is_dir() { count(&e.path()) } else { 1 }).sum()
            }
            count(self.dir.path())
        }
    }

    fn refused(result: Result<UploadForm, ApiError>) -> Vec<(String, &'static str)> {
        match result {
            Err(ApiError::Validation(errors)) => errors.into_iter().map(|e| (e.field.into_owned(), e.code)).collect(),
            other => panic!("not a validation error: {other:?}"),
        }
    }

    fn one(field: &str, code: &'static str) -> Vec<(String, &'static str)> {
        vec![(field.to_owned(), code)]
    }

    #[tokio::test]
    async fn fields_may_come_in_any_order() {
        let files = Files::new();
        let priority: Part<'_> = ("priority", None, b"7");
        let time: Part<'_> = ("scheduled_at", None, b"2030-01-01T09:00:00Z");
        let unknown: Part<'_> = ("conversation_id", None, b"abc");
        for parts in [
            [FILE, PROMPT, priority, time, unknown],
            [unknown, time, priority, PROMPT, FILE],
            [PROMPT, priority, FILE, unknown, time],
        ] {
            let form = files.upload(&parts).await.unwrap();
            assert_eq!((form.file.bytes, form.media), (CSV.len() as u64, MediaType::Csv));
            assert_eq!((form.file_name.as_str(), form.prompt.as_str(), form.priority), ("table.csv", "How much?", 7));
            assert_eq!(form.scheduled_at.unwrap().to_rfc3339(), "2030-01-01T09:00:00+00:00");
        }
        assert_eq!(files.count(), 1, "equal files are stored once");
    }

    #[tokio::test]
    async fn what_is_missing_is_named_all_at_once() {
        let files = Files::new();
        let given: [Part<'_>; 3] =
            [("priority", None, b"high"), ("scheduled_at", None, b"tomorrow"), ("prompt", None, b"  ")];
        let errors = refused(files.upload(&given).await);
        let expected = [
            ("file", "required"),
            ("prompt", "required"),
            ("priority", "invalid"),
            ("scheduled_at", "invalid"),
        ];
        assert_eq!(errors, expected.map(|(field, code)| (field.to_owned(), code)));
        assert_eq!(files.count(), 0);
    }

    #[tokio::test]
    async fn errors_of_headers_come_with_those_of_fields() {
        let files = Files::new();
        let before = vec![FieldError::new("Idempotency-Key", "too_long", "is longer than 255 characters")];
        let errors = refused(receive(request(encode(&[FILE])), &files.store, LIMIT, before).await);
        let expected = [("Idempotency-Key", "too_long"), ("prompt", "required")];
        assert_eq!(errors, expected.map(|(field, code)| (field.to_owned(), code)));
        assert_eq!(files.count(), 0, "the file was right and is not kept");
    }

    #[tokio::test]
    async fn empty_files_and_empty_inputs_are_told_apart() {
        let files = Files::new();
        let empty: Part<'_> = ("file", Some("empty.csv"), b"");
        let untouched: Part<'_> = ("file", Some(""), b"");
        assert_eq!(refused(files.upload(&[empty, PROMPT]).await), one("file", "empty"));
        assert_eq!(refused(files.upload(&[untouched, PROMPT]).await), one("file", "required"));
        assert_eq!(refused(files.upload(&[PROMPT]).await), one("file", "required"));
        assert_eq!(files.count(), 0);
    }

    #[tokio::test]
    async fn a_field_given_twice_is_refused() {
        let files = Files::new();
        assert_eq!(refused(files.upload(&[FILE, PROMPT, FILE, FILE]).await), one("file", "duplicate"));
        assert_eq!(refused(files.upload(&[FILE, PROMPT, PROMPT]).await), one("prompt", "duplicate"));
        assert_eq!(files.count(), 0);
    }

    #[tokio::test]
    async fn long_fields_are_refused_and_read_to_their_end() {
        let files = Files::new();
        let (fits, long) = (vec![b'a'; MAX_PROMPT], vec![b'a'; MAX_PROMPT + 1]);
        assert!(files.upload(&[("prompt", None, &fits), FILE]).await.is_ok());
        let parts: [Part<'_>; 3] = [("prompt", None, &long), ("priority", None, &long), FILE];
        let errors = refused(files.upload(&parts).await);
        assert_eq!(errors, [("prompt", "too_long"), ("priority", "too_long")].map(|(f, c)| (f.to_owned(), c)));
    }

    #[tokio::test]
    async fn the_limit_counts_the_bytes_of_the_file() {
        let files = Files::new();
        let mut table = b"a,b\n".to_vec();
        table.resize(LIMIT as usize, b'1');
        table[LIMIT as usize - 2] = b',';
        for at in (100..table.len() - 10).step_by(100) {
            table[at..at + 2].copy_from_slice(b",1");
            table[at + 2] = b'\n';
        }
        let form = files.upload(&[("file", Some("t.csv"), &table), PROMPT]).await.unwrap();
        assert_eq!(form.file.bytes, LIMIT);
        table.push(b'1');
        let over = files.upload(&[("file", Some("t.csv"), &table), PROMPT]).await;
        assert!(matches!(over, Err(ApiError::TooLarge { limit: LIMIT })), "{over:?}");
        assert_eq!(files.count(), 1, "only the file that fits is there");
    }

    #[tokio::test]
    async fn content_decides_what_a_file_is() {
        let files = Files::new();
        let program: Part<'_> = ("file", Some("table.csv"), b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        let pdf: Part<'_> = ("file", Some("photo.png"), b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n");
        assert!(matches!(files.upload(&[program, PROMPT]).await, Err(ApiError::UnsupportedType(_))));
        assert_eq!(files.count(), 0);
        assert_eq!(files.upload(&[pdf, PROMPT]).await.unwrap().media, MediaType::Pdf);
    }

    #[tokio::test]
    async fn names_are_cleaned() {
        let files = Files::new();
        let part: Part<'_> = ("file", Some("../../etc/\u{202E}x.csv"), CSV);
        assert_eq!(files.upload(&[part, PROMPT]).await.unwrap().file_name, "x.csv");
        assert_eq!(files.upload(&[("file", None, CSV), PROMPT]).await.unwrap().file_name, "upload");
    }

    #[tokio::test]
    async fn broken_forms_leave_nothing_behind() {
        let files = Files::new();
        let whole = encode(&[PROMPT, FILE]);
        for length in 0..whole.len() - "--\r\n".len() {
            let result = files.receive(request(whole[..length].to_vec())).await;
            assert!(matches!(result, Err(ApiError::Malformed(_))), "cut at {length}: {result:?}");
        }
        assert_eq!(files.count(), 0);
    }

    #[tokio::test]
    async fn a_client_that_goes_away_leaves_nothing_behind() {
        let files = Files::new();
        let begun = encode(&[PROMPT, FILE])[..120].to_vec();
        let gone = io::Error::from(io::ErrorKind::ConnectionReset);
        let body = Body::from_stream(stream::iter([Ok(Bytes::from(begun)), Err(gone)]));
        assert!(matches!(files.receive(request(body)).await, Err(ApiError::Malformed(_))));
        assert_eq!(files.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_falls_silent_is_given_up() {
        let files = Files::new();
        let begun = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"--X\r\nContent-Disp"))]);
        let body = Body::from_stream(stream::StreamExt::chain(begun, stream::pending()));
        assert!(matches!(files.receive(request(body)).await, Err(ApiError::Timeout(IDLE))));
    }

    #[tokio::test]
    async fn a_header_without_end_is_not_buffered() {
        let files = Files::new();
        let mut body = b"--X\r\nContent-Disposition: form-data; name=\"".to_vec();
        body.resize(8 * 1024 * 1024, b'a');
        assert!(matches!(files.receive(request(body)).await, Err(ApiError::Malformed(_))));
    }

    #[tokio::test]
    async fn other_content_types_are_refused() {
        let files = Files::new();
        for content_type in [None, Some("application/json"), Some("application/x-www-form-urlencoded")] {
            let mut request = request(encode(&[FILE, PROMPT]));
            request.headers_mut().remove(CONTENT_TYPE);
            if let Some(value) = content_type {
                request.headers_mut().insert(CONTENT_TYPE, value.parse().unwrap());
            }
            let result = files.receive(request).await;
            assert!(matches!(result, Err(ApiError::UnsupportedType(_))), "{content_type:?}: {result:?}");
        }
        let mut no_boundary = request(encode(&[FILE, PROMPT]));
        no_boundary.headers_mut().insert(CONTENT_TYPE, "multipart/form-data".parse().unwrap());
        assert!(matches!(files.receive(no_boundary).await, Err(ApiError::Malformed(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However the network cuts a form, the same is read.
        #[test]
        fn cuts_do_not_matter(sizes in prop::collection::vec(1_usize..200, 1..60)) {
            let mut rest = Bytes::from(encode(&[FILE, PROMPT]));
            let length = rest.len();
            let mut pieces = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                pieces.push(Ok::<_, io::Error>(rest.split_to((*size).min(rest.len()))));
            }
            let mut request = request(Body::from_stream(stream::iter(pieces)));
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let files = Files::new();
            let form = runtime.block_on(files.receive(request)).unwrap();
            prop_assert_eq!(form.file.bytes, CSV.len() as u64);
            prop_assert_eq!(form.prompt, "How much?");
        }
    }
}
