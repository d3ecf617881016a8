//! The text fields of an upload, from bytes to values. Each check names the field and the reason, and none ends the others.

use chrono::{DateTime, Utc};
use http::HeaderMap;
use quire_models::{EngineChoice, Schema, schema};
use quire_store::Password;

use super::origins::IDEMPOTENCY_KEY;
use crate::error::FieldError;

/// Longest prompt in bytes: several pages of instructions, and far less than what a model reads.
pub const MAX_PROMPT: usize = 32 * 1024;

/// Longest value of the other fields in bytes; a number or a time needs less.
pub const MAX_VALUE: usize = 256;

/// Longest password in bytes: no format takes more than 127 of them into account.
pub const MAX_PASSWORD: usize = 256;

/// Longest schema in bytes.
pub const MAX_SCHEMA: usize = schema::MAX_BYTES;

/// Priorities that a client may give.
const PRIORITIES: std::ops::RangeInclusive<i32> = -100..=100;

/// Longest `Idempotency-Key`.
const MAX_KEY: usize = 255;

/// Largest index: what a JSON number holds exactly in every language.
const MAX_INDEX: i64 = (1 << 53) - 1;

/// What was read of a text field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// All of it.
    Whole(Vec<u8>),
    /// It is longer than the limit, in bytes.
    TooLong(usize),
}

/// The question: there, not blank, text.
pub fn prompt(text: Option<Text>) -> Result<String, FieldError> {
    let prompt = decoded("prompt", text)?.unwrap_or_default();
    if prompt.trim().is_empty() {
        return Err(FieldError::new("prompt", "required", "is required"));
    }
    Ok(prompt)
}

/// The priority; 0 when it is not given or left empty, as forms send it.
pub fn priority(text: Option<Text>) -> Result<i32, FieldError> {
    let Some(text) = given("priority", text)? else {
        return Ok(0);
    };
    let Ok(priority) = text.parse::<i32>() else {
        return Err(FieldError::new("priority", "invalid", "is not an integer"));
    };
    if !PRIORITIES.contains(&priority) {
        let (low, high) = PRIORITIES.into_inner();
        return Err(FieldError::new(
            "priority",
            "out_of_range",
            format!("is not between {low} and {high}"),
        ));
    }
    Ok(priority)
}

/// The password of an encrypted file, character for character; none when it is not given or left empty, as forms send it.
pub fn password(text: Option<Text>) -> Result<Option<Password>, FieldError> {
    let text = decoded("password", text)?.unwrap_or_default();
    if text.len() > MAX_PASSWORD {
        return Err(FieldError::new(
            "password",
            "too_long",
            format!("is longer than {MAX_PASSWORD} bytes"),
        ));
    }
    Ok(Password::new(&text))
}

/// The time before which the job must not start, as given; it may have passed.
pub fn scheduled_at(text: Option<Text>) -> Result<Option<DateTime<Utc>>, FieldError> {
    let Some(text) = given("scheduled_at", text)? else {
        return Ok(None);
    };
    match DateTime::parse_from_rfc3339(&text) {
        Ok(at) => Ok(Some(at.to_utc())),
        Err(_) => Err(FieldError::new(
            "scheduled_at",
            "invalid",
            "is not a time with offset such as 2024-01-01T09:00:00Z",
        )),
    }
}

/// The engine or model that is to answer, when one is named.
pub fn model(text: Option<Text>) -> Result<Option<String>, FieldError> {
    let Some(text) = given("model", text)? else {
        return Ok(None);
    };
    match text.parse::<EngineChoice>() {
        Ok(choice) => Ok(Some(choice.to_string())),
        Err(unknown) => Err(FieldError::new(
            "model",
            "unknown_model",
            unknown.to_string(),
        )),
    }
}

/// The JSON schema that the answer is to fit, when there is one.
pub fn schema(text: Option<Text>) -> Result<Option<serde_json::Value>, FieldError> {
    let Some(text) = given("schema", text)? else {
        return Ok(None);
    };
    match Schema::parse(&text) {
        Ok(schema) => Ok(Some(schema.as_json().clone())),
        Err(error) => Err(FieldError::new(
            "schema",
            "unsupported_schema",
            error.to_string(),
        )),
    }
}

