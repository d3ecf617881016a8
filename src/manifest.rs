//! A manifest: a list of files with what is asked about each, as CSV or as JSON lines.
//!
//! The `manifest` part of a batch and the input of `quire ingest`. Columns or keys: `file`, and if wanted `prompt`,
//! `priority`, `scheduled_at`, `reference`, `key`, `index`, `password`, `model`; others are ignored. What is wrong is said with
//! its line, and one wrong line does not hide the next.

mod separated;

use chrono::{DateTime, Utc};
use quire_store::Password;
use serde_json::{Map, Value};

use crate::{
    error::FieldError,
    http::upload_values::{self as values, MAX_PASSWORD, MAX_PROMPT, MAX_VALUE, Text},
};

/// Wrong lines that are named; who has more has one reason for them.
const MAX_ERRORS: usize = 20;

/// Longest name of a file, with its directories.
const MAX_FILE: usize = 4096;

/// Longest reference.
pub const MAX_REFERENCE: usize = 1024;

/// One file of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The name it is sent under, or its path.
    pub file: String,
    /// What is asked; `None`: what is asked of all.
    pub prompt: Option<String>,
    /// `None`: that of all.
    pub priority: Option<i32>,
    /// `None`: that of all.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// The client's own name for it.
    pub reference: Option<String>,
    /// Idempotency key of the item.
    pub key: Option<String>,
    /// Place in the input; `None`: that in the list.
    pub index: Option<i64>,
    /// Opens the file, if it is encrypted.
    pub password: Option<Password>,
    /// Who is to answer; `None`: who is to answer all.
    pub model: Option<String>,
}

/// The columns, by position in a [`Line`].
const COLUMNS: [&str; 9] = [
    "file",
    "prompt",
    "priority",
    "scheduled_at",
    "reference",
    "key",
    "index",
    "password",
    "model",
];

/// The values of one line as text, by column.
type Line = [Option<String>; COLUMNS.len()];

/// Reads a list of at most `most` files.
pub fn parse(bytes: &[u8], most: usize) -> Result<Vec<Entry>, Vec<FieldError>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(vec![error("invalid_utf8", "is not UTF-8 text")]);
    };
    let lines = if text.trim_start().starts_with('{') {
        json_lines(text)
    } else {
        csv_lines(text)?
    };
    let mut list = List::default();
    for (number, line) in lines {
        match line.and_then(entry) {
            Ok(entry) => list.entries.push(entry),
            Err(problem) => list.note(number, &problem),
        }
        if list.entries.len() > most {
            list.errors
                .push(error("too_long", format!("names more than {most} files")));
            break;
        }
    }
    list.finish()
}

/// Whether the first line of a CSV file names the column that makes it a manifest.
pub fn is_header(first_line: &str) -> bool {
    separated::records(first_line)
        .ok()
        .and_then(|records| records.into_iter().next())
        .is_some_and(|(_, names)| names.iter().any(|name| column(name) == Some(0)))
}

#[derive(Default)]
struct List {
    entries: Vec<Entry>,
    errors: Vec<FieldError>,
}

impl List {
    fn note(&mut self, line: usize, problem: &FieldError) {
        if self.errors.len() < MAX_ERRORS {
            let message = match problem.field.as_ref() {
                "" => format!("line {line}: {}", problem.message),
                field => format!("line {line}: {field} {}", problem.message),
            };
            self.errors.push(error(problem.code, message));
        }
    }

    fn finish(mut self) -> Result<Vec<Entry>, Vec<FieldError>> {
        if self.entries.is_empty() && self.errors.is_empty() {
            self.errors.push(error("empty", "names no file"));
        }
        if self.errors.is_empty() {
            Ok(self.entries)
        } else {
            Err(self.errors)
        }
    }
}

fn error(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> FieldError {
    FieldError::new("manifest", code, message)
}

/// Something wrong with a line as a whole.
fn broken(code: &'static str, message: &'static str) -> FieldError {
    FieldError::new("", code, message)
}

type Numbered = (usize, Result<Line, FieldError>);

fn json_lines(text: &str) -> Vec<Numbered> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| (at + 1, json_line(line)))
        .collect()
}

fn json_line(line: &str) -> Result<Line, FieldError> {
    let object: Map<String, Value> =
        serde_json::from_str(line).map_err(|_| broken("invalid", "is not a JSON object"))?;
    let mut values = Line::default();
    for (name, value) in COLUMNS.iter().zip(&mut values) {
        *value = match object.get(*name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => {
                return Err(FieldError::new(
                    *name,
                    "invalid",
                    "is neither a text nor a number",
                ));
            }
        };
    }
    Ok(values)
}

fn csv_lines(text: &str) -> Result<Vec<Numbered>, Vec<FieldError>> {
    let records = separated::records(text).map_err(|separated::OpenQuote(line)| {
        vec![error(
            "invalid",
            format!("line {line}: has a quote that is never closed"),
        )]
    })?;
    let mut records = records.into_iter();
    let Some((_, header)) = records.next() else {
        return Ok(Vec::new());
    };
    let columns: Vec<Option<usize>> = header.iter().map(|name| column(name)).collect();
    if !columns.contains(&Some(0)) {
        return Err(vec![error(
            "invalid",
            "has no column \"file\" in its first line, and is not JSON lines",
        )]);
    }
    Ok(records
        .map(|(number, fields)| (number, csv_line(&columns, fields)))
        .collect())
}

