//! The shape that a user wants an answer in: a JSON schema, of which a useful part is understood and all else refused.
//!
//! Understood: `type` (also as `[type, "null"]`), `properties`, `required`, `additionalProperties` as a boolean, `items`,
//! `enum`, `const`, `format` `date` and `date-time`, `minimum`, `maximum`, `minLength`, `maxLength`, `minItems`, `maxItems`, and the
//! annotations `title`, `description`, `default`, `examples`, `$schema`, `$id`, `$comment`. A keyword that is not understood is refused at upload rather
//! than ignored, because a result that only seems to validate is worse than none.

mod check;
mod flat;
mod grammar;
mod parse;
mod text;

use serde_json::Value;

pub use flat::{Field, FieldKind};
pub(crate) use text::{days, grouped};

/// Largest schema, in bytes of JSON.
pub const MAX_BYTES: usize = 16 * 1024;
/// Deepest nesting of objects and lists.
pub const MAX_DEPTH: usize = 8;
/// Most fields and items in all.
pub const MAX_NODES: usize = 256;

/// A schema that is understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Schema {
    root: Node,
    /// As it was given.
    source: Value,
}

/// One value of a schema.
#[derive(Clone, Debug, PartialEq)]
struct Node {
    kind: Kind,
    /// `null` is allowed too.
    nullable: bool,
    /// What the value is, in words.
    description: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    String {
        format: Option<Format>,
        length: (u64, u64),
    },
    Number {
        whole: bool,
        range: (f64, f64),
    },
    Boolean,
    /// One of these values.
    Enum(Vec<Value>),
    Object {
        properties: Vec<(String, Node)>,
        required: Vec<String>,
        /// Other properties are refused.
        closed: bool,
    },
    Array {
        items: Box<Node>,
        length: (u64, u64),
    },
}

/// A string with a form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `2024-05-31`
    Date,
    /// `2024-05-31T12:00:00Z`
    DateTime,
}

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {}: {reason}", if pointer.is_empty() { "/" } else { pointer })]
pub struct SchemaError {
    /// JSON pointer to the place in the schema.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

/// Where a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {}: {reason}", if pointer.is_empty() { "/" } else { pointer })]
pub struct Mismatch {
    /// JSON pointer to the place in the value.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl Schema {
    /// Reads a schema from JSON text.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        let error = |reason: String| SchemaError {
            pointer: String::new(),
            reason,
        };
        if text.len() > MAX_BYTES {
            return Err(error(format!("is longer than {MAX_BYTES} bytes")));
        }
        // serde_json itself refuses JSON nested deeper than 128.
        let source: Value =
            serde_json::from_str(text).map_err(|e| error(format!("is no JSON: {e}")))?;
        Self::from_value(source)
    }

    /// Reads a schema that is JSON already.
    pub fn from_value(source: Value) -> Result<Self, SchemaError> {
        let root = parse::root(&source)?;
        Ok(Self { root, source })
    }

    /// The schema as it was given.
    pub fn as_json(&self) -> &Value {
        &self.source
    }

    /// What a reply is held to while it is being written. Every value of it fits.
    pub(crate) fn narrowed(&self) -> Value {
        grammar::narrowed(&self.root)
    }

    /// Whether a value fits.
    pub fn check(&self, value: &Value) -> Result<(), Mismatch> {
        check::check(&self.root, value, &mut String::new())
    }

    /// Whether a value is one of a field of the record.
    pub(crate) fn fits(&self, field: &str, value: &Value) -> bool {
        let Kind::Object { properties, .. } = &self.root.kind else {
            return false;
        };
        let node = properties.iter().find(|(name, _)| name == field);
        node.is_some_and(|(_, node)| check::check(node, value, &mut String::new()).is_ok())
    }

    /// Reads a model's reply: JSON that fits, also when a code fence stands around it.
    pub fn read(&self, reply: &str) -> Result<Value, Mismatch> {
        let value: Value = serde_json::from_str(text::unfenced(reply)).map_err(|e| Mismatch {
            pointer: String::new(),
            reason: format!("is no JSON: {e}"),
        })?;
        self.check(&value)?;
        Ok(value)
    }

    /// The fields, when this is a record of plain values.
    pub fn flat(&self) -> Option<Vec<Field>> {
        flat::fields(&self.root)
    }
}

#[cfg(test)]
mod tests;
