//! Reads the part of JSON Schema that is understood.

use serde_json::{Map, Value};

use super::{Format, Kind, MAX_DEPTH, MAX_NODES, Node, SchemaError};

/// Keywords that say nothing about what is valid.
const ANNOTATIONS: [&str; 7] = [
    "title",
    "description",
    "default",
    "examples",
    "$schema",
    "$id",
    "$comment",
];

pub(super) fn root(source: &Value) -> Result<Node, SchemaError> {
    let mut parser = Parser { nodes: 0 };
    let node = parser.node(source, &mut String::new(), 0)?;
    if !matches!(node.kind, Kind::Object { .. }) || node.nullable {
        return Err(SchemaError {
            pointer: String::new(),
            reason: "must be of type \"object\"".to_owned(),
        });
    }
    Ok(node)
}

struct Parser {
    nodes: usize,
}

impl Parser {
    fn node(&mut self, source: &Value, at: &mut String, depth: usize) -> Result<Node, SchemaError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(error(at, format!("more than {MAX_NODES} fields and items")));
        }
        if depth > MAX_DEPTH {
            return Err(error(at, format!("nested deeper than {MAX_DEPTH}")));
        }
        let Value::Object(map) = source else {
            return Err(error(at, "is no object"));
        };
        let (name, nullable) = type_of(map, at)?;
        let (kind, known): (Kind, &[&str]) = if let Some(values) = values_of(map, at)? {
            (Kind::Enum(values), &["type", "enum", "const"])
        } else {
            match name {
                Some("string") => (
                    string(map, at)?,
                    &["type", "format", "minLength", "maxLength"],
                ),
                Some("number" | "integer") => (
                    number(map, at, name == Some("integer"))?,
                    &["type", "minimum", "maximum"],
                ),
                Some("boolean") => (Kind::Boolean, &["type"]),
                Some("object") => (
                    self.object(map, at, depth)?,
                    &["type", "properties", "required", "additionalProperties"],
                ),
                Some("array") => (
                    self.array(map, at, depth)?,
                    &["type", "items", "minItems", "maxItems"],
                ),
                _ => return Err(error(at, "needs a \"type\" or an \"enum\"")),
            }
        };
        let unknown = map
            .keys()
            .find(|key| !known.contains(&key.as_str()) && !ANNOTATIONS.contains(&key.as_str()));
        if let Some(keyword) = unknown {
            return Err(error(
                at,
                format!("the keyword {keyword:?} is not supported here"),
            ));
        }
        Ok(Node {
            kind,
            nullable,
            description: map
                .get("description")
                .and_then(Value::as_str)
                .map(str::to_owned),
        })
    }

    fn object(
        &mut self,
        map: &Map<String, Value>,
        at: &mut String,
        depth: usize,
    ) -> Result<Kind, SchemaError> {
        let Some(Value::Object(given)) = map.get("properties") else {
            return Err(error(at, "an object needs \"properties\""));
        };
        let mut properties = Vec::new();
        for (name, source) in given {
            let length = at.len();
            at.push_str("/properties/");
            at.push_str(&name.replace('~', "~0").replace('/', "~1"));
            properties.push((name.clone(), self.node(source, at, depth + 1)?));
            at.truncate(length);
        }
        let required = names(map.get("required"), at)?;
        if let Some(name) = required.iter().find(|name| !given.contains_key(*name)) {
            return Err(error(
                at,
                format!("requires {name:?}, which is no property"),
            ));
        }
        let closed = match map.get("additionalProperties") {
            None | Some(Value::Bool(true)) => false,
            Some(Value::Bool(false)) => true,
            Some(_) => return Err(error(at, "\"additionalProperties\" must be true or false")),
        };
        Ok(Kind::Object {
            properties,
            required,
            closed,
        })
    }

    fn array(
        &mut self,
        map: &Map<String, Value>,
        at: &mut String,
        depth: usize,
    ) -> Result<Kind, SchemaError> {
        let Some(items) = map.get("items") else {
            return Err(error(at, "an array needs \"items\""));
        };
        let length = at.len();
        at.push_str("/items");
        let items = Box::new(self.node(items, at, depth + 1)?);
        at.truncate(length);
        Ok(Kind::Array {
            items,
            length: lengths(map, at, ["minItems", "maxItems"])?,
        })
    }
}

