//! What a single cell is.

use super::date::{self, Date};
use super::number::{self, Number};

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Number(Number),
    Boolean,
    Date(Date),
    Text,
}

/// Spellings of "no value" beside an empty cell.
const NULLS: [&[u8]; 7] = [b"null", b"na", b"n/a", b"#n/a", b"nan", b"none", b"nil"];

/// Spellings of truth values.
const BOOLEANS: [&[u8]; 4] = [b"true", b"false", b"yes", b"no"];

/// Longest word of both lists.
const LONGEST_WORD: usize = 5;

/// What the trimmed cell `text` is.
pub(crate) fn classify(text: &[u8], decimal_comma: bool) -> Value {
    let Some(&first) = text.first() else {
        return Value::Null;
    };
    match first {
        b'0'..=b'9' => match number::parse(text, decimal_comma) {
            Some(number) => Value::Number(number),
            None => date::parse(text).map_or(Value::Text, Value::Date),
        },
        b'-' | b'+' | b'.' | b'$' | b'(' | 0xC2 | 0xE2 => {
            number::parse(text, decimal_comma).map_or(Value::Text, Value::Number)
        }
        b'#' | b'f' | b'F' | b'n' | b'N' | b't' | b'T' | b'y' | b'Y'
            if text.len() <= LONGEST_WORD =>
        {
            word(text)
        }
        _ => Value::Text,
    }
}

fn word(text: &[u8]) -> Value {
    let is = |words: &[&[u8]]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&NULLS) {
        Value::Null
    } else if is(&BOOLEANS) {
        Value::Boolean
    } else {
        Value::Text
    }
}

/// Whether the trimmed cell `text` has a type beside text; times of day count here, as they speak for the cut being right.
pub(crate) fn is_typed(text: &[u8], decimal_comma: bool) -> bool {
    classify(text, decimal_comma) != Value::Text || is_time(text)
}

fn is_time(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.split(|&byte| byte == b':').collect();
    let two_digits =
        |part: &&[u8]| matches!(part, [a, b] if a.is_ascii_digit() && b.is_ascii_digit());
    (2..=3).contains(&parts.len()) && parts.iter().all(two_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_told_apart() {
        let kind = |text: &str| match classify(text.as_bytes(), false) {
            Value::Null => "null",
            Value::Number(_) => "number",
            Value::Boolean => "boolean",
            Value::Date(_) => "date",
            Value::Text => "text",
        };
        for (text, expected) in [
            ("", "null"),
            ("N/A", "null"),
            ("NaN", "null"),
            ("5", "number"),
            ("$5.20", "number"),
            ("True", "boolean"),
            ("no", "boolean"),
            ("2020-02-03", "date"),
            ("north", "text"),
            ("007", "text"),
            ("5 apples", "text"),
            ("Nordrhein-Westfalen", "text"),
        ] {
            assert_eq!(kind(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_speak_for_a_cut() {
        assert!(is_typed(b"10:30", false) && is_typed(b"10:30:59", false));
        assert!(!is_typed(b"10:3x", false) && !is_typed(b"a:b", false));
    }
}
