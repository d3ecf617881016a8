//! Dates as people write them in tables: `2024-01-31`, `31/01/2024 10:30`, `31.1.24`, `31-Jan-2024`.
//!
//! Whether `02/03/2024` is in February or March is not decided here: a date gives its sort key for both readings, and the column
//! keeps the one that fits all of its cells.

/// Sort keys of a date; a reading that is impossible has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    /// Day before month, or no question.
    pub(crate) day_first: Option<u64>,
    /// Month before day, or no question.
    pub(crate) month_first: Option<u64>,
}

/// Shortest and longest text that is tried as a date: `1.1.24` and an instant with nanoseconds and zone.
const LENGTHS: std::ops::RangeInclusive<usize> = 6..=35;

/// Two-digit years up to this one are of this century.
const CENTURY_TURN: u64 = 68;

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// Reads a trimmed cell.
pub(crate) fn parse(text: &[u8]) -> Option<Date> {
    if !LENGTHS.contains(&text.len()) || !text[0].is_ascii_digit() {
        return None;
    }
    let (first, rest) = number(text)?;
    let (&separator, rest) = rest.split_first()?;
    if !matches!(separator, b'-' | b'/' | b'.' | b' ') {
        return None;
    }
    if let Some((month, rest)) = month_name(rest) {
        let (&again, rest) = rest.split_first()?;
        let (year, rest) = number(rest).filter(|_| again == separator)?;
        return both(key(year_of(year)?, month, first.value, time(rest)?));
    }
    let (second, rest) = number(rest).filter(|_| separator != b' ')?;
    let (third, rest) = number(rest.strip_prefix(&[separator])?)?;
    let time = time(rest)?;
    if first.digits == 4 {
        return both(key(first.value, second.value, third.value, time));
    }
    let year = year_of(third)?;
    let day_first = key(year, second.value, first.value, time);
    let month_first = key(year, first.value, second.value, time);
    (day_first.is_some() || month_first.is_some()).then_some(Date {
        day_first,
        month_first,
    })
}

fn both(key: Option<u64>) -> Option<Date> {
    key.map(|key| Date {
        day_first: Some(key),
        month_first: Some(key),
    })
}

#[derive(Clone, Copy)]
struct Digits {
    value: u64,
    digits: usize,
}

fn number(text: &[u8]) -> Option<(Digits, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=4).contains(&digits) {
        return None;
    }
    let value = text[..digits]
        .iter()
        .fold(0, |value, byte| value * 10 + u64::from(byte - b'0'));
    Some((Digits { value, digits }, &text[digits..]))
}

/// The number of an English month at the beginning, short or in full.
fn month_name(text: &[u8]) -> Option<(u64, &[u8])> {
    let start: [u8; 3] = text.get(..3)?.try_into().ok()?;
    let month = MONTHS
        .iter()
        .position(|name| **name == start.map(|byte| byte.to_ascii_lowercase()))?;
    let letters = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    (letters <= "September".len()).then(|| (month as u64 + 1, &text[letters..]))
}

fn year_of(year: Digits) -> Option<u64> {
    match year.digits {
        4 => Some(year.value),
        2 if year.value <= CENTURY_TURN => Some(2000 + year.value),
        2 => Some(1900 + year.value),
        _ => None,
    }
}

/// Seconds of the day behind a date; 0 for none. The zone is read over: within a column it is nearly always the same.
fn time(text: &[u8]) -> Option<u64> {
    let Some((&separator, text)) = text.split_first() else {
        return Some(0);
    };
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (hour, rest) = number(text)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => number(rest)?,
        None => (
            Digits {
                value: 0,
                digits: 2,
            },
            rest,
        ),
    };
    let fits = hour.value < 24 && minute.value < 60 && second.value <= 60;
    let zone = |byte: &u8| {
        byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b':' | b'Z' | b'z' | b' ')
    };
    let noon = rest.trim_ascii();
    let half_day = noon.eq_ignore_ascii_case(b"am") || noon.eq_ignore_ascii_case(b"pm");
    if !fits || !half_day && !rest.iter().all(zone) {
        return None;
    }
    let afternoon = noon.eq_ignore_ascii_case(b"pm") && hour.value < 12;
    Some((hour.value + if afternoon { 12 } else { 0 }) * 3600 + minute.value * 60 + second.value)
}

fn key(year: u64, month: u64, day: u64, seconds: u64) -> Option<u64> {
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && year > 0;
    fits.then(|| ((year * 12 + month) * 32 + day) * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sure(text: &str) -> u64 {
        let date = parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(date.day_first, date.month_first, "{text}");
        date.day_first.unwrap()
    }

    #[test]
    fn unquestionable_dates_sort_by_time() {
        let ordered = [
            "1999-12-31",
            "2024-01-31",
            "2024-01-31 00:00:05",
            "2024-01-31T10:30:00.123Z",
            "2024-01-31 02:30 PM",
            "1-Feb-2024",
            "02 February 2024",
            "2024/02/03",
            "2024-12-01T00:00:00+02:00",
        ];
        assert!(ordered.windows(2).all(|pair| sure(pair[0]) < sure(pair[1])));
    }

    #[test]
    fn the_order_of_day_and_month_may_stay_open() {
        let open = parse(b"02/03/2024").unwrap();
        assert!(open.day_first > open.month_first);
        assert_eq!(parse(b"31/01/2024").unwrap().month_first, None);
        assert_eq!(parse(b"01/31/2024").unwrap().day_first, None);
        assert_eq!(
            parse(b"1.2.99").unwrap().day_first,
            parse(b"01.02.1999").unwrap().day_first
        );
    }

    #[test]
    fn what_only_looks_like_a_date_is_none() {
        for text in [
            "1.2.3",
            "192.168.1.1",
            "2024-13-01",
            "2024-01-32",
            "12-34-56",
            "31/31/2024",
            "2024-01/02",
            "2024-01-01x",
            "10:30:00",
            "555-123-4567",
            "1 2 2024",
            "2024-01-01 25:00",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9a-zA-Z/:. +-]{0,40}") {
            let _ = parse(text.as_bytes());
        }
    }
}
