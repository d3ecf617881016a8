//! Numbers as people write them in tables.
//!
//! Plain integers and decimals go through a fast path without allocation. Currency signs, percent signs, grouped thousands and, where
//! the delimiter leaves the comma free, decimal commas take a slower one. `007` is not a number: it is a code that would lose its zeros.

/// A number and, when it is whole and small enough, its exact value.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Number {
    pub(crate) value: f64,
    pub(crate) integer: Option<i64>,
}

/// Most digits whose value fits into an `i64`.
const EXACT_DIGITS: usize = 18;

/// Digits whose value a `f64` holds exactly: below 2^53.
const EXACT_FLOAT_DIGITS: usize = 15;

/// Powers of ten that a `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Longest text that is tried as a number.
const MAX_LENGTH: usize = 64;

/// Reads a trimmed cell; `decimal_comma` says that `1,5` is one and a half.
pub(crate) fn parse(text: &[u8], decimal_comma: bool) -> Option<Number> {
    let (&first, rest) = text.split_first()?;
    match first {
        b'0'..=b'9' => plain(text, false).or_else(|| decorated(text, decimal_comma)),
        b'-' | b'+' => plain(rest, first == b'-').or_else(|| decorated(text, decimal_comma)),
        b'.' => plain(text, false),
        b'$' | b'(' | 0xC2 | 0xE2 => decorated(text, decimal_comma),
        _ => None,
    }
}

/// Digits, at most one point, and an exponent.
#[inline]
fn plain(text: &[u8], negative: bool) -> Option<Number> {
    let (whole, value) = digits(text, 0);
    if whole > 1 && text[0] == b'0' {
        return None;
    }
    match text.get(whole) {
        None if (1..=EXACT_DIGITS).contains(&whole) => {
            let value = value.cast_signed();
            let value = if negative { -value } else { value };
            Some(Number {
                value: value as f64,
                integer: Some(value),
            })
        }
        None | Some(b'e' | b'E') if whole > 0 => float(text, negative),
        Some(b'.') => decimal(text, (whole, value), negative),
        _ => None,
    }
}

#[inline]
fn decimal(text: &[u8], (whole, value): (usize, u64), negative: bool) -> Option<Number> {
    let fraction = &text[whole + 1..];
    let (places, value) = digits(fraction, value);
    if whole + places == 0 {
        return None;
    }
    if places < fraction.len() || whole + places > EXACT_FLOAT_DIGITS {
        return float(text, negative);
    }
    // Both are exact, so their quotient is the nearest number there is.
    let value = value as f64 / POWERS[places];
    Some(Number {
        value: if negative { -value } else { value },
        integer: None,
    })
}

/// How many digits `text` begins with, and the number that they make behind those of `before`; nothing sensible when they are
/// more than a `u64` holds.
#[inline]
fn digits(text: &[u8], before: u64) -> (usize, u64) {
    let mut value = before;
    for (at, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return (at, value);
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    (text.len(), value)
}

/// Anything the standard library takes for a number, but not its words for infinity.
fn float(text: &[u8], negative: bool) -> Option<Number> {
    if text.len() > MAX_LENGTH
        || !text
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'-' | b'+'))
    {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let value = if negative { -value } else { value };
    value.is_finite().then_some(Number {
        value,
        integer: None,
    })
}

/// `$1,234.50`, `(12)`, `45 %`, `1.234,50 €`.
fn decorated(text: &[u8], decimal_comma: bool) -> Option<Number> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() <= MAX_LENGTH)?;
    let (inner, in_parentheses) = match text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'))
    {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let (inner, minus) = strip_sign(inner);
    let (inner, currency) = strip_currency(inner.trim());
    let (inner, late_minus) = strip_sign(inner);
    let percent = inner.strip_suffix('%');
    let inner = percent.unwrap_or(inner).trim();
    // Two ways of saying the same contradict each other, so the cell is something else.
    if in_parentheses && (minus || late_minus) || currency && percent.is_some() {
        return None;
    }
    // A file with decimal commas may still hold amounts with points: `$74.69`.
    let as_comma = decimal_comma.then(|| ungroup(inner, true)).flatten();
    let normal = as_comma.or_else(|| ungroup(inner, false))?;
    plain(normal.as_bytes(), in_parentheses || minus || late_minus)
}

