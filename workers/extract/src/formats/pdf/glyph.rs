//! One drawn character and its Unicode text.
//!
//! The text of a glyph is what the file's tables say, cleaned: ligatures and presentation forms are taken apart, control characters
//! become the replacement character. Nothing here knows where the glyph stands.

use unicode_normalization::UnicodeNormalization;

use super::geometry::Angle;

/// A glyph on the page.
#[derive(Clone, Debug)]
pub(super) struct Glyph {
    /// What it says; empty for a glyph whose text is told by a neighbour.
    pub(super) text: GlyphText,
    /// Start of its baseline, origin at the top left of the page, points.
    pub(super) x: f32,
    pub(super) y: f32,
    /// How far it moves along the baseline.
    pub(super) advance: f32,
    /// Font size in points as it appears on the page.
    pub(super) size: f32,
    /// Direction of its baseline.
    pub(super) angle: Angle,
    /// The code that selected it from its font.
    pub(super) code: u32,
}

/// The text of a glyph: nearly always one character.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum GlyphText {
    /// One character.
    One(char),
    /// None or several.
    Other(Box<str>),
}

impl GlyphText {
    /// A glyph whose text is not known.
    pub(super) const UNKNOWN: Self = Self::One(char::REPLACEMENT_CHARACTER);

    /// The cleaned form of what a font says a glyph means.
    pub(super) fn clean(text: &str) -> Self {
        let mut clean = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\t' | '\n' | '\r' => clean.push(' '),
                _ if is_presentation_form(c) => {
                    clean.extend(std::iter::once(c).nfkc().filter(|c| *c != ' '));
                }
                _ if is_ignorable(c) => {}
                _ if c.is_control() => clean.push(char::REPLACEMENT_CHARACTER),
                _ => clean.push(c),
            }
        }
        Self::plain(&clean)
    }

    /// `text` as it is.
    pub(super) fn plain(text: &str) -> Self {
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(only), None) => Self::One(only),
            _ => Self::Other(text.into()),
        }
    }

    /// Whether it is a space of any kind.
    pub(super) fn is_space(&self) -> bool {
        match self {
            Self::One(c) => c.is_whitespace(),
            Self::Other(text) => !text.is_empty() && text.chars().all(char::is_whitespace),
        }
    }

    /// The one character it is.
    pub(super) fn single(&self) -> Option<char> {
        match self {
            Self::One(c) => Some(*c),
            Self::Other(_) => None,
        }
    }

    /// Appends it to `out`.
    pub(super) fn push_to(&self, out: &mut String) {
        match self {
            Self::One(c) => out.push(*c),
            Self::Other(text) => out.push_str(text),
        }
    }
}

/// Latin ligatures and the positional forms of Arabic and Hebrew letters: shapes, not letters.
fn is_presentation_form(c: char) -> bool {
    matches!(c, '\u{FB00}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFC}')
}

/// Characters that carry no text: byte order mark, zero-width space, directional marks.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{FEFF}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        let mut out = String::new();
        GlyphText::clean(text).push_to(&mut out);
        out
    }

    #[test]
    fn ligatures_are_taken_apart() {
        assert_eq!(clean("\u{FB01}"), "fi");
        assert_eq!(clean("\u{FB03}"), "ffi");
        assert_eq!(clean("\u{FEFB}"), "\u{644}\u{627}", "lam with alef");
        assert_eq!(clean("\u{FE91}"), "\u{628}", "initial beh");
    }

    #[test]
    fn control_characters_count_as_unknown_and_marks_vanish() {
        assert_eq!(clean("\u{7}"), "\u{FFFD}");
        assert_eq!(clean("a\u{200E}"), "a");
        assert_eq!(clean("\0"), "");
        assert!(GlyphText::clean("\t").is_space());
    }
}
