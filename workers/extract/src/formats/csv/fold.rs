//! Texts as people compare them: without case, accents and the signs between words.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The words of `text` in lower case and without accents, between single spaces.
pub(crate) fn words(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut between = false;
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_alphanumeric() {
            if between && !out.is_empty() {
                out.push(' ');
            }
            between = false;
            out.extend(c.to_lowercase());
        } else {
            between = true;
        }
    }
    out
}

/// Whether the words of `cell` are those of `folded`, which [`words`] has made.
pub(crate) fn is_same(cell: &[u8], folded: &str) -> bool {
    if !cell.is_ascii() {
        return words(&String::from_utf8_lossy(cell)) == folded;
    }
    let mut expected = folded.bytes();
    let mut between = false;
    let mut begun = false;
    for byte in cell {
        if !byte.is_ascii_alphanumeric() {
            between = true;
            continue;
        }
        if between && begun && expected.next() != Some(b' ') {
            return false;
        }
        between = false;
        begun = true;
        if expected.next() != Some(byte.to_ascii_lowercase()) {
            return false;
        }
    }
    expected.next().is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn case_accents_and_signs_do_not_matter() {
        assert_eq!(words("  Côte d'Ivoire!"), "cote d ivoire");
        for cell in ["New York", "new-york", " NEW  YORK. "] {
            assert!(is_same(cell.as_bytes(), "new york"), "{cell}");
        }
        assert!(is_same("Réunion".as_bytes(), "reunion"));
        for cell in ["New", "New York City", "NewYork", ""] {
            assert!(!is_same(cell.as_bytes(), "new york"), "{cell}");
        }
    }

    proptest! {
        #[test]
        fn the_short_way_for_ascii_agrees(cell in "[a-cA-C ,.-]{0,12}", other in "[a-cA-C ,.-]{0,12}") {
            let folded = words(&other);
            prop_assert_eq!(is_same(cell.as_bytes(), &folded), words(&cell) == folded);
        }
    }
}
