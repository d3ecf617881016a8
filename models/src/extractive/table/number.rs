//! Numbers in cells and prompts, and how results are written.

/// A number as people write it in tables: with thousands separators, a currency or percent sign, a decimal comma.
pub(super) fn parse(text: &str) -> Option<f64> {
    let trimmed = text
        .trim()
        .trim_matches(|c: char| matches!(c, '$' | '€' | '£' | '¥' | '%') || c.is_whitespace());
    let (digits, factor) = scaled(trimmed);
    let plain = match (digits.rfind(','), digits.rfind('.')) {
        (Some(comma), Some(stop)) if comma > stop => digits.replace('.', "").replace(',', "."),
        (Some(_), Some(_)) => digits.replace(',', ""),
        (Some(_), None) if is_grouped(digits, ',') => digits.replace(',', ""),
        (Some(_), None) => digits.replace(',', "."),
        (None, _) => digits.to_owned(),
    };
    let plain: String = plain
        .chars()
        .filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'' | '_'))
        .collect();
    let looks_right =
        plain.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    plain
        .parse::<f64>()
        .ok()
        .filter(|value| looks_right && value.is_finite())
        .map(|value| value * factor)
}

/// `5k`, `3m` and `2bn`, as prompts have them.
fn scaled(text: &str) -> (&str, f64) {
    for (suffix, factor) in [("bn", 1e9), ("k", 1e3), ("m", 1e6), ("K", 1e3), ("M", 1e6)] {
        if let Some(digits) = text
            .strip_suffix(suffix)
            .filter(|digits| digits.ends_with(|c: char| c.is_ascii_digit()))
        {
            return (digits, factor);
        }
    }
    (text, 1.0)
}

/// Groups of three digits after the first, as in `1,234,567`.
fn is_grouped(digits: &str, sign: char) -> bool {
    let mut groups = digits.trim_start_matches(['-', '+']).split(sign);
    let first = groups
        .next()
        .is_some_and(|group| (1..=3).contains(&group.len()));
    first && groups.all(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()))
}

/// A result with at most four decimals; very large and very small ones in scientific notation.
pub(super) fn write(value: f64) -> String {
    if value != 0.0 && !(1e-4..1e15).contains(&value.abs()) {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.4}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" {
        "0".to_owned()
    } else {
        short.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, value) in [
            ("42", 42.0),
            ("-3.5", -3.5),
            ("1,234,567.5", 1_234_567.5),
            ("1.234,5", 1234.5),
            ("3,5", 3.5),
            ("1,234", 1234.0),
            ("€ 300", 300.0),
            ("12 %", 12.0),
            ("5k", 5000.0),
            ("1 000", 1000.0),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
        for text in ["", "abc", "2024-05-01", "inf", "NaN", "1-2", "-"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn results_are_short() {
        for (value, text) in [
            (2.0, "2"),
            (2.5, "2.5"),
            (1.0 / 3.0, "0.3333"),
            (-0.000_000_1, "-1.0000e-7"),
            (0.0, "0"),
            (1e20, "1.0000e20"),
        ] {
            assert_eq!(write(value), text);
        }
    }
}
