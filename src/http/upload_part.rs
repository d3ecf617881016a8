//! The parts of a multipart form that carries files: read one after the other, each file straight into the store.
//!
//! Shared by the upload of one file and by batches. Bounded in time and memory whatever a client sends: a limit on
//! silence, on what the parser may hold, and on every text. A file that is received is not yet part of the store;
//! dropping it removes it.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{
        FromRequest, Multipart, Request,
        multipart::{Field, MultipartError},
    },
};
use bytes::Bytes;
use http::{StatusCode, header::CONTENT_TYPE};
use quire_extract::{MediaType, SNIFF_BYTES, sniff};
use quire_store::{FileStore, FileWriter};
use tokio::time::timeout;

use super::{
    paced::{PacedBody, Unparsed},
    upload_name,
    upload_values::Text,
};
use crate::error::ApiError;

/// A client that sends nothing for this long is gone; its half file would hold disk space.
const IDLE: Duration = Duration::from_secs(30);

/// Begins to read a form. `too_large` is what a body over its limit is answered.
pub async fn open(
    request: Request,
    too_large: fn(u64) -> ApiError,
    limit: u64,
) -> Result<(Multipart, Reader), ApiError> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !content_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("multipart/form-data")
    {
        return Err(ApiError::UnsupportedType(
            "the request is not multipart/form-data",
        ));
    }
    let (head, body) = request.into_parts();
    let (body, unparsed) = PacedBody::new(body);
    let multipart = Multipart::from_request(Request::from_parts(head, Body::new(body)), &()).await;
    let multipart =
        multipart.map_err(|_| ApiError::Malformed("the form has no boundary".into()))?;
    let reader = Reader {
        unparsed,
        too_large,
        limit,
    };
    Ok((multipart, reader))
}

/// Reads the parts of a form, with a limit on silence and on what the parser may hold.
pub struct Reader {
    /// What the parser holds.
    unparsed: Unparsed,
    /// The error of a body over the limit.
    too_large: fn(u64) -> ApiError,
    /// What to name in it.
    limit: u64,
}

impl Reader {
    /// The next part; `None` at the end of the form.
    pub async fn next<'a>(
        &self,
        multipart: &'a mut Multipart,
    ) -> Result<Option<Field<'a>>, ApiError> {
        let next = timeout(IDLE, multipart.next_field())
            .await
            .map_err(|_| ApiError::Timeout(IDLE))?;
        self.unparsed.reset();
        next.map_err(|error| self.broken(&error))
    }

    /// Some more bytes of a part; `None` at its end.
    pub async fn chunk(&self, field: &mut Field<'_>) -> Result<Option<Bytes>, ApiError> {
        let chunk = timeout(IDLE, field.chunk())
            .await
            .map_err(|_| ApiError::Timeout(IDLE))?;
        self.unparsed.reset();
        chunk.map_err(|error| self.broken(&error))
    }

    /// Reads what is left of a part and forgets it.
    pub async fn skip(&self, field: &mut Field<'_>) -> Result<(), ApiError> {
        while self.chunk(field).await?.is_some() {}
        Ok(())
    }

    /// The part's bytes up to `limit`; the rest is read and forgotten.
    pub async fn text(&self, field: &mut Field<'_>, limit: usize) -> Result<Text, ApiError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(field).await? {
            if bytes.len() + chunk.len() > limit {
                self.skip(field).await?;
                return Ok(Text::TooLong(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Text::Whole(bytes))
    }

    /// Receives the file of a part, of at most `limit` bytes. After an error the rest of the part is still to be read.
    pub async fn file(
        &self,
        field: &mut Field<'_>,
        files: &FileStore,
        limit: u64,
    ) -> Result<Part, ApiError> {
        let given = field.file_name().unwrap_or_default();
        let nameless = given.is_empty();
        let name = upload_name::clean(given);
        let mut writer = files.writer(limit).await?;
        let (mut bytes, mut media) = (0, None);
        while let Some(chunk) = self.chunk(field).await? {
            bytes += chunk.len();
            writer.write(chunk).await?;
            if media.is_none() && bytes >= SNIFF_BYTES {
                media = Some(recognised(&writer, &name)?);
            }
        }
        if bytes > 0 {
            let media = media.map_or_else(|| recognised(&writer, &name), Ok)?;
            let received = Received {
                writer,
                name,
                media,
            };
            return Ok(Part::File(Box::new(received)));
        }
        Ok(if nameless { Part::Blank } else { Part::Empty })
    }

    /// The body as a whole has a limit too; all else is a form that cannot be read.
    fn broken(&self, error: &MultipartError) -> ApiError {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return (self.too_large)(self.limit);
        }
        ApiError::Malformed(format!("the form cannot be read: {}", error.body_text()).into())
    }
}

/// What a part for a file held.
pub enum Part {
    /// A file of a type that is read.
    File(Box<Received>),
    /// A file without bytes.
    Empty,
    /// Neither name nor bytes: a file input that was left empty, as browsers send it.
    Blank,
}

/// A file that was received whole and is not yet part of the store.
pub struct Received {
    /// Finishing it makes the file part of the store.
    pub writer: FileWriter,
    /// The cleaned name.
    pub name: String,
    /// What the bytes are.
    pub media: MediaType,
}

fn recognised(writer: &FileWriter, name: &str) -> Result<MediaType, ApiError> {
    sniff(writer.head(), name).ok_or(ApiError::UnsupportedType(
        "the file is neither PDF, CSV, an image, an office document nor text that can be read",
    ))
}
