//! The fields of a batch's form. They come before the files, because every file becomes a job as soon as it is received.

use axum::extract::multipart::Field;
use chrono::{DateTime, Utc};
use quire_store::AnswerOptions;
use sha2::{Digest, Sha256};

use crate::{
    error::{ApiError, FieldError},
    http::{
        upload_part::Reader,
        upload_values::{self as values, MAX_PROMPT, MAX_SCHEMA, MAX_VALUE, Text},
    },
    manifest::{self, Entry},
};

/// Largest manifest in bytes: ten thousand lines of some hundred bytes, held in memory while the request lasts.
const MAX_MANIFEST: usize = 8 * 1024 * 1024;

/// Longest name of a batch in bytes.
const MAX_NAME: usize = 255;

/// What is asked of every file that the manifest says nothing else about.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) prompt: Option<String>,
    pub(super) priority: i32,
    pub(super) scheduled_at: Option<DateTime<Utc>>,
    pub(super) options: AnswerOptions,
}

/// The fields, checked.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) name: Option<String>,
    pub(super) defaults: Defaults,
    /// Index of the first file; `None`: behind what the batch holds.
    pub(super) first_index: Option<i64>,
    pub(super) manifest: Option<Vec<Entry>>,
    /// Hash of all of them as they were sent.
    pub(super) hash: [u8; 32],
}

/// The fields, by position in [`FieldsDraft::texts`].
const NAMES: [(&str, usize); 8] = [
    ("name", MAX_NAME),
    ("prompt", MAX_PROMPT),
    ("priority", MAX_VALUE),
    ("scheduled_at", MAX_VALUE),
    ("first_index", MAX_VALUE),
    ("manifest", MAX_MANIFEST),
    ("model", MAX_VALUE),
    ("schema", MAX_SCHEMA),
];

/// What has been read of the fields.
#[derive(Default)]
pub(super) struct FieldsDraft {
    texts: [Option<Text>; NAMES.len()],
    errors: Vec<FieldError>,
}

impl FieldsDraft {
    /// With errors that were found before, in the headers.
    pub(super) fn new(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::default()
        }
    }

    /// Reads a part if it is one of the fields; else leaves it.
    pub(super) async fn read(
        &mut self,
        field: &mut Field<'_>,
        reader: &Reader,
    ) -> Result<(), ApiError> {
        let Some(slot) = slot(field) else {
            return reader.skip(field).await;
        };
        let (name, limit) = NAMES[slot];
        if self.texts[slot].is_some() {
            self.errors.push(FieldError::new(
                name,
                "duplicate",
                "is given more than once",
            ));
            return reader.skip(field).await;
        }
        self.texts[slot] = Some(reader.text(field, limit).await?);
        Ok(())
    }

    /// Checks them, once all have been read. `must_ask`: a file follows, so something must be asked about it.
    pub(super) fn finish(self, most: usize, must_ask: bool) -> Result<Fields, ApiError> {
        let hash = hash(&self.texts);
        let Self { texts, mut errors } = self;
        let [
            name,
            prompt,
            priority,
            scheduled_at,
            first_index,
            manifest,
            model,
            schema,
        ] = texts;
        let asks = prompt.is_some() || manifest.is_some();
        if must_ask && !asks {
            let why = "is required before the first file, unless a manifest is given";
            errors.push(FieldError::new("prompt", "required", why));
        }
        let prompt = prompt.map(|text| values::prompt(Some(text))).transpose();
        let manifest = manifest.map(|text| list(text, most)).transpose();
        let fields = Fields {
            name: or_note(&mut errors, values::line("name", name)),
            defaults: Defaults {
                prompt: or_note(&mut errors, prompt),
                priority: or_note(&mut errors, values::priority(priority)),
                scheduled_at: or_note(&mut errors, values::scheduled_at(scheduled_at)),
                options: AnswerOptions {
                    model: or_note(&mut errors, values::model(model)),
                    schema: or_note(&mut errors, values::schema(schema)),
                },
            },
            first_index: or_note(&mut errors, values::index("first_index", first_index)),
            manifest: manifest.unwrap_or_else(|wrong| {
                errors.extend(wrong);
                None
            }),
            hash,
        };
        if errors.is_empty() {
            Ok(fields)
        } else {
            Err(ApiError::Validation(errors))
        }
    }
}

