//! Forms as clients send them, right, wrong and cut off, read into a real file store.

use std::{io, path::Path};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
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
        body.extend_from_slice(
            format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"").as_bytes(),
        );
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
    Request::builder()
        .header(CONTENT_TYPE, "multipart/form-data; boundary=X")
        .body(body.into())
        .unwrap()
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
        let draft = read(request, &self.store, LIMIT, Vec::new()).await?;
        draft.finish().await
    }

    async fn upload(&self, parts: &[Part<'_>]) -> Result<UploadForm, ApiError> {
        self.receive(request(encode(parts))).await
    }

    /// Every file in the store's directory, finished or not.
    fn count(&self) -> usize {
        fn count(dir: &Path) -> usize {
            let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
            entries
                .map(|e| {
                    if e.file_type().unwrap().is_dir() {
                        count(&e.path())
                    } else {
                        1
                    }
                })
                .sum()
        }
        count(self.dir.path())
    }
}

fn refused(result: Result<UploadForm, ApiError>) -> Vec<(String, &'static str)> {
    match result {
        Err(ApiError::Validation(errors)) => errors
            .into_iter()
            .map(|e| (e.field.into_owned(), e.code))
            .collect(),
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
        assert_eq!(
            (form.file.bytes, form.media),
            (CSV.len() as u64, MediaType::Csv)
        );
        assert_eq!(
            (form.file_name.as_str(), form.prompt.as_str(), form.priority),
            ("table.csv", "How much?", 7)
        );
        assert_eq!(
            form.scheduled_at.unwrap().to_rfc3339(),
            "2030-01-01T09:00:00+00:00"
        );
    }
    assert_eq!(files.count(), 1, "equal files are stored once");
}

#[tokio::test]
async fn what_is_missing_is_named_all_at_once() {
    let files = Files::new();
    let given: [Part<'_>; 3] = [
        ("priority", None, b"high"),
        ("scheduled_at", None, b"tomorrow"),
        ("prompt", None, b"  "),
    ];
    let errors = refused(files.upload(&given).await);
    let expected = [
        ("file", "required"),
        ("prompt", "required"),
        ("priority", "invalid"),
        ("scheduled_at", "invalid"),
    ];
    assert_eq!(
        errors,
        expected.map(|(field, code)| (field.to_owned(), code))
    );
    assert_eq!(files.count(), 0);
}

#[tokio::test]
async fn errors_of_headers_come_with_those_of_fields() {
    let files = Files::new();
    let before = vec![FieldError::new(
        "Idempotency-Key",
        "too_long",
        "is longer than 255 characters",
    )];
    let draft = read(request(encode(&[FILE])), &files.store, LIMIT, before).await;
    let errors = refused(draft.unwrap().finish().await);
    let expected = [("Idempotency-Key", "too_long"), ("prompt", "required")];
    assert_eq!(
        errors,
        expected.map(|(field, code)| (field.to_owned(), code))
    );
    assert_eq!(files.count(), 0, "the file was right and is not kept");
}

#[tokio::test]
async fn empty_files_and_empty_inputs_are_told_apart() {
    let files = Files::new();
    let empty: Part<'_> = ("file", Some("empty.csv"), b"");
    let untouched: Part<'_> = ("file", Some(""), b"");
    assert_eq!(
        refused(files.upload(&[empty, PROMPT]).await),
        one("file", "empty")
    );
    assert_eq!(
        refused(files.upload(&[untouched, PROMPT]).await),
        one("file", "required")
    );
    assert_eq!(
        refused(files.upload(&[PROMPT]).await),
        one("file", "required")
    );
    assert_eq!(files.count(), 0);
}

#[tokio::test]
async fn a_field_given_twice_is_refused() {
    let files = Files::new();
    assert_eq!(
        refused(files.upload(&[FILE, PROMPT, FILE, FILE]).await),
        one("file", "duplicate")
    );
    assert_eq!(
        refused(files.upload(&[FILE, PROMPT, PROMPT]).await),
        one("prompt", "duplicate")
    );
    assert_eq!(files.count(), 0);
}