/// The `Idempotency-Key` header, when there is one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    const FIELD: &str = "Idempotency-Key";
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(FieldError::new(
            FIELD,
            "duplicate",
            "is given more than once",
        ));
    }
    key(FIELD, value.as_bytes()).map(Some)
}

/// The idempotency key of one item of a batch, when there is one.
pub fn item_key(text: Option<Text>) -> Result<Option<String>, FieldError> {
    given("key", text)?
        .map(|text| key("key", text.as_bytes()))
        .transpose()
}

/// A short text on one line, when there is one.
pub fn line(field: &'static str, text: Option<Text>) -> Result<Option<String>, FieldError> {
    let text = given(field, text)?;
    if text
        .as_deref()
        .is_some_and(|text| text.contains(char::is_control))
    {
        return Err(FieldError::new(
            field,
            "invalid_character",
            "contains a control character",
        ));
    }
    Ok(text)
}

/// A place in a list, from 0, when there is one.
pub fn index(field: &'static str, text: Option<Text>) -> Result<Option<i64>, FieldError> {
    let Some(text) = given(field, text)? else {
        return Ok(None);
    };
    match text.parse() {
        Ok(index) if (0..=MAX_INDEX).contains(&index) => Ok(Some(index)),
        _ => Err(FieldError::new(
            field,
            "out_of_range",
            format!("is not a number from 0 to {MAX_INDEX}"),
        )),
    }
}

fn key(field: &'static str, value: &[u8]) -> Result<String, FieldError> {
    let visible = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    let Some(key) = str::from_utf8(value).ok().filter(|_| visible) else {
        return Err(FieldError::new(
            field,
            "invalid_character",
            "is not made of visible ASCII characters",
        ));
    };
    if key.len() > MAX_KEY {
        return Err(FieldError::new(
            field,
            "too_long",
            format!("is longer than {MAX_KEY} characters"),
        ));
    }
    Ok(key.to_owned())
}

