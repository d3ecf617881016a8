//! Small JSON bodies: one object, fields by name, every mistake an error that names the field.

use serde_json::{Map, Value};

use super::upload_values::Text;
use crate::error::{ApiError, FieldError};

/// The object in the body; an empty body is an empty object.
pub fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ApiError::Malformed("the body is not a JSON object".into())),
        Err(_) => Err(ApiError::Malformed("the body is not JSON".into())),
    }
}

/// A field that must be there, a number or a text, in the form that the checks of the upload's fields take.
pub fn required(fields: &Map<String, Value>, name: &'static str) -> Result<Text, FieldError> {
    match fields.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(Text::Whole(text.clone().into_bytes())),
        Some(Value::Number(number)) => Ok(Text::Whole(number.to_string().into_bytes())),
        None | Some(Value::Null | Value::String(_)) => {
            Err(FieldError::new(name, "required", "is required"))
        }
        Some(_) => Err(FieldError::new(
            name,
            "invalid",
            "is not a number or a text",
        )),
    }
}

/// The same for a field that need not be there.
pub fn optional(
    fields: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Text>, FieldError> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(_) => required(fields, name).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_a_body() {
        assert!(object(b"").unwrap().is_empty());
        assert_eq!(object(br#"{"a":1}"#).unwrap()["a"], 1);
        for body in [&b"[]"[..], b"3", b"{", b"\xff"] {
            assert!(matches!(object(body), Err(ApiError::Malformed(_))));
        }
    }

    #[test]
    fn a_required_field_is_a_number_or_a_text() {
        let fields = object(br#"{"n":-3,"t":"x","z":null,"e":"","o":{}}"#).unwrap();
        let whole = |text: &str| Text::Whole(text.into());
        assert_eq!(required(&fields, "n").unwrap(), whole("-3"));
        assert_eq!(required(&fields, "t").unwrap(), whole("x"));
        for name in ["z", "e", "o", "absent"] {
            assert!(required(&fields, name).is_err(), "{name}");
        }
        assert_eq!(optional(&fields, "t").unwrap(), Some(whole("x")));
        for name in ["z", "e", "absent"] {
            assert_eq!(optional(&fields, name).unwrap(), None, "{name}");
        }
        assert!(optional(&fields, "o").is_err());
    }
}
