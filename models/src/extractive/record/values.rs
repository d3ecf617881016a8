//! Values of a type in a sentence, the likeliest first.

use serde_json::{Number, Value};

use crate::extractive::evidence::month_number;
use crate::extractive::fold::fold;
use crate::schema::{FieldKind, days};

use super::label::Label;

/// Longest text taken behind a label, in characters.
const MAX_TEXT: usize = 200;

/// The values of this type that a sentence has, nearest to the words of the field first. `is_sure`: the sentence answers
/// the field's question by itself.
pub(super) fn read(label: &Label, kind: &FieldKind, text: &str, is_sure: bool) -> Vec<Value> {
    if let Some(value) = behind_label(label, text) {
        let read = typed(kind, value);
        if !read.is_empty() {
            return read.into_iter().map(|(_, value)| value).collect();
        }
        if matches!(kind, FieldKind::Text) && value.chars().count() <= MAX_TEXT {
            return vec![Value::from(value)];
        }
    }
    match kind {
        FieldKind::Text if is_sure => vec![Value::from(super::super::display::unwrap_lines(text))],
        FieldKind::Text | FieldKind::Boolean => Vec::new(),
        _ => nearest(label, typed(kind, text), text),
    }
}

/// The text behind `Label:` in a line or in a row of a table.
fn behind_label<'t>(label: &Label, text: &'t str) -> Option<&'t str> {
    text.split(['\n', ';'])
        .filter_map(|part| part.split_once(':'))
        .find(|(name, value)| label.names(name) && !value.trim().is_empty())
        .map(|(_, value)| value.trim())
}

/// Orders values by their distance to a word of the field; a value behind the word counts as nearer than one before it.
fn nearest(label: &Label, found: Vec<(usize, Value)>, text: &str) -> Vec<Value> {
    let places = label.places(text);
    let distance = |at: usize| {
        let one = |place: &usize| {
            if at >= *place {
                at - place
            } else {
                2 * (place - at)
            }
        };
        places.iter().map(one).min()
    };
    let mut near: Vec<(usize, Value)> = found
        .into_iter()
        .filter_map(|(at, value)| Some((distance(at)?, value)))
        .collect();
    near.sort_by_key(|(distance, _)| *distance);
    near.into_iter().map(|(_, value)| value).collect()
}

/// Values of a type with their byte positions.
fn typed(kind: &FieldKind, text: &str) -> Vec<(usize, Value)> {
    match kind {
        FieldKind::Text => Vec::new(),
        FieldKind::Date => dates(text)
            .into_iter()
            .map(|(range, date)| (range.start, Value::from(date)))
            .collect(),
        FieldKind::Number | FieldKind::Integer => numbers(text, *kind == FieldKind::Integer),
        FieldKind::Boolean => truth(text)
            .map(|value| (0, Value::Bool(value)))
            .into_iter()
            .collect(),
        FieldKind::Choice(choices) => choices
            .iter()
            .filter_map(|choice| Some((whole_word(text, choice)?, Value::from(choice.as_str()))))
            .collect(),
    }
}

fn truth(text: &str) -> Option<bool> {
    const YES: [&str; 6] = ["yes", "true", "ja", "oui", "si", "x"];
    const NO: [&str; 5] = ["no", "false", "nein", "non", "none"];
    let word = fold(
        text.split(|c: char| !c.is_alphanumeric())
            .find(|w| !w.is_empty())?,
    );
    if YES.contains(&word.as_str()) {
        return Some(true);
    }
    NO.contains(&word.as_str()).then_some(false)
}

/// Where a word stands, whatever its case, not as a part of another.
fn whole_word(text: &str, word: &str) -> Option<usize> {
    let (text, word) = (text.to_lowercase(), word.to_lowercase());
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    text.match_indices(&word)
        .find(|(at, _)| {
            edge(text[..*at].chars().next_back()) && edge(text[at + word.len()..].chars().next())
        })
        .map(|(at, _)| at)
}

/// Numbers that are no part of a date and whose separators can be read in one way only.
fn numbers(text: &str, whole: bool) -> Vec<(usize, Value)> {
    let dates = dates(text);
    let mut out = Vec::new();
    for (at, token) in digit_runs(text) {
        let in_date = dates.iter().any(|(range, _)| range.contains(&at));
        let glued = text[..at].ends_with(char::is_alphabetic)
            || text[at + token.len()..].starts_with(char::is_alphabetic);
        if in_date || glued {
            continue;
        }
        let negative = text[..at].ends_with(['-', '−'])
            && !text[..at]
                .trim_end_matches(['-', '−'])
                .ends_with(char::is_alphanumeric);
        let Some(value) = number(token).map(|value| if negative { -value } else { value }) else {
            continue;
        };
        let number = if value.fract() == 0.0 && value.abs() < 9e15 {
            Some(Number::from(value as i64))
        } else if whole {
            None
        } else {
            Number::from_f64(value)
        };
        out.extend(number.map(|number| (at, Value::Number(number))));
    }
    out
}

/// Digits with the separators between them.
fn digit_runs(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut start = None;
    let joins = |c: char| matches!(c, '.' | ',' | '\'' | '\u{a0}' | '\u{202f}');
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match start {
            None if c.is_ascii_digit() => start = Some(at),
            Some(from) if !c.is_ascii_digit() && !joins(c) => {
                out.push((from, text[from..at].trim_end_matches(joins)));
                start = None;
            }
            _ => {}
        }
    }
    out
}

