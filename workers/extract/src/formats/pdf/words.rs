//! From a row of glyphs to words: where a gap is a space.
//!
//! Many files have no space characters, many have too many, some stretch the letters of a word apart. A gap is a space when it is
//! wide for the font size and wide for the row. Accents drawn on top of letters are put together with them, letters drawn twice to
//! look bold are taken once. The text of a word is in visual order, from left to right; [`super::bidi`] turns it around.

use super::clusters::{Cluster, clusters};
use super::rows::Row;
use super::tables::TableRow;

/// A word of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    /// The characters from left to right.
    pub(super) text: String,
    /// Left end.
    pub(super) u0: f32,
    /// Right end.
    pub(super) u1: f32,
    /// Baseline.
    pub(super) v: f32,
    /// Font size.
    pub(super) size: f32,
    /// Set when it stands for a row of a table.
    pub(super) table: Option<Box<TableRow>>,
}

impl Word {
    /// The words that it consists of: itself, or those of a row of a table.
    pub(super) fn parts(&self) -> &[Self] {
        match &self.table {
            Some(row) => &row.words,
            None => std::slice::from_ref(self),
        }
    }
}

/// Splits a row into words.
pub(super) fn words(row: &Row<'_>) -> Vec<Word> {
    let marks = clusters(row);
    let gap = SpaceGap::of(&marks);
    let mut words: Vec<Word> = Vec::new();
    let mut previous: Option<&Cluster> = None;
    for cluster in &marks {
        let starts_word = previous.is_none_or(|previous| gap.is_space(previous, cluster));
        match words.last_mut() {
            Some(word) if !starts_word => {
                word.text.push_str(&cluster.text);
                word.u0 = word.u0.min(cluster.u0);
                word.u1 = word.u1.max(cluster.u1);
                word.size = word.size.max(cluster.size);
            }
            _ => words.push(Word {
                text: cluster.text.clone(),
                u0: cluster.u0,
                u1: cluster.u1,
                v: row.v,
                size: cluster.size,
                table: None,
            }),
        }
        previous = Some(cluster);
    }
    words
}

/// How wide a gap of this row must be to be a space, as a share of the font size.
#[derive(Clone, Copy, Debug)]
struct SpaceGap {
    share: f32,
}

impl SpaceGap {
    /// Less than the narrowest word space that typesetters make (TeX shrinks to 0.22), more than any kerning.
    const PLAIN: f32 = 0.16;
    /// In a row with space characters a gap without one is rarely a space.
    const WITH_SPACES: f32 = 0.2;

    fn of(clusters: &[Cluster]) -> Self {
        let spaces = clusters
            .iter()
            .filter(|cluster| cluster.after_space)
            .count();
        let plain = if spaces * 12 >= clusters.len() && spaces > 0 {
            Self::WITH_SPACES
        } else {
            Self::PLAIN
        };
        Self {
            share: plain.max(letter_spacing(clusters) + Self::PLAIN),
        }
    }

    fn is_space(self, before: &Cluster, after: &Cluster) -> bool {
        let size = before.size.min(after.size);
        let gap = (after.u0 - before.u1) / size;
        if after.after_space {
            // A space character that the next letter is drawn over is a leftover of the writer.
            return gap > 0.02;
        }
        let joins = |text: &str| text.chars().next().is_some_and(is_written_without_spaces);
        let needed = if joins(&before.text) && joins(&after.text) {
            self.share.max(0.8)
        } else {
            self.share
        };
        gap > needed
    }
}

/// The gap that most letters of the row have between them, as a share of the font size: above zero for letter-spaced text.
fn letter_spacing(clusters: &[Cluster]) -> f32 {
    /// Wider gaps are not between the letters of a word, however spaced.
    const WIDEST: f32 = 0.6;
    /// Fewer gaps than this say nothing.
    const LEAST_GAPS: usize = 5;
    // The dots that lead to a page number are spaced out on purpose.
    let is_letter = |cluster: &Cluster| cluster.text.chars().all(char::is_alphanumeric);
    let mut gaps: Vec<f32> = clusters
        .windows(2)
        .filter(|pair| !pair[1].after_space && pair.iter().all(is_letter))
        .map(|pair| (pair[1].u0 - pair[0].u1) / pair[0].size.min(pair[1].size))
        .filter(|gap| *gap < WIDEST)
        .collect();
    if gaps.len() < LEAST_GAPS {
        return 0.0;
    }
    // The lower third: even a row of short words has more letters than spaces.
    let third = gaps.len() / 3;
    let (_, spacing, _) = gaps.select_nth_unstable_by(third, f32::total_cmp);
    spacing.max(0.0)
}

/// Chinese characters and kana stand in no words: wide gaps between them are justification.
pub(crate) fn is_written_without_spaces(c: char) -> bool {
    matches!(c, '\u{2E80}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
}

#[cfg(test)]
mod tests {
    use super::super::glyph::Glyph;
    use super::super::rows::rows;
    use super::super::testing::{glyph, line, place};
    use super::*;

    fn joined(glyphs: &[Glyph]) -> String {
        let rows = rows(&place(glyphs));
        assert_eq!(rows.len(), 1, "one row is meant");
        words(&rows[0])
            .into_iter()
            .map(|word| word.text)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn gaps_without_space_characters_are_spaces() {
        assert_eq!(
            joined(&line("open the gate", 50.0, 100.0, 10.0)),
            "open the gate"
        );
    }

    #[test]
    fn letter_spaced_words_stay_whole() {
        let mut glyphs = Vec::new();
        let mut x = 50.0;
        for c in "ANNUAL REPORT".chars() {
            if c == ' ' {
                x += 5.0;
                continue;
            }
            glyphs.push(glyph(c.encode_utf8(&mut [0; 4]), x, 100.0, 10.0));
            x += 5.0 + 2.5;
        }
        assert_eq!(joined(&glyphs), "ANNUAL REPORT");
    }

    #[test]
    fn dots_that_lead_to_a_number_are_no_part_of_the_words_beside_them() {
        assert_eq!(
            joined(&line("Notes . . . . . . . . . 4", 50.0, 100.0, 10.0)),
            "Notes . . . . . . . . . 4"
        );
    }

    #[test]
    fn ticks_of_an_axis_are_words_of_their_own() {
        let glyphs: Vec<Glyph> = (0..6)
            .map(|n| glyph(&n.to_string(), 50.0 + 40.0 * n as f32, 100.0, 8.0))
            .collect();
        assert_eq!(joined(&glyphs), "0 1 2 3 4 5");
    }

    #[test]
    fn chinese_characters_are_not_torn_apart_by_justification() {
        let glyphs = [
            glyph("人", 50.0, 100.0, 10.0),
            glyph("人", 58.0, 100.0, 10.0),
            glyph("生", 66.0, 100.0, 10.0),
        ];
        assert_eq!(joined(&glyphs), "人人生");
    }
}