/// The trimmed text; `None` when the field is missing or blank.
fn given(field: &'static str, text: Option<Text>) -> Result<Option<String>, FieldError> {
    let text = decoded(field, text)?.unwrap_or_default();
    let text = text.trim();
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn decoded(field: &'static str, text: Option<Text>) -> Result<Option<String>, FieldError> {
    let bytes = match text {
        None => return Ok(None),
        Some(Text::TooLong(limit)) => {
            return Err(FieldError::new(
                field,
                "too_long",
                format!("is longer than {limit} bytes"),
            ));
        }
        Some(Text::Whole(bytes)) => bytes,
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(FieldError::new(field, "invalid_utf8", "is not UTF-8 text"));
    };
    // Postgres text cannot hold it.
    if text.contains('\0') {
        return Err(FieldError::new(
            field,
            "invalid_character",
            "contains a NUL character",
        ));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "fields are optional")]
    fn whole(text: &str) -> Option<Text> {
        Some(Text::Whole(text.as_bytes().to_vec()))
    }

    fn code<T: std::fmt::Debug>(result: Result<T, FieldError>) -> &'static str {
        result.unwrap_err().code
    }

    #[test]
    fn a_prompt_is_kept_as_typed() {
        assert_eq!(prompt(whole(" what?\r\n")).unwrap(), " what?\r\n");
    }

    #[test]
    fn a_prompt_must_say_something() {
        for missing in [None, whole(""), whole(" \t\r\n\u{a0}")] {
            assert_eq!(code(prompt(missing)), "required");
        }
        assert_eq!(code(prompt(Some(Text::TooLong(MAX_PROMPT)))), "too_long");
        assert_eq!(
            code(prompt(Some(Text::Whole(b"caf\xe9".to_vec())))),
            "invalid_utf8"
        );
        assert_eq!(code(prompt(whole("a\0b"))), "invalid_character");
    }

    #[test]
    fn priorities() {
        for (text, expected) in [
            ("0", 0),
            ("-100", -100),
            ("100", 100),
            (" 7 ", 7),
            ("+5", 5),
            ("", 0),
        ] {
            assert_eq!(priority(whole(text)).unwrap(), expected, "{text:?}");
        }
        assert_eq!(priority(None).unwrap(), 0);
        for text in [
            "1.5",
            "high",
            "1e2",
            "NaN",
            "undefined",
            "null",
            "0x10",
            "99999999999",
        ] {
            assert_eq!(code(priority(whole(text))), "invalid", "{text:?}");
        }
        for text in ["101", "-101", "2147483647"] {
            assert_eq!(code(priority(whole(text))), "out_of_range", "{text:?}");
        }
    }

    #[test]
    fn a_password_is_kept_as_typed_and_never_named_in_an_error() {
        let spaces = password(whole(" pass word ")).unwrap().unwrap();
        assert_eq!(spaces.expose(), " pass word ");
        assert_eq!(password(None).unwrap(), None);
        assert_eq!(password(whole("")).unwrap(), None);
        assert_eq!(
            code(password(Some(Text::TooLong(MAX_PASSWORD)))),
            "too_long"
        );
        let error = password(whole("se\0cret")).unwrap_err();
        assert!(!format!("{error:?}").contains("cret"));
    }

    #[test]
    fn times_need_an_offset() {
        assert_eq!(scheduled_at(None).unwrap(), None);
        assert_eq!(scheduled_at(whole("")).unwrap(), None);
        let noon = scheduled_at(whole("2030-01-01T14:00:00.000+02:00"))
            .unwrap()
            .unwrap();
        assert_eq!(noon.to_rfc3339(), "2030-01-01T12:00:00+00:00");
        for text in [
            "2030-01-01T14:00:00",
            "2030-01-01",
            "tomorrow",
            "1893456000",
            "2030-02-30T00:00:00Z",
        ] {
            assert_eq!(code(scheduled_at(whole(text))), "invalid", "{text:?}");
        }
    }

    #[test]
    fn models_are_those_that_there_are() {
        assert_eq!(model(None).unwrap(), None);
        assert_eq!(
            model(whole(" extractive ")).unwrap().as_deref(),
            Some("extractive")
        );
        let unknown = model(whole("gpt-9")).unwrap_err();
        assert_eq!(unknown.code, "unknown_model");
        assert!(unknown.message.contains("remote"), "{}", unknown.message);
    }

    #[test]
    fn schemas_are_those_that_are_understood() {
        assert_eq!(schema(whole(" ")).unwrap(), None);
        let flat = r#"{"type":"object","properties":{"total":{"type":"number"}}}"#;
        assert!(schema(whole(flat)).unwrap().is_some());
        let pattern = r#"{"type":"object","properties":{"a":{"type":"string","pattern":"x"}}}"#;
        for text in ["{", "[]", pattern] {
            assert_eq!(code(schema(whole(text))), "unsupported_schema", "{text}");
        }
        assert_eq!(code(schema(Some(Text::TooLong(MAX_SCHEMA)))), "too_long");
    }

    #[test]
    fn keys_are_visible_ascii() {
        let with = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(
                IDEMPOTENCY_KEY,
                http::HeaderValue::from_bytes(value).unwrap(),
            );
            idempotency_key(&headers)
        };
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
        assert_eq!(
            with(b"8e03978e-40d5").unwrap().as_deref(),
            Some("8e03978e-40d5")
        );
        assert_eq!(with(&[b'k'; 255]).unwrap().unwrap().len(), 255);
        assert_eq!(code(with(&[b'k'; 256])), "too_long");
        for value in [&b""[..], b"two words", b"tab\there", b"caf\xc3\xa9"] {
            assert_eq!(code(with(value)), "invalid_character", "{value:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append(IDEMPOTENCY_KEY, http::HeaderValue::from_static("a"));
        twice.append(IDEMPOTENCY_KEY, http::HeaderValue::from_static("b"));
        assert_eq!(code(idempotency_key(&twice)), "duplicate");
    }
}