/// A field that comes behind a file: that file may be a job already, for which it came too late.
pub(super) fn is_late(field: &Field<'_>) -> Result<(), ApiError> {
    match slot(field) {
        None => Ok(()),
        Some(slot) => Err(ApiError::field(
            NAMES[slot].0,
            "misplaced",
            "comes after a file; send it before the first one",
        )),
    }
}

fn slot(field: &Field<'_>) -> Option<usize> {
    let name = field.name().unwrap_or_default();
    NAMES.iter().position(|(known, _)| *known == name)
}

fn list(text: Text, most: usize) -> Result<Vec<Entry>, Vec<FieldError>> {
    match text {
        Text::Whole(bytes) => manifest::parse(&bytes, most),
        Text::TooLong(limit) => Err(vec![FieldError::new(
            "manifest",
            "too_long",
            format!("is longer than {limit} bytes"),
        )]),
    }
}

fn or_note<T: Default>(errors: &mut Vec<FieldError>, checked: Result<T, FieldError>) -> T {
    checked.unwrap_or_else(|error| {
        errors.push(error);
        T::default()
    })
}

fn hash(texts: &[Option<Text>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for text in texts {
        let bytes: &[u8] = match text {
            Some(Text::Whole(bytes)) => bytes,
            // A field that is too long is refused anyway.
            Some(Text::TooLong(_)) | None => &[],
        };
        // The length keeps two neighbouring fields from being cut in another place.
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(given: &[(&str, &str)]) -> FieldsDraft {
        let mut draft = FieldsDraft::default();
        for (name, value) in given {
            let slot = NAMES.iter().position(|(known, _)| known == name).unwrap();
            draft.texts[slot] = Some(Text::Whole(value.as_bytes().to_vec()));
        }
        draft
    }

    #[test]
    fn a_file_needs_something_that_is_asked() {
        assert!(draft(&[]).finish(9, false).is_ok());
        assert!(draft(&[("manifest", "file\na")]).finish(9, true).is_ok());
        assert!(draft(&[("prompt", "x")]).finish(9, true).is_ok());
        let Err(ApiError::Validation(errors)) = draft(&[]).finish(9, true) else {
            panic!("accepted");
        };
        assert_eq!(
            (errors[0].field.as_ref(), errors[0].code),
            ("prompt", "required")
        );
    }

    #[test]
    fn every_wrong_field_is_named() {
        let wrong = draft(&[
            ("name", "a\nb"),
            ("prompt", " "),
            ("priority", "high"),
            ("scheduled_at", "soon"),
            ("first_index", "-1"),
            ("manifest", "file,priority\na,x\nb,y"),
        ]);
        let Err(ApiError::Validation(errors)) = wrong.finish(9, true) else {
            panic!("accepted");
        };
        let mut fields: Vec<_> = errors.iter().map(|error| error.field.as_ref()).collect();
        fields.dedup();
        assert_eq!(
            fields,
            [
                "name",
                "prompt",
                "priority",
                "scheduled_at",
                "first_index",
                "manifest"
            ]
        );
        assert_eq!(errors.len(), 7, "{errors:?}");
    }

    #[test]
    fn the_hash_covers_every_field() {
        let hash_of = |given| draft(given).finish(9, false).unwrap().hash;
        let same = hash_of(&[("name", "a"), ("prompt", "b")]);
        assert_eq!(hash_of(&[("prompt", "b"), ("name", "a")]), same);
        for other in [
            &[("name", "ab")][..],
            &[("name", "a"), ("prompt", "c")],
            &[("name", "a"), ("prompt", "b"), ("priority", "1")],
        ] {
            assert_ne!(hash_of(other), same, "{other:?}");
        }
    }
}