fn error(at: &str, reason: impl Into<String>) -> SchemaError {
    SchemaError {
        pointer: at.to_owned(),
        reason: reason.into(),
    }
}

/// The type, and whether `null` is another.
fn type_of<'a>(
    map: &'a Map<String, Value>,
    at: &str,
) -> Result<(Option<&'a str>, bool), SchemaError> {
    match map.get("type") {
        None => Ok((None, false)),
        Some(Value::String(name)) => Ok((Some(name), false)),
        Some(Value::Array(names)) => {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            match names[..] {
                [name, "null"] | ["null", name] if name != "null" => Ok((Some(name), true)),
                [name] => Ok((Some(name), false)),
                _ => Err(error(
                    at,
                    "\"type\" may be one type, alone or with \"null\"",
                )),
            }
        }
        Some(_) => Err(error(at, "\"type\" must be a string or a list")),
    }
}

/// The values of `enum` or `const`, all of them plain.
fn values_of(map: &Map<String, Value>, at: &str) -> Result<Option<Vec<Value>>, SchemaError> {
    let values = match (map.get("enum"), map.get("const")) {
        (None, None) => return Ok(None),
        (Some(Value::Array(values)), None) if !values.is_empty() => values.clone(),
        (None, Some(value)) => vec![value.clone()],
        _ => {
            return Err(error(
                at,
                "\"enum\" must be a list with values, and not beside \"const\"",
            ));
        }
    };
    if values
        .iter()
        .any(|value| value.is_object() || value.is_array())
    {
        return Err(error(at, "values of \"enum\" must be plain"));
    }
    Ok(Some(values))
}

fn string(map: &Map<String, Value>, at: &str) -> Result<Kind, SchemaError> {
    let format = match map.get("format").map(Value::as_str) {
        None => None,
        Some(Some("date")) => Some(Format::Date),
        Some(Some("date-time")) => Some(Format::DateTime),
        Some(_) => return Err(error(at, "\"format\" may be \"date\" or \"date-time\"")),
    };
    Ok(Kind::String {
        format,
        length: lengths(map, at, ["minLength", "maxLength"])?,
    })
}

fn number(map: &Map<String, Value>, at: &str, whole: bool) -> Result<Kind, SchemaError> {
    let bound = |name: &str, otherwise: f64| match map.get(name) {
        None => Ok(otherwise),
        Some(value) => value
            .as_f64()
            .ok_or_else(|| error(at, format!("{name:?} must be a number"))),
    };
    Ok(Kind::Number {
        whole,
        range: (
            bound("minimum", f64::NEG_INFINITY)?,
            bound("maximum", f64::INFINITY)?,
        ),
    })
}

fn lengths(
    map: &Map<String, Value>,
    at: &str,
    names: [&str; 2],
) -> Result<(u64, u64), SchemaError> {
    let bound = |name: &str, otherwise: u64| match map.get(name) {
        None => Ok(otherwise),
        Some(value) => value
            .as_u64()
            .ok_or_else(|| error(at, format!("{name:?} must be a whole number, 0 or more"))),
    };
    let (least, most) = (bound(names[0], 0)?, bound(names[1], u64::MAX)?);
    if least > most {
        return Err(error(at, format!("{:?} is above {:?}", names[0], names[1])));
    }
    Ok((least, most))
}

fn names(value: Option<&Value>, at: &str) -> Result<Vec<String>, SchemaError> {
    let wrong = || error(at, "\"required\" must be a list of names");
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}
