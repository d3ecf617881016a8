//! Postgres refuses U+0000 in text and jsonb; documents, prompts and models do not know that.

use std::borrow::Cow;

use serde_json::Value;

/// What stands in for U+0000.
const REPLACEMENT: &str = "\u{fffd}";

/// `text` without U+0000.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', REPLACEMENT))
    } else {
        Cow::Borrowed(text)
    }
}

/// `value` without U+0000 in any string or key.
pub(crate) fn clean_json(value: &Value) -> Cow<'_, Value> {
    if has_nul(value) {
        Cow::Owned(without_nul(value))
    } else {
        Cow::Borrowed(value)
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, item)| key.contains('\0') || has_nul(item)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn without_nul(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text).into_owned()),
        Value::Array(items) => items.iter().map(without_nul).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, item)| (clean(key).into_owned(), without_nul(item)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn nul_is_replaced_at_any_depth() {
        let dirty = json!({"a\0": ["x\0y", {"b": "\0"}], "n": 1});
        assert_eq!(
            *clean_json(&dirty),
            json!({"a\u{fffd}": ["x\u{fffd}y", {"b": "\u{fffd}"}], "n": 1})
        );
    }

    proptest! {
        #[test]
        fn clean_text_is_left_alone(text in "[^\0]*") {
            prop_assert!(matches!(clean(&text), Cow::Borrowed(same) if same == text));
        }

        #[test]
        fn no_nul_survives(text in ".*\0.*") {
            prop_assert!(!clean(&text).contains('\0'));
        }
    }
}
