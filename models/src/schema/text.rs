//! Small readers of text around schemas: dates, fences, grouped digits.

/// Whether a text is a day of the calendar, `2024-05-31`.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let number = |range: std::ops::Range<usize>| {
        text.get(range)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u32>().ok())
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    (1..=12).contains(&month) && (1..=days(year, month)).contains(&day)
}

/// Days of a month in the Gregorian calendar.
pub(crate) fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Whether a text is a moment as RFC 3339 writes it.
pub(super) fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't']) else {
        return false;
    };
    let (clock, zone) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => return false,
    };
    let pair = |part: &str, most: u32| {
        part.len() == 2
            && part.bytes().all(|b| b.is_ascii_digit())
            && part.parse::<u32>().is_ok_and(|n| n <= most)
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<&str> = clock.split(':').collect();
    let is_clock = matches!(parts[..], [h, m, s] if pair(h, 23) && pair(m, 59) && pair(s, 60));
    let is_zone = zone.eq_ignore_ascii_case("z")
        || zone[1..]
            .split_once(':')
            .is_some_and(|(h, m)| pair(h, 23) && pair(m, 59));
    is_date(date)
        && is_clock
        && is_zone
        && !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// A reply without the code fence that models like to put around JSON.
pub(super) fn unfenced(reply: &str) -> &str {
    let reply = reply.trim();
    let Some(inner) = reply
        .strip_prefix("```")
        .and_then(|r| r.strip_suffix("```"))
    else {
        return reply;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

/// `1234567.5` as documents write it: `1,234,567.5`, `1.234.567,5`, `1 234 567,5`, `1'234'567.5`.
pub(crate) fn grouped(plain: &str) -> Vec<String> {
    let (sign, digits) = plain
        .strip_prefix('-')
        .map_or(("", plain), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let write = |group: &str, point: &str| {
        let mut out = String::from(sign);
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                out.push_str(group);
            }
            out.push(digit);
        }
        if !fraction.is_empty() {
            out.push_str(point);
            out.push_str(fraction);
        }
        out
    };
    [(",", "."), (".", ","), (" ", ","), ("'", "."), ("", ",")]
        .into_iter()
        .map(|(group, point)| write(group, point))
        .collect()
}
