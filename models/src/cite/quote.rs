//! Finds a quote in a passage: the same words in the same order, whatever the line breaks.
//!
//! A document wraps its lines, hyphenates, and writes typographic quotes and dashes; a model writes one plain line.
//! Only these differences are forgiven. Case, wording and numbers are not: a quote with a word left out is no quote.

use std::ops::Range;

/// Punctuation that a writer may put inside the closing quotation mark without the source having it.
const CLOSING: [char; 6] = ['.', ',', ';', ':', '!', '?'];

/// A passage prepared for being searched.
pub(super) struct Searchable {
    /// With the hyphens of line ends kept, and with them taken out.
    readings: [Folded; 2],
}

/// Text with each run of white space as one space, and where each character stood.
struct Folded {
    chars: Vec<char>,
    /// Byte range of each character in the source.
    places: Vec<Range<usize>>,
}

impl Searchable {
    pub(super) fn new(text: &str) -> Self {
        Self {
            readings: [fold(text, false), fold(text, true)],
        }
    }

    /// The bytes of the passage that say `quote`.
    pub(super) fn find(&self, quote: &str) -> Option<Range<usize>> {
        let folded = fold(quote.trim(), false).chars;
        let bare = folded.len()
            - folded
                .iter()
                .rev()
                .take_while(|c| CLOSING.contains(c))
                .count();
        [&folded[..], &folded[..bare]]
            .into_iter()
            .filter(|wanted| wanted.iter().any(|c| c.is_alphanumeric()))
            .find_map(|wanted| {
                self.readings
                    .iter()
                    .find_map(|reading| reading.find(wanted))
            })
    }
}

impl Folded {
    /// The first place of whole words that reads `wanted`.
    fn find(&self, wanted: &[char]) -> Option<Range<usize>> {
        let is_word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
        let first = self
            .chars
            .windows(wanted.len())
            .enumerate()
            .position(|(at, window)| {
                window == wanted
                    && !(is_word(wanted.first()) && at > 0 && is_word(self.chars.get(at - 1)))
                    && !(is_word(wanted.last()) && is_word(self.chars.get(at + wanted.len())))
            })?;
        let last = first + wanted.len() - 1;
        Some(self.places[first].start..self.places[last].end)
    }
}

fn fold(text: &str, joins_lines: bool) -> Folded {
    let mut out = Folded {
        chars: Vec::with_capacity(text.len()),
        places: Vec::with_capacity(text.len()),
    };
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let mut end = at + c.len_utf8();
        if c == '\u{ad}' {
            continue;
        }
        if joins_lines && c == '-' && breaks_word(&text[end..]) {
            while rest.next_if(|(_, c)| c.is_whitespace()).is_some() {}
            continue;
        }
        if c.is_whitespace() {
            while let Some((at, c)) = rest.next_if(|(_, c)| c.is_whitespace()) {
                end = at + c.len_utf8();
            }
        }
        out.chars.push(plain(c));
        out.places.push(at..end);
    }
    out
}

/// Whether a hyphen before `after` stands at the end of a line, within a word.
fn breaks_word(after: &str) -> bool {
    let word = after.trim_start();
    after[..after.len() - word.len()].contains('\n') && word.starts_with(char::is_lowercase)
}

fn plain(c: char) -> char {
    match c {
        '’' | '‘' | 'ʼ' => '\'',
        '“' | '”' | '„' | '«' | '»' => '"',
        '‐' | '‑' | '–' | '—' | '−' => '-',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(passage: &'a str, quote: &str) -> Option<&'a str> {
        Searchable::new(passage)
            .find(quote)
            .map(|range| &passage[range])
    }

    #[test]
    fn layout_is_forgiven() {
        let passage = "The insur-\nance  of a long-\nterm tenant’s\nhome — paid.";
        assert_eq!(found(passage, "insurance of a"), Some("insur-\nance  of a"));
        assert_eq!(
            found(passage, "tenant's home - paid."),
            Some("tenant’s\nhome — paid.")
        );
        assert_eq!(
            found(passage, "a longterm tenant"),
            Some("a long-\nterm tenant")
        );
        assert_eq!(found(passage, "The insurance,"), Some("The insur-\nance"));
    }

    #[test]
    fn wording_is_not() {
        let passage = "The tenant must not keep 12 dogs.";
        for quote in [
            "The tenant must keep 12 dogs",
            "the tenant",
            "keep 1",
            "enant",
            "",
            "...",
            "The tenant must not keep 12 dogs. Ever.",
        ] {
            assert_eq!(found(passage, quote), None, "{quote}");
        }
    }
}