#[tokio::test]
async fn long_fields_are_refused_and_read_to_their_end() {
    let files = Files::new();
    let (fits, long) = (vec![b'a'; MAX_PROMPT], vec![b'a'; MAX_PROMPT + 1]);
    assert!(files.upload(&[("prompt", None, &fits), FILE]).await.is_ok());
    let parts: [Part<'_>; 3] = [("prompt", None, &long), ("priority", None, &long), FILE];
    let errors = refused(files.upload(&parts).await);
    assert_eq!(
        errors,
        [("prompt", "too_long"), ("priority", "too_long")].map(|(f, c)| (f.to_owned(), c))
    );
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
    let form = files
        .upload(&[("file", Some("t.csv"), &table), PROMPT])
        .await
        .unwrap();
    assert_eq!(form.file.bytes, LIMIT);
    table.push(b'1');
    let over = files
        .upload(&[("file", Some("t.csv"), &table), PROMPT])
        .await;
    assert!(
        matches!(over, Err(ApiError::TooLarge { limit: LIMIT })),
        "{over:?}"
    );
    assert_eq!(files.count(), 1, "only the file that fits is there");
}

#[tokio::test]
async fn content_decides_what_a_file_is() {
    let files = Files::new();
    let program: Part<'_> = (
        "file",
        Some("table.csv"),
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0",
    );
    let pdf: Part<'_> = ("file", Some("photo.png"), b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n");
    assert!(matches!(
        files.upload(&[program, PROMPT]).await,
        Err(ApiError::UnsupportedType(_))
    ));
    assert_eq!(files.count(), 0);
    assert_eq!(
        files.upload(&[pdf, PROMPT]).await.unwrap().media,
        MediaType::Pdf
    );
}

#[tokio::test]
async fn names_are_cleaned() {
    let files = Files::new();
    let part: Part<'_> = ("file", Some("../../etc/\u{202E}x.csv"), CSV);
    assert_eq!(
        files.upload(&[part, PROMPT]).await.unwrap().file_name,
        "x.csv"
    );
    assert_eq!(
        files
            .upload(&[("file", None, CSV), PROMPT])
            .await
            .unwrap()
            .file_name,
        "upload"
    );
}

#[tokio::test]
async fn broken_forms_leave_nothing_behind() {
    let files = Files::new();
    let whole = encode(&[PROMPT, FILE]);
    for length in 0..whole.len() - "--\r\n".len() {
        let result = files.receive(request(whole[..length].to_vec())).await;
        assert!(
            matches!(result, Err(ApiError::Malformed(_))),
            "cut at {length}: {result:?}"
        );
    }
    assert_eq!(files.count(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let files = Files::new();
    let begun = encode(&[PROMPT, FILE])[..120].to_vec();
    let gone = io::Error::from(io::ErrorKind::ConnectionReset);
    let body = Body::from_stream(stream::iter([Ok(Bytes::from(begun)), Err(gone)]));
    assert!(matches!(
        files.receive(request(body)).await,
        Err(ApiError::Malformed(_))
    ));
    assert_eq!(files.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_is_given_up() {
    let files = Files::new();
    let begun = stream::iter([Ok::<_, io::Error>(Bytes::from_static(
        b"--X\r\nContent-Disp",
    ))]);
    let body = Body::from_stream(stream::StreamExt::chain(begun, stream::pending()));
    assert!(matches!(
        files.receive(request(body)).await,
        Err(ApiError::Timeout(_))
    ));
}

#[tokio::test]
async fn a_header_without_end_is_not_buffered() {
    let files = Files::new();
    let mut body = b"--X\r\nContent-Disposition: form-data; name=\"".to_vec();
    body.resize(8 * 1024 * 1024, b'a');
    assert!(matches!(
        files.receive(request(body)).await,
        Err(ApiError::Malformed(_))
    ));
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let files = Files::new();
    for content_type in [
        None,
        Some("application/json"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let mut request = request(encode(&[FILE, PROMPT]));
        request.headers_mut().remove(CONTENT_TYPE);
        if let Some(value) = content_type {
            request
                .headers_mut()
                .insert(CONTENT_TYPE, value.parse().unwrap());
        }
        let result = files.receive(request).await;
        assert!(
            matches!(result, Err(ApiError::UnsupportedType(_))),
            "{content_type:?}: {result:?}"
        );
    }
    let mut no_boundary = request(encode(&[FILE, PROMPT]));
    no_boundary
        .headers_mut()
        .insert(CONTENT_TYPE, "multipart/form-data".parse().unwrap());
    assert!(matches!(
        files.receive(no_boundary).await,
        Err(ApiError::Malformed(_))
    ));
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
