//! The fields of a batch's form. They come before the files, because every file becomes a job as soon as it is received.

use axum::extract::multipart::Field;
use chrono::{DateTime, Utc};
use quire_store::{AnswerOptions, Password};
use sha2::{Digest, Sha256};

use crate::{
    error::{ApiError, FieldError},
    http::{
        upload_part::Reader,
        upload_values::{self as values, MAX_PASSWORD, MAX_PROMPT, MAX_SCHEMA, MAX_VALUE, Text},
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
    pub(super) password: Option<Password>,
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
    /// Hash of all of them as they were sent, without passwords: it is kept for as long as the batch.
    pub(super) hash: [u8; 32],
}

/// The fields, by position in [`FieldsDraft::texts`].
const NAMES: [(&str, usize); 9] = [
    ("name", MAX_NAME),
    ("prompt", MAX_PROMPT),
    ("priority", MAX_VALUE),
    ("scheduled_at", MAX_VALUE),
    ("first_index", MAX_VALUE),
    ("manifest", MAX_MANIFEST),
    ("password", MAX_PASSWORD),
    ("model", MAX_VALUE),
    ("schema", MAX_SCHEMA),
];

/// Positions of the fields that are treated apart.
const MANIFEST: usize = 5;
const PASSWORD: usize = 6;

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
        let Self { texts, mut errors } = self;
        let listed = texts[MANIFEST].as_ref().map(|text| list(text, most));
        let manifest = listed.transpose();
        let hash = hash(&texts, manifest.as_ref().ok().and_then(Option::as_deref));
        let [
            name,
            prompt,
            priority,
            scheduled_at,
            first_index,
            _,
            password,
            model,
            schema,
        ] = texts;
        let asks = prompt.is_some() || !matches!(manifest, Ok(None));
        if must_ask && !asks {
            let why = "is required before the first file, unless a manifest is given";
            errors.push(FieldError::new("prompt", "required", why));
        }
        let prompt = prompt.map(|text| values::prompt(Some(text))).transpose();
        let fields = Fields {
            name: or_note(&mut errors, values::line("name", name)),
            defaults: Defaults {
                prompt: or_note(&mut errors, prompt),
                priority: or_note(&mut errors, values::priority(priority)),
                scheduled_at: or_note(&mut errors, values::scheduled_at(scheduled_at)),
                password: or_note(&mut errors, values::password(password)),
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

fn list(text: &Text, most: usize) -> Result<Vec<Entry>, Vec<FieldError>> {
    match text {
        Text::Whole(bytes) => manifest::parse(bytes, most),
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

/// Of the fields as they were sent. Of passwords only whether there are any: they could be tried against the hash.
fn hash(texts: &[Option<Text>; NAMES.len()], entries: Option<&[Entry]>) -> [u8; 32] {
    let secret = entries.filter(|list| list.iter().any(|entry| entry.password.is_some()));
    let redacted = secret.map(|entries| format!("{entries:?}"));
    let mut hash = Sha256::new();
    for (slot, text) in texts[..PASSWORD].iter().enumerate() {
        let bytes: &[u8] = match text {
            Some(Text::Whole(bytes)) if slot == MANIFEST => {
                redacted.as_ref().map_or(bytes, String::as_bytes)
            }
            Some(Text::Whole(bytes)) => bytes,
            // A field that is too long is refused anyway.
            Some(Text::TooLong(_)) | None => &[],
        };
        // The length keeps two neighbouring fields from being cut in another place.
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    if texts[PASSWORD].is_some() {
        hash.update(b"password");
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
            &[("name", "a"), ("prompt", "b"), ("password", "p")],
        ] {
            assert_ne!(hash_of(other), same, "{other:?}");
        }
    }

    #[test]
    fn passwords_cannot_be_tried_against_the_hash() {
        let hash_of = |given: &[(&str, &str)]| draft(given).finish(9, false).unwrap().hash;
        assert_eq!(
            hash_of(&[("password", "one")]),
            hash_of(&[("password", "two")])
        );
        let list = |text| hash_of(&[("manifest", text)]);
        let one = list("file,password\na,one");
        assert_eq!(list("file,password\na,two"), one);
        assert_ne!(list("file,password\nb,two"), one);
        assert_ne!(list("file,password\na,"), one);
    }
}