/// `1,234.50`, `1.234,50`, `1'234`, `900`. None for what can be read in two ways (`1.234`) or in none (`1.2.3`).
fn number(token: &str) -> Option<f64> {
    let plain: String = token
        .chars()
        .filter(|c| !matches!(c, '\'' | '\u{a0}' | '\u{202f}'))
        .collect();
    let count = |sign: char| plain.matches(sign).count();
    let grouped = |sign: char| {
        let mut groups = plain.split(sign);
        groups
            .next()
            .is_some_and(|first| (1..=3).contains(&first.len()))
            && groups.all(|g| g.len() == 3)
    };
    let text = match (plain.rfind(','), plain.rfind('.')) {
        (None, None) => plain,
        (Some(comma), Some(stop)) if comma > stop && count(',') == 1 => {
            plain.replace('.', "").replace(',', ".")
        }
        (Some(comma), Some(stop)) if stop > comma && count('.') == 1 => plain.replace(',', ""),
        (Some(_), None) if grouped(',') => plain.replace(',', ""),
        (Some(_), None) if count(',') == 1 => plain.replace(',', "."),
        (None, Some(_)) if count('.') == 1 && !grouped('.') => plain,
        (None, Some(_)) if count('.') > 1 && grouped('.') => plain.replace('.', ""),
        _ => return None,
    };
    text.parse().ok()
}

/// Days with their byte ranges, as `2024-05-31`. `5/6/2024` may be two days and is none.
fn dates(text: &str) -> Vec<(std::ops::Range<usize>, String)> {
    let words = words(text);
    let mut out = Vec::new();
    for (index, (at, word)) in words.iter().enumerate() {
        if let Some(date) = numeric_date(word) {
            out.push((*at..at + word.len(), date));
            continue;
        }
        let Some(month) = month_number(word) else {
            continue;
        };
        let near = |step: isize| {
            let index = index.checked_add_signed(step)?;
            let (at, word) = words.get(index)?;
            let digits = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            Some((*at, digits.len(), digits.parse::<u32>().ok()?))
        };
        // `31 May 2024` and `May 31, 2024`.
        for (day, year) in [(near(-1), near(1)), (near(1), near(2))] {
            if let (Some((from, _, day)), Some((last, length, year))) = (day, year)
                && let Some(date) = date(year, month, day)
            {
                out.push((from.min(*at)..last + length, date));
                break;
            }
        }
    }
    out
}

fn words(text: &str) -> Vec<(usize, &str)> {
    text.split_whitespace()
        .map(|word| {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            (bare.as_ptr().addr() - text.as_ptr().addr(), bare)
        })
        .collect()
}

fn numeric_date(word: &str) -> Option<String> {
    let sign = ['-', '.', '/']
        .into_iter()
        .find(|sign| word.matches(*sign).count() == 2)?;
    let parts: Vec<&str> = word.split(sign).collect();
    let numbers: Vec<u32> = parts
        .iter()
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    match (&numbers[..], sign) {
        (&[year, month, day], _) if parts[0].len() == 4 => date(year, month, day),
        // With full stops the day comes first everywhere.
        (&[day, month, year], '.') if parts[2].len() == 4 => date(year, month, day),
        (&[first, second, year], _) if parts[2].len() == 4 => match (first > 12, second > 12) {
            (true, false) => date(year, second, first),
            (false, true) => date(year, first, second),
            _ if first == second => date(year, first, second),
            _ => None,
        },
        _ => None,
    }
}

fn date(year: u32, month: u32, day: u32) -> Option<String> {
    let is_day = (1000..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days(year, month)).contains(&day);
    is_day.then(|| format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(kind: &FieldKind, text: &str) -> Vec<Value> {
        typed(kind, text)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }

    #[test]
    fn numbers_are_read_in_one_way_or_not_at_all() {
        for (text, value) in [
            ("EUR 1,234.50", Value::from(1234.5)),
            ("1.234,50 €", Value::from(1234.5)),
            ("a total of 900.", Value::from(900)),
            ("1'000'000", Value::from(1_000_000)),
            ("-5 °C", Value::from(-5)),
            ("0,5", Value::from(0.5)),
        ] {
            assert_eq!(values(&FieldKind::Number, text), [value], "{text}");
        }
        for text in [
            "1.234",
            "v1.2.3",
            "A4",
            "on 31 May 2024",
            "2024-05-31",
            "H2O",
        ] {
            assert!(values(&FieldKind::Number, text).is_empty(), "{text}");
        }
        assert!(values(&FieldKind::Integer, "2.5").is_empty());
    }

    #[test]
    fn days_are_read_when_they_are_sure() {
        for text in [
            "due 2024-05-31.",
            "(31.5.2024)",
            "on May 31, 2024",
            "31 May 2024",
            "31/05/2024",
            "5/31/2024",
            "the 31st May 2024",
        ] {
            assert_eq!(
                values(&FieldKind::Date, text),
                [Value::from("2024-05-31")],
                "{text}"
            );
        }
        for text in [
            "5/6/2024",
            "30 February 2024",
            "May 2024",
            "in May",
            "31.5.",
        ] {
            assert!(values(&FieldKind::Date, text).is_empty(), "{text}");
        }
    }

    #[test]
    fn choices_and_truths_are_whole_words() {
        let choices = FieldKind::Choice(vec!["EUR".into(), "USD".into()]);
        assert_eq!(values(&choices, "paid in usd"), [Value::from("USD")]);
        assert!(values(&choices, "European").is_empty());
        assert_eq!(
            values(&FieldKind::Boolean, "Yes, twice"),
            [Value::Bool(true)]
        );
        assert!(values(&FieldKind::Boolean, "perhaps").is_empty());
    }
}
