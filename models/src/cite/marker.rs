//! The grammar of citation markers, read generously and compared strictly.
//!
//! Models write `[p. 3]`, `[P.3]`, `[page 3]`, `[pp. 3-5]`, `[p. 3, p. 7]`, `[row 12]`, `[Sheet1!B4]`. Each reference
//! becomes a key that is compared with the keys of the passages shown; what does not look like a reference at all
//! (`[1]`, `[sic]`) is no marker and none of our business.

/// Longest text between the brackets of a marker, in characters. Sheet names have at most 31.
const MAX_INNER: usize = 96;
/// Pages that one range such as `[pp. 3-5]` may name; more is no citation.
const MAX_RANGE: u64 = 16;

/// What stands at an opening bracket.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Bracket {
    /// More text is needed to tell.
    Open,
    /// No marker.
    Plain,
    /// References; the text up to this byte belongs to them.
    Marker { end: usize, keys: Vec<String> },
    /// A marker that is never closed; the text up to this byte belongs to it.
    Broken { end: usize },
}

/// Reads `text`, which begins with `[`. `complete` says that no more text comes; `known` tells which keys were shown.
pub(super) fn read(text: &str, complete: bool, known: impl Fn(&str) -> bool) -> Bracket {
    let body = &text[1..];
    for (count, (at, c)) in body.char_indices().enumerate() {
        if c == ']' {
            return match keys(&body[..at], known) {
                Some(keys) => Bracket::Marker { end: at + 2, keys },
                None => Bracket::Plain,
            };
        }
        if breaks(c) || count >= MAX_INNER {
            return unclosed(body, at, known);
        }
    }
    if complete {
        unclosed(body, body.len(), known)
    } else {
        Bracket::Open
    }
}

/// Whether a character ends what may be a marker that so far has `inner` between its brackets.
pub(super) fn ends(inner: &str, c: char) -> bool {
    c == ']' || breaks(c) || inner.chars().count() >= MAX_INNER
}

fn breaks(c: char) -> bool {
    matches!(c, '[' | '\n')
}

fn unclosed(body: &str, at: usize, known: impl Fn(&str) -> bool) -> Bracket {
    match keys(&body[..at], known) {
        Some(_) => Bracket::Broken { end: at + 1 },
        None => Bracket::Plain,
    }
}

/// The key of a marker that a locator writes.
pub(super) fn key_of(marker: &str) -> String {
    let inner = marker.trim_start_matches('[').trim_end_matches(']');
    let mut unit = None;
    match reference(inner, &mut unit) {
        Some(mut keys) if keys.len() == 1 => keys.remove(0),
        _ => squeeze(inner),
    }
}

/// The references between two brackets; none when this is no marker.
fn keys(inner: &str, known: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let whole = squeeze(inner);
    if known(&whole) || is_cell(inner) {
        return Some(vec![whole]);
    }
    let mut unit = None;
    let mut out = Vec::new();
    for part in inner.split([',', ';', '&']).flat_map(|p| p.split(" and ")) {
        out.extend(reference(part, &mut unit)?);
    }
    (!out.is_empty()).then_some(out)
}

/// What a reference counts.
#[derive(Clone, Copy)]
enum Unit {
    Page,
    Row,
}

/// `p. 3`, `rows 4-6`, `image`; the unit is inherited in `p. 3, 5`.
fn reference(part: &str, unit: &mut Option<Unit>) -> Option<Vec<String>> {
    let part = part.trim().to_lowercase();
    if part == "image" {
        return Some(vec![part]);
    }
    let digits = part.find(|c: char| c.is_ascii_digit())?;
    let (word, number) = part.split_at(digits);
    match word.trim().trim_end_matches('.') {
        "p" | "pp" | "pg" | "page" | "pages" | "seite" => *unit = Some(Unit::Page),
        "row" | "rows" | "zeile" => *unit = Some(Unit::Row),
        "" if unit.is_some() => {}
        _ => return None,
    }
    let prefix = match (*unit)? {
        Unit::Page => "p",
        Unit::Row => "row",
    };
    let (first, last) = range(number)?;
    let last = last.min(first.saturating_add(MAX_RANGE));
    Some((first..=last).map(|n| format!("{prefix}{n}")).collect())
}

/// `3` or `3-5`.
fn range(text: &str) -> Option<(u64, u64)> {
    let mut ends = text.split(['-', '–', '—']).map(str::trim);
    let first = ends.next()?.parse().ok()?;
    let last = match ends.next() {
        Some(last) => last.parse().ok()?,
        None => first,
    };
    (ends.next().is_none() && last >= first).then_some((first, last))
}

/// Whether a reference names a cell of a sheet: `Sheet1!B4` or `'My sheet'!$B$4`.
fn is_cell(inner: &str) -> bool {
    let Some((sheet, cell)) = inner.rsplit_once('!') else {
        return false;
    };
    let cell = cell.trim().replace('$', "");
    let letters = cell.bytes().take_while(u8::is_ascii_alphabetic).count();
    let digits = &cell[letters..];
    !sheet.trim().is_empty()
        && (1..=3).contains(&letters)
        && (1..=7).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Lower case, without spaces, stops, quotes and dollar signs.
fn squeeze(inner: &str) -> String {
    inner
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '.' | '\'' | '$'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(text: &str) -> Option<Vec<String>> {
        match read(text, true, |key| key == "totals,2024!b4") {
            Bracket::Marker { keys, .. } => Some(keys),
            _ => None,
        }
    }

    #[test]
    fn the_ways_to_write_a_reference_agree() {
        for text in ["[p. 3]", "[P.3]", "[page 3]", "[ p 03 ]", "[pages 3-3]"] {
            assert_eq!(marker(text), Some(vec!["p3".to_owned()]), "{text}");
        }
        assert_eq!(marker("[pp. 3-5]").unwrap(), ["p3", "p4", "p5"]);
        assert_eq!(marker("[p. 3, 5; p. 9]").unwrap(), ["p3", "p5", "p9"]);
        assert_eq!(marker("[rows 1 and 2]").unwrap(), ["row1", "row2"]);
        assert_eq!(marker("['My Sheet'!$B$4]").unwrap(), ["mysheet!b4"]);
        assert_eq!(marker("[Totals, 2024!B4]").unwrap(), ["totals,2024!b4"]);
        assert_eq!(marker("[image]").unwrap(), ["image"]);
        assert_eq!(key_of("[p. 12]"), "p12");
        assert_eq!(key_of("[row 7]"), "row7");
        assert_eq!(key_of("[Sheet1!B4]"), "sheet1!b4");
    }

    #[test]
    fn other_brackets_are_left_alone() {
        for text in [
            "[1]",
            "[sic]",
            "[see p. 3]",
            "[a!b]",
            "[]",
            "[p. x]",
            "[5-3]",
        ] {
            assert_eq!(read(text, true, |_| false), Bracket::Plain, "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_citation() {
        assert_eq!(read("[p. 1", false, |_| false), Bracket::Open);
        assert_eq!(read("[p. 1", true, |_| false), Bracket::Broken { end: 5 });
        assert_eq!(
            read("[p. 1[p. 2]", true, |_| false),
            Bracket::Broken { end: 5 }
        );
        assert_eq!(read("[p. 1-99999999]", true, |_| false), {
            let keys = (1..=1 + MAX_RANGE).map(|n| format!("p{n}")).collect();
            Bracket::Marker { end: 15, keys }
        });
    }
}