fn strip_sign(text: &str) -> (&str, bool) {
    match text
        .strip_prefix('-')
        .or_else(|| text.strip_prefix('\u{2212}'))
    {
        Some(rest) => (rest, true),
        None => (text.strip_prefix('+').unwrap_or(text), false),
    }
}

fn strip_currency(text: &str) -> (&str, bool) {
    const SIGNS: [char; 4] = ['$', '€', '£', '¥'];
    let stripped = text
        .strip_prefix(SIGNS)
        .or_else(|| text.strip_suffix(SIGNS));
    stripped.map_or((text, false), |rest| (rest.trim(), true))
}

/// `1,234.5` as `1234.5`, and with a decimal comma `1.234,5` as well.
fn ungroup(text: &str, decimal_comma: bool) -> Option<String> {
    let (group, point) = if decimal_comma {
        ('.', ',')
    } else {
        (',', '.')
    };
    let (whole, fraction) = match text.split_once(point) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut groups = whole.split(group);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = rest
        .iter()
        .all(|group| group.len() == 3 && is_digits(group));
    let first_fits = !first.is_empty() && is_digits(first) && (rest.is_empty() || first.len() <= 3);
    if !grouped
        || !first_fits
        || !fraction.is_none_or(|fraction| !fraction.is_empty() && is_digits(fraction))
    {
        return None;
    }
    let fraction = fraction
        .map(|fraction| format!(".{fraction}"))
        .unwrap_or_default();
    Some(format!("{first}{}{fraction}", rest.concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<f64> {
        parse(text.as_bytes(), false).map(|number| number.value)
    }

    #[test]
    fn plain_numbers() {
        for (text, expected) in [
            ("0", 0.0),
            ("42", 42.0),
            ("-7", -7.0),
            ("+7", 7.0),
            ("3.25", 3.25),
            (".5", 0.5),
            ("-0.5", -0.5),
            ("1e3", 1000.0),
            ("1.5E-3", 0.0015),
            ("5.", 5.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!(parse(b"-42", false).unwrap().integer, Some(-42));
        assert_eq!(parse(b"4.0", false).unwrap().integer, None);
    }

    #[test]
    fn what_only_looks_like_a_number_is_none() {
        for text in [
            "", "-", ".", "007", "1.2.3", "1-2", "12a", "inf", "nan", "-inf", "1e999", "e5", "()",
            "$", "1,23", "12,3456", "$5%", "0x10", "1 2",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_as_people_write_them() {
        for (text, expected) in [
            ("$74.69", 74.69),
            ("1,234", 1234.0),
            ("-1,234,567.5", -1_234_567.5),
            ("45%", 45.0),
            ("12.5 %", 12.5),
            ("(300)", -300.0),
            ("£1,000.00", 1000.0),
            ("-$5", -5.0),
            ("$-5", -5.0),
            ("5 €", 5.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn decimal_commas_where_the_comma_is_free() {
        let german = |text: &str| parse(text.as_bytes(), true).map(|number| number.value);
        assert_eq!(german("3,5"), Some(3.5));
        assert_eq!(german("1.234,50 €"), Some(1234.5));
        assert_eq!(german("2,250"), Some(2.25));
        assert_eq!(german("3.5"), Some(3.5));
        assert_eq!(german("$74.69"), Some(74.69));
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_the_standard_library(text in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{0,20})?(e-?[0-9]{1,2})?") {
            let expected: f64 = text.parse().unwrap();
            // Whole numbers know no negative zero.
            prop_assert_eq!(value(&text).map(|value| (value + 0.0).to_bits()), Some((expected + 0.0).to_bits()));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}", decimal_comma: bool) {
            let _ = parse(text.as_bytes(), decimal_comma);
        }
    }
}
