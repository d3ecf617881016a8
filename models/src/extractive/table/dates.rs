//! Dates in prompts: `2024-03-15`, `15/03/2024`, `15 March 2024`, `March 2024`, `2024`.
//!
//! A date is a span from its first day to its last moment, so that `after March 2024` and `in 2024` need no cases of their own.

use std::fmt::Write as _;

use crate::extractive::prompt::Prompt;

/// Years that are taken for one where nothing else says so.
pub(super) const YEARS: std::ops::Range<u32> = 1500..2200;

const MONTHS: [&str; 12] = [
    "january januar janvier enero jan",
    "february februar fevrier febrero feb",
    "march marz mars marzo mar",
    "april avril abril apr",
    "may mai mayo",
    "june juni juin junio jun",
    "july juli juillet julio jul",
    "august aout agosto aug",
    "september septembre septiembre sep sept",
    "october oktober octobre octubre oct okt",
    "november novembre noviembre nov",
    "december dezember decembre diciembre dec dez",
];

/// A day, a month or a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    year: u32,
    month: Option<u32>,
    day: Option<u32>,
}

impl Span {
    /// A whole year.
    pub(super) fn year(year: u32) -> Self {
        Self {
            year,
            month: None,
            day: None,
        }
    }

    /// The date that begins at word `at` of a prompt, and how many words it takes.
    pub(super) fn at(prompt: &Prompt, at: usize) -> Option<(Self, usize)> {
        let word = |ahead: usize| prompt.words().get(at + ahead).map(String::as_str);
        let number = |ahead: usize| word(ahead).and_then(number);
        let year = |ahead: usize| {
            number(ahead)
                .filter(|year| word(ahead).is_some_and(|w| w.len() == 4) && YEARS.contains(year))
        };
        let month = |ahead: usize| word(ahead).and_then(month);
        let digits = |ahead: usize| number(ahead).filter(|number| *number <= 31);
        let dated = |year, month, day| Self::new(year, month, Some(day));
        // The year first, as ISO 8601 has it.
        if let Some(year) = year(0) {
            let full = digits(1)
                .zip(digits(2))
                .and_then(|(m, d)| dated(year, m, d));
            let monthly = || digits(1).and_then(|m| Self::new(year, m, None));
            return full
                .map(|span| (span, 3))
                .or_else(|| monthly().map(|span| (span, 2)))
                .or(Some((Self::year(year), 1)));
        }
        if let Some(named) = month(0) {
            let day_first = digits(1).zip(year(2)).and_then(|(d, y)| dated(y, named, d));
            let monthly = || year(1).and_then(|y| Self::new(y, named, None));
            return day_first
                .map(|span| (span, 3))
                .or_else(|| monthly().map(|span| (span, 2)));
        }
        let (first, year) = (digits(0)?, year(2)?);
        if let Some(named) = month(1) {
            return dated(year, named, first).map(|span| (span, 3));
        }
        let second = digits(1)?;
        // The day comes first unless that is impossible.
        let span = dated(year, second, first).or_else(|| dated(year, first, second));
        span.map(|span| (span, 3))
    }

    fn new(year: u32, month: u32, day: Option<u32>) -> Option<Self> {
        let fits = (1..=12).contains(&month) && day.is_none_or(|day| (1..=31).contains(&day));
        fits.then_some(Self {
            year,
            month: Some(month),
            day,
        })
    }

    /// Whether it is a whole year.
    pub(super) fn is_year(self) -> bool {
        self.month.is_none()
    }

    /// Its first day.
    pub(super) fn first_day(self) -> String {
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        format!("{:04}-{month:02}-{day:02}", self.year)
    }

    /// Its last second. Any month ends with a 31st here: nothing of the month is behind it, and everything of the next is.
    pub(super) fn last_moment(self) -> String {
        let (month, day) = (self.month.unwrap_or(12), self.day.unwrap_or(31));
        format!("{:04}-{month:02}-{day:02} 23:59:59", self.year)
    }

    /// How a day of ISO 8601 lies to the span.
    pub(super) fn compare(self, day: &str) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        if day < self.first_day().as_str() {
            Ordering::Less
        } else if day > &self.last_moment()[..day.len().min(10)] {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    }

    /// As a reader writes it, and as ISO dates within it begin: `2024`, `2024-03`, `2024-03-15`.
    pub(super) fn shown(self) -> String {
        let mut text = format!("{:04}", self.year);
        for part in [self.month, self.day].into_iter().flatten() {
            // Writing to a string cannot fail.
            let _ = write!(text, "-{part:02}");
        }
        text
    }
}

fn number(word: &str) -> Option<u32> {
    let digits = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let suffix = &word[digits.len()..];
    matches!(suffix, "" | "st" | "nd" | "rd" | "th")
        .then(|| digits.parse().ok())
        .flatten()
}

fn month(word: &str) -> Option<u32> {
    let is_named = |names: &&str| names.split(' ').any(|name| name == word);
    MONTHS.iter().position(is_named).map(|at| at as u32 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_people_write_them() {
        for (text, shown, words) in [
            ("2024-03-15", "2024-03-15", 3),
            ("15/03/2024", "2024-03-15", 3),
            ("03/15/2024", "2024-03-15", 3),
            ("15 March 2024", "2024-03-15", 3),
            ("March 15th, 2024", "2024-03-15", 3),
            ("March 2024", "2024-03", 2),
            ("2024-03", "2024-03", 2),
            ("2024 orders", "2024", 1),
        ] {
            let (span, taken) = Span::at(&Prompt::new(text), 0).unwrap();
            assert_eq!((span.shown().as_str(), taken), (shown, words), "{text}");
        }
        for text in ["March", "15", "1200", "may I", "31 12"] {
            assert_eq!(Span::at(&Prompt::new(text), 0), None, "{text}");
        }
    }

    #[test]
    fn spans_hold_all_of_their_days() {
        for (text, first, last) in [
            ("2024", "2024-01-01", "2024-12-31 23:59:59"),
            ("2024-02", "2024-02-01", "2024-02-31 23:59:59"),
            ("2024-02-28", "2024-02-28", "2024-02-28 23:59:59"),
        ] {
            let (span, _) = Span::at(&Prompt::new(text), 0).unwrap();
            assert_eq!(
                (span.first_day().as_str(), span.last_moment().as_str()),
                (first, last)
            );
        }
    }
}
