//! Compares a value with a schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::text::{is_date, is_date_time};
use super::{Format, Kind, Mismatch, Node};

pub(super) fn check(node: &Node, value: &Value, at: &mut String) -> Result<(), Mismatch> {
    if value.is_null() && node.nullable {
        return Ok(());
    }
    let wrong = |reason: String| {
        Err(Mismatch {
            pointer: at.clone(),
            reason,
        })
    };
    match (&node.kind, value) {
        (Kind::Enum(values), value) => {
            if values.contains(value) {
                return Ok(());
            }
            wrong("is none of the allowed values".to_owned())
        }
        (Kind::Boolean, Value::Bool(_)) => Ok(()),
        (Kind::String { format, length }, Value::String(text)) => {
            let chars = text.chars().count() as u64;
            if !(length.0..=length.1).contains(&chars) {
                return wrong(format!("has {chars} characters"));
            }
            match format {
                Some(Format::Date) if !is_date(text) => {
                    wrong("is no date such as 2024-05-31".to_owned())
                }
                Some(Format::DateTime) if !is_date_time(text) => {
                    wrong("is no time such as 2024-05-31T12:00:00Z".to_owned())
                }
                _ => Ok(()),
            }
        }
        (Kind::Number { whole, range }, Value::Number(number)) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            if *whole && number.fract() != 0.0 {
                return wrong("is no whole number".to_owned());
            }
            if number < range.0 || number > range.1 {
                return wrong(format!("{number} is out of range"));
            }
            Ok(())
        }
        (Kind::Object { .. }, Value::Object(_)) => object(&node.kind, value, at),
        (Kind::Array { items, length }, Value::Array(values)) => {
            if !(length.0..=length.1).contains(&(values.len() as u64)) {
                return wrong(format!("has {} items", values.len()));
            }
            let start = at.len();
            for (index, value) in values.iter().enumerate() {
                // Writing to a string cannot fail.
                let _ = write!(at, "/{index}");
                check(items, value, at)?;
                at.truncate(start);
            }
            Ok(())
        }
        (kind, _) => wrong(format!("is not of type {}", name(kind))),
    }
}

fn object(kind: &Kind, value: &Value, at: &mut String) -> Result<(), Mismatch> {
    let (
        Kind::Object {
            properties,
            required,
            closed,
        },
        Value::Object(fields),
    ) = (kind, value)
    else {
        return Ok(());
    };
    let wrong = |at: &str, reason: String| {
        Err(Mismatch {
            pointer: at.to_owned(),
            reason,
        })
    };
    if let Some(name) = required.iter().find(|name| !fields.contains_key(*name)) {
        return wrong(at, format!("lacks {name:?}"));
    }
    for (name, value) in fields {
        match properties.iter().find(|(known, _)| known == name) {
            Some((_, node)) => {
                let start = at.len();
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                check(node, value, at)?;
                at.truncate(start);
            }
            None if *closed => return wrong(at, format!("has {name:?}, which is no property")),
            None => {}
        }
    }
    Ok(())
}

fn name(kind: &Kind) -> &'static str {
    match kind {
        Kind::String { .. } => "string",
        Kind::Number { whole: true, .. } => "integer",
        Kind::Number { .. } => "number",
        Kind::Boolean => "boolean",
        Kind::Enum(_) => "enum",
        Kind::Object { .. } => "object",
        Kind::Array { .. } => "array",
    }
}
