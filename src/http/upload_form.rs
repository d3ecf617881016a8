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
    let mut draft = Draft {
        errors,
        ..Draft::default()
    };
    while let Some(field) = reader.next(&mut multipart).await? {
        let name = field.name().unwrap_or_default();
        match TextField::find(name) {
            Some(slot) => draft.read_text(field, &reader, slot).await?,
            None if name == "file" => draft.read_file(field, &reader, files).await?,
            None => reader.skip(field).await?,
        }
    }
    draft.finish().await
}

async fn open(request: Request, limit: u64) -> Result<(Multipart, Reader), ApiError> {
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
        let next = timeout(IDLE, multipart.next_field())
            .await
            .map_err(|_| ApiError::Timeout(IDLE))?;
        self.unparsed.reset();
        next.map_err(|error| broken(&error, self.limit))
    }

    async fn chunk(&self, field: &mut Field<'_>) -> Result<Option<Bytes>, ApiError> {
        let chunk = timeout(IDLE, field.chunk())
            .await
            .map_err(|_| ApiError::Timeout(IDLE))?;
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
    fn find(name: &str) -> Option<Self> {
        let all = [Self::Prompt, Self::Priority, Self::ScheduledAt];
        all.into_iter()
            .find(|field| field.name_and_limit().0 == name)
    }

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
    /// The first `file` part, unless it was empty.
    file: Option<Received>,
    texts: [Option<Text>; 3],
    errors: Vec<FieldError>,
}

/// A file that was received whole and is not yet part of the store.
struct Received {
    writer: FileWriter,
    name: String,
    media: MediaType,
}

impl Draft {
    async fn read_text(
        &mut self,
        field: Field<'_>,
        reader: &Reader,
        slot: TextField,
    ) -> Result<(), ApiError> {
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
        if self.file.is_some() || self.has_error("file") {
            self.duplicate("file");
            return reader.skip(field).await;
        }
        let given = field.file_name().unwrap_or_default();
        let nameless = given.is_empty();
        let name = upload_name::clean(given);
        let mut writer = files.writer(reader.limit).await?;
        let (mut bytes, mut media) = (0, None);
        while let Some(chunk) = reader.chunk(&mut field).await? {
            bytes += chunk.len();
            writer.write(chunk).await?;
            if media.is_none() && bytes >= SNIFF_BYTES {
                media = Some(recognised(&writer, &name)?);
            }
        }
        if bytes > 0 {
            let media = media.map_or_else(|| recognised(&writer, &name), Ok)?;
            self.file = Some(Received {
                writer,
                name,
                media,
            });
        } else if !nameless {
            self.errors
                .push(FieldError::new("file", "empty", "is empty"));
        }
        // Without a name and without bytes it is a file input that was left empty, as browsers send it.
        Ok(())
    }

    fn duplicate(&mut self, field: &'static str) {
        let known = |error: &FieldError| error.field == field && error.code == "duplicate";
        if !self.errors.iter().any(known) {
            self.errors.push(FieldError::new(
                field,
                "duplicate",
                "is given more than once",
            ));
        }
    }

    fn has_error(&self, field: &str) -> bool {
        self.errors.iter().any(|error| error.field == field)
    }

    async fn finish(mut self) -> Result<UploadForm, ApiError> {
        if self.file.is_none() && !self.has_error("file") {
            self.errors
                .push(FieldError::new("file", "required", "is required"));
        }
        let Self {
            file,
            texts: [prompt, priority, scheduled_at],
            mut errors,
        } = self;
        let prompt = noted(&mut errors, values::prompt(prompt));
        let priority = noted(&mut errors, values::priority(priority));
        let scheduled_at = noted(&mut errors, values::scheduled_at(scheduled_at));
        let (
            Some(Received {
                writer,
                name,
                media,
            }),
            Some(prompt),
            Some(priority),
            Some(scheduled_at),
            true,
        ) = (file, prompt, priority, scheduled_at, errors.is_empty())
        else {
            return Err(ApiError::Validation(errors));
        };
        let file = writer.finish().await?;
        Ok(UploadForm {
            file,
            file_name: name,
            media,
            prompt,
            priority,
            scheduled_at,
        })
    }
}

fn recognised(writer: &FileWriter, name: &str) -> Result<MediaType, ApiError> {
    sniff(writer.head(), name).ok_or(ApiError::UnsupportedType(
        "the file is neither PDF, CSV, an image, an office document nor text that can be read",
    ))
}

fn noted<T>(errors: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> Option<T> {
    checked.map_err(|error| errors.push(error)).ok()
}

#[cfg(test)]
mod tests;
