//! The schema that a reply is held to while it is being written: narrower than what is accepted of others.
//!
//! A mask over tokens must lead to a value that [`check`](super::check) accepts and that any reader of JSON understands, so what JSON
//! schemas leave open is settled here: objects have no other properties, numbers have a size that floats hold, days are days of the
//! calendar (with leap years), and there is no white space to fill a reply with.

use serde_json::{Map, Value, json};

use super::{Format, Kind, Node};

/// Where numbers end for which the user named no bound. Whole numbers up to here are exact as floats, and none is too long to be read.
const LARGEST: f64 = 999_999_999_999_999.0;

/// Days of the calendar: months of 31 days, of 30, February, and its last day in leap years.
const DATE: &str = concat!(
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))",
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
);
/// Behind a day, the rest of a moment.
const TIME: &str = concat!(
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?",
    r"(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
);

/// The narrower schema, as `llguidance` reads it.
pub(super) fn narrowed(root: &Node) -> Value {
    let mut schema = shape(&root.kind);
    // Read by llguidance, at the root only. Escapes of code points can be half of a character, and are not needed in UTF-8.
    schema.insert(
        "x-guidance".to_owned(),
        json!({"whitespace_flexible": false, "json_allowed_escapes": "nrbtf\\\""}),
    );
    Value::Object(schema)
}

fn node(node: &Node) -> Value {
    let own = Value::Object(shape(&node.kind));
    if node.nullable {
        json!({"anyOf": [own, {"type": "null"}]})
    } else {
        own
    }
}

fn shape(kind: &Kind) -> Map<String, Value> {
    let mut map = Map::new();
    let mut set = |name: &str, value: Value| map.insert(name.to_owned(), value);
    match kind {
        Kind::Boolean => {
            set("type", json!("boolean"));
        }
        Kind::Enum(values) => {
            set("enum", json!(values));
        }
        Kind::String { format, length } => {
            set("type", json!("string"));
            match format {
                Some(Format::Date) => set("pattern", json!(format!("^{DATE}$"))),
                Some(Format::DateTime) => set("pattern", json!(format!("^{DATE}{TIME}$"))),
                None => None,
            };
            bound(*length, ["minLength", "maxLength"], &mut set);
        }
        Kind::Number { whole, range } => {
            set("type", json!(if *whole { "integer" } else { "number" }));
            let (least, most) = *range;
            // A bound of the user's beyond the largest number keeps its own side open.
            let low = if least.is_finite() {
                least
            } else {
                most.min(-LARGEST)
            };
            let high = if most.is_finite() {
                most
            } else {
                least.max(LARGEST)
            };
            set("minimum", json!(low));
            set("maximum", json!(high));
        }
        Kind::Object {
            properties,
            required,
            ..
        } => {
            let shapes = properties
                .iter()
                .map(|(name, own)| (name.clone(), node(own)));
            set("type", json!("object"));
            set("properties", Value::Object(shapes.collect()));
            set("required", json!(required));
            set("additionalProperties", json!(false));
        }
        Kind::Array { items, length } => {
            set("type", json!("array"));
            set("items", node(items));
            bound(*length, ["minItems", "maxItems"], &mut set);
        }
    }
    map
}

fn bound(
    (least, most): (u64, u64),
    names: [&str; 2],
    set: &mut impl FnMut(&str, Value) -> Option<Value>,
) {
    if least > 0 {
        set(names[0], json!(least));
    }
    if most < u64::MAX {
        set(names[1], json!(most));
    }
}
