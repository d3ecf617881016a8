//! The places of the words of a line.
//!
//! A line's text is in reading order, its words are in the order in which they stand. In most lines that is the same; in lines with
//! right-to-left text a word is found again by its characters.

use super::geometry::Rect;
use crate::structure::WordBox;

/// A word as it stands on the page.
#[derive(Clone, Debug)]
pub(super) struct PlacedWord {
    /// Its characters from left to right.
    pub(super) text: String,
    /// Its place on the page.
    pub(super) bbox: Rect,
}

/// The places of the words of `text`, whose first character is number `start` of the page. Empty when they cannot be told.
pub(super) fn word_boxes(text: &str, start: u32, words: &[PlacedWord]) -> Vec<WordBox> {
    let mut waiting: Vec<Option<&PlacedWord>> = words.iter().map(Some).collect();
    let mut boxes = Vec::with_capacity(words.len());
    let mut at = start;
    for (index, token) in text.split(' ').enumerate() {
        let end = at + token.chars().count() as u32;
        if let Some(word) = take(&mut waiting, index, token) {
            let Rect { x0, y0, x1, y1 } = word.bbox;
            boxes.push(WordBox {
                start: at,
                end,
                bbox: [x0, y0, x1, y1],
            });
        }
        at = end + 1;
    }
    boxes
}

/// The word that says `token`: the one in its turn, else the first that was not taken yet.
fn take<'w>(
    waiting: &mut [Option<&'w PlacedWord>],
    index: usize,
    token: &str,
) -> Option<&'w PlacedWord> {
    /// The last word of a line may have lost its hyphen, the number of an item may have been set apart.
    fn begins(word: &PlacedWord, token: &str) -> bool {
        word.text.starts_with(token) && !token.is_empty()
    }
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    if let Some(slot) = waiting.get_mut(index)
        && slot.is_some_and(|word| begins(word, token))
    {
        return slot.take();
    }
    let wanted = letters(token);
    let found = waiting.iter_mut().find(|slot| {
        slot.is_some_and(|word| word.text.len() == token.len() && letters(&word.text) == wanted)
    })?;
    found.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(words: &[&str]) -> Vec<PlacedWord> {
        let word = |(index, text): (usize, &&str)| PlacedWord {
            text: (*text).to_owned(),
            bbox: Rect {
                x0: index as f32,
                y0: 0.0,
                x1: index as f32 + 1.0,
                y1: 1.0,
            },
        };
        words.iter().enumerate().map(word).collect()
    }

    fn starts(text: &str, words: &[&str]) -> Vec<(u32, u32, u32)> {
        word_boxes(text, 10, &placed(words))
            .iter()
            .map(|word| (word.start, word.end, word.bbox[0] as u32))
            .collect()
    }

    #[test]
    fn words_of_a_line_have_their_characters_and_their_place() {
        assert_eq!(
            starts("größe zwei", &["größe", "zwei"]),
            [(10, 15, 0), (16, 20, 1)]
        );
        assert_eq!(
            starts("the exam", &["the", "exam-"]),
            [(10, 13, 0), (14, 18, 1)]
        );
    }

    #[test]
    fn words_that_are_read_from_the_right_are_found() {
        assert_eq!(
            starts(
                "\u{5D0}\u{5D1} \u{5D2}\u{5D3}",
                &["\u{5D3}\u{5D2}", "\u{5D1}\u{5D0}"]
            ),
            [(10, 12, 1), (13, 15, 0)]
        );
    }

    #[test]
    fn what_is_not_found_has_no_place() {
        assert_eq!(starts("one two", &["one"]), [(10, 13, 0)]);
        assert_eq!(starts("", &[]), []);
    }
}