fn column(name: &str) -> Option<usize> {
    let name = name.trim();
    COLUMNS
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))
}

fn csv_line(columns: &[Option<usize>], fields: Vec<String>) -> Result<Line, FieldError> {
    if fields.len() > columns.len() {
        return Err(broken("invalid", "has more fields than the first line"));
    }
    let mut line = Line::default();
    for (column, field) in columns.iter().zip(fields) {
        if let Some(column) = column {
            line[*column] = Some(field);
        }
    }
    Ok(line)
}

fn entry(line: Line) -> Result<Entry, FieldError> {
    let [
        file,
        prompt,
        priority,
        scheduled_at,
        reference,
        key,
        index,
        password,
        model,
    ] = line;
    let file = values::line("file", limited(file, MAX_FILE))?
        .ok_or_else(|| FieldError::new("file", "required", "is required"))?;
    let prompt = match prompt.filter(|prompt| !prompt.trim().is_empty()) {
        None => None,
        some => Some(values::prompt(limited(some, MAX_PROMPT))?),
    };
    let given = priority.filter(|text| !text.trim().is_empty());
    let priority = given
        .map(|text| values::priority(limited(Some(text), MAX_VALUE)))
        .transpose()?;
    Ok(Entry {
        file,
        prompt,
        priority,
        scheduled_at: values::scheduled_at(limited(scheduled_at, MAX_VALUE))?,
        reference: values::line("reference", limited(reference, MAX_REFERENCE))?,
        key: values::item_key(limited(key, MAX_VALUE))?,
        index: values::index("index", limited(index, MAX_VALUE))?,
        password: values::password(limited(password, MAX_PASSWORD))?,
        model: values::model(limited(model, MAX_VALUE))?,
    })
}

fn limited(text: Option<String>, limit: usize) -> Option<Text> {
    text.map(|text| {
        if text.len() > limit {
            Text::TooLong(limit)
        } else {
            Text::Whole(text.into_bytes())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Entry {
        let mut entries = parse(text.as_bytes(), 10).unwrap();
        assert_eq!(entries.len(), 1);
        entries.remove(0)
    }

    fn messages(text: &str) -> Vec<String> {
        let errors = parse(text.as_bytes(), 3).unwrap_err();
        errors.into_iter().map(|e| e.message.into_owned()).collect()
    }

    #[test]
    fn both_forms_say_the_same() {
        let csv = one(
            "Reference;FILE;prompt;priority;scheduled_at;key;colour;index;password\r\nr 1;d/a.pdf;\"What; then?\";-3;2030-01-01T00:00:00Z;k-1;green;7; p w\r\n",
        );
        let json = one(
            r#"{"file":"d/a.pdf","prompt":"What; then?","priority":-3,"scheduled_at":"2030-01-01T00:00:00Z","reference":"r 1","key":"k-1","index":7,"password":" p w","colour":["green"]}"#,
        );
        assert_eq!(csv, json);
        assert_eq!(csv.file, "d/a.pdf");
        assert_eq!((csv.priority, csv.index), (Some(-3), Some(7)));
        assert_eq!(csv.password.unwrap().expose(), " p w");
    }

    #[test]
    fn only_the_file_is_required() {
        for text in [
            "file\na.pdf",
            "\u{feff}file,prompt,priority\na.pdf,,\n\n",
            "{\"file\":\"a.pdf\",\"prompt\":null}\n\n",
        ] {
            let expected = Entry {
                file: "a.pdf".into(),
                ..Entry::default()
            };
            assert_eq!(one(text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_wrong_line_is_named() {
        assert_eq!(
            messages(
                "file,priority,scheduled_at\n,1,\na.pdf,high,\nb.pdf,101,\nc.pdf,,tomorrow\nd.pdf,1,,x\n"
            ),
            [
                "line 2: file is required",
                "line 3: priority is not an integer",
                "line 4: priority is not between -100 and 100",
                "line 5: scheduled_at is not a time with offset such as 2024-01-01T09:00:00Z",
                "line 6: has more fields than the first line"
            ]
        );
        assert_eq!(
            messages(
                "{\"file\":\"a\"}\n{file}\n{\"file\":[1]}\n{\"file\":\"a\",\"index\":-1}\n{\"file\":\"a\",\"key\":\"two words\"}"
            ),
            [
                "line 2: is not a JSON object",
                "line 3: file is neither a text nor a number",
                "line 4: index is not a number from 0 to 9007199254740991",
                "line 5: key is not made of visible ASCII characters"
            ]
        );
    }

    #[test]
    fn lists_that_are_none() {
        assert_eq!(messages(""), ["names no file"]);
        assert_eq!(messages("file,prompt\n"), ["names no file"]);
        assert_eq!(
            messages("name,prompt\na.pdf,x"),
            ["has no column \"file\" in its first line, and is not JSON lines"]
        );
        assert_eq!(messages("file\na\nb\nc\nd"), ["names more than 3 files"]);
        assert_eq!(
            messages("file\n\"a"),
            ["line 2: has a quote that is never closed"]
        );
        assert!(parse(b"file\n\xff", 3).is_err());
    }

    #[test]
    fn a_header_is_told_from_data() {
        assert!(is_header("prompt, \"file\""));
        assert!(!is_header("station,level"));
        assert!(!is_header(""));
    }
}
