//! The multipart form of an upload, read once, in whatever order the fields come, with the file going straight to the store.
//!
//! What is wrong with the fields is collected and reported together. What is wrong with the file's bytes (too large, of a
//! type that is not read, no room) ends the reading at once. The file becomes part of the store only when everything was
//! right: dropping its writer on any other way out removes it. Nothing here knows the database.

use axum::extract::{Request, multipart::Field};
use chrono::{DateTime, Utc};
use quire_extract::MediaType;
use quire_store::{AnswerOptions, FileStore, Password, StoredFile};

use super::{
    upload_part::{self, Part, Reader, Received},
    upload_values::{self as values, MAX_PASSWORD, MAX_PROMPT, MAX_SCHEMA, MAX_VALUE, Text},
};
use crate::error::{ApiError, FieldError};

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
    /// Opens the file, if it is encrypted.
    pub password: Option<Password>,
    /// Who is to answer, and in which shape.
    pub options: AnswerOptions,
}

/// Reads the form; [`Draft::finish`] makes an upload of it. `errors` are those found before, in the headers; they are reported
/// with those of the fields.
pub async fn read(
    request: Request,
    files: &FileStore,
    limit: u64,
    errors: Vec<FieldError>,
) -> Result<Draft, ApiError> {
    let too_large = |limit| ApiError::TooLarge { limit };
    let (mut multipart, reader) = upload_part::open(request, too_large, limit).await?;
    let mut draft = Draft {
        errors,
        ..Draft::default()
    };
    while let Some(mut field) = reader.next(&mut multipart).await? {
        let name = field.name().unwrap_or_default();
        match TextField::find(name) {
            Some(slot) => draft.read_text(field, &reader, slot).await?,
            None if name == "file" => draft.read_file(field, &reader, files, limit).await?,
            None => reader.skip(&mut field).await?,
        }
    }
    Ok(draft)
}

/// The text fields, by position in [`Draft::texts`].
#[derive(Clone, Copy)]
enum TextField {
    Prompt,
    Priority,
    ScheduledAt,
    Password,
    Model,
    Schema,
}

impl TextField {
    fn find(name: &str) -> Option<Self> {
        let all = [
            Self::Prompt,
            Self::Priority,
            Self::ScheduledAt,
            Self::Password,
            Self::Model,
            Self::Schema,
        ];
        all.into_iter()
            .find(|field| field.name_and_limit().0 == name)
    }

    fn name_and_limit(self) -> (&'static str, usize) {
        match self {
            Self::Prompt => ("prompt", MAX_PROMPT),
            Self::Priority => ("priority", MAX_VALUE),
            Self::ScheduledAt => ("scheduled_at", MAX_VALUE),
            Self::Password => ("password", MAX_PASSWORD),
            Self::Model => ("model", MAX_VALUE),
            Self::Schema => ("schema", MAX_SCHEMA),
        }
    }
}

/// What has been read of a form.
#[derive(Default)]
pub struct Draft {
    /// The first `file` part, unless it was empty.
    file: Option<Received>,
    texts: [Option<Text>; 6],
    errors: Vec<FieldError>,
}

impl Draft {
    async fn read_text(
        &mut self,
        mut field: Field<'_>,
        reader: &Reader,
        slot: TextField,
    ) -> Result<(), ApiError> {
        let (name, limit) = slot.name_and_limit();
        if self.texts[slot as usize].is_some() {
            self.duplicate(name);
            return reader.skip(&mut field).await;
        }
        self.texts[slot as usize] = Some(reader.text(&mut field, limit).await?);
        Ok(())
    }

    async fn read_file(
        &mut self,
        mut field: Field<'_>,
        reader: &Reader,
        files: &FileStore,
        limit: u64,
    ) -> Result<(), ApiError> {
        if self.file.is_some() || self.has_error("file") {
            self.duplicate("file");
            return reader.skip(&mut field).await;
        }
        match reader.file(&mut field, files, limit).await? {
            Part::File(received) => self.file = Some(*received),
            Part::Empty => self
                .errors
                .push(FieldError::new("file", "empty", "is empty")),
            Part::Blank => {}
        }
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

    /// Checks the fields and makes the file part of the store.
    pub async fn finish(mut self) -> Result<UploadForm, ApiError> {
        if self.file.is_none() && !self.has_error("file") {
            self.errors
                .push(FieldError::new("file", "required", "is required"));
        }
        let Self {
            file,
            texts: [prompt, priority, scheduled_at, password, model, schema],
            mut errors,
        } = self;
        let prompt = noted(&mut errors, values::prompt(prompt));
        let priority = noted(&mut errors, values::priority(priority));
        let scheduled_at = noted(&mut errors, values::scheduled_at(scheduled_at));
        let password = noted(&mut errors, values::password(password));
        let options = AnswerOptions {
            model: noted(&mut errors, values::model(model)).flatten(),
            schema: noted(&mut errors, values::schema(schema)).flatten(),
        };
        if !errors.is_empty() {
            return Err(ApiError::Validation(errors));
        }
        let (
            Some(Received {
                writer,
                name,
                media,
            }),
            Some(prompt),
            Some(priority),
            Some(scheduled_at),
            Some(password),
        ) = (file, prompt, priority, scheduled_at, password)
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
            password,
            options,
        })
    }
}

fn noted<T>(errors: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> Option<T> {
    checked.map_err(|error| errors.push(error)).ok()
}

#[cfg(test)]
mod tests;
