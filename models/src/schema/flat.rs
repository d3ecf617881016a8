//! Records of plain values: the schemas that can be filled by looking things up, without a model that writes.

use serde_json::Value;

use super::{Format, Kind, Node};

/// One field of a flat record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is, in words.
    pub description: Option<String>,
    /// What values it takes.
    pub kind: FieldKind,
    /// Whether `null` is a value.
    pub nullable: bool,
    /// Whether it may be absent.
    pub optional: bool,
}

/// The values of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// Any text.
    Text,
    /// A day, `2024-05-31`.
    Date,
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// One of these texts.
    Choice(Vec<String>),
}

/// The fields of an object that has only plain ones.
pub(super) fn fields(root: &Node) -> Option<Vec<Field>> {
    let Kind::Object {
        properties,
        required,
        ..
    } = &root.kind
    else {
        return None;
    };
    let field = |(name, node): &(String, Node)| {
        Some(Field {
            name: name.clone(),
            description: node.description.clone(),
            kind: kind(&node.kind)?,
            nullable: node.nullable
                || matches!(&node.kind, Kind::Enum(values) if values.contains(&Value::Null)),
            optional: !required.contains(name),
        })
    };
    properties.iter().map(field).collect()
}

fn kind(kind: &Kind) -> Option<FieldKind> {
    Some(match kind {
        Kind::String { format: None, .. } => FieldKind::Text,
        Kind::String {
            format: Some(Format::Date),
            ..
        } => FieldKind::Date,
        Kind::Number { whole: true, .. } => FieldKind::Integer,
        Kind::Number { .. } => FieldKind::Number,
        Kind::Boolean => FieldKind::Boolean,
        Kind::Enum(values) => {
            let texts: Vec<String> = values
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
            let plain = values.iter().filter(|value| !value.is_null()).count();
            if texts.is_empty() || texts.len() != plain {
                return None;
            }
            FieldKind::Choice(texts)
        }
        Kind::String { .. } | Kind::Object { .. } | Kind::Array { .. } => return None,
    })
}
