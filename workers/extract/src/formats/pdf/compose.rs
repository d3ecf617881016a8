//! From ordered lines to the text of a page, with the place of every line.
//!
//! Lines end with a newline, paragraphs with an empty line. A word that was divided at the end of a line is put together when that
//! is safe. Text is in reading order: right-to-left lines are turned around here.

use std::collections::HashSet;

use super::bidi::{is_mostly_right_to_left, to_logical};
use super::geometry::{Frame, Rect};
use super::order::{Block, Line as Words, median_pitch};
use super::word_boxes::{PlacedWord, word_boxes};
use super::words::{Word, is_written_without_spaces};
use crate::document::Line;
use crate::structure::{PageTable, WordBox};

/// The text of a page and where its lines stand.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PageText {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    /// Empty unless the places of words are wanted.
    pub(super) words: Vec<WordBox>,
    pub(super) tables: Vec<PageTable>,
}

/// A line with what the joining of lines needs to know.
pub(super) struct ReadLine {
    text: String,
    bbox: Rect,
    /// What stands between this line and the one before it.
    lead: Lead,
    /// The table that it is a row of.
    table: Option<usize>,
    /// Its words; empty unless their places are wanted.
    words: Vec<PlacedWord>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lead {
    Paragraph,
    Line,
}

/// The lines of `blocks`, whose places are in `frame`, on a page of `size` points. With `word_boxes` each of them brings its words.
pub(super) fn read_lines(
    blocks: &[Block],
    frame: Frame,
    size: (f32, f32),
    word_boxes: bool,
) -> Vec<ReadLine> {
    let mut lines = Vec::new();
    for block in blocks {
        let pitch = median_pitch(block);
        for (index, words) in block.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &block[before]);
            let lead = if before.is_some_and(|before| !starts_paragraph(before, words, pitch)) {
                Lead::Line
            } else {
                Lead::Paragraph
            };
            let placed = if word_boxes {
                placed_words(words, frame, size)
            } else {
                Vec::new()
            };
            lines.push(ReadLine {
                text: spaced_list_number(reading_text(words)),
                bbox: place(bounds(words), frame, size),
                lead,
                table: table_of(words),
                words: placed,
            });
        }
    }
    lines
}

fn place(rect: Rect, frame: Frame, (width, height): (f32, f32)) -> Rect {
    frame.rect_out(rect).clamp_to(width, height)
}

fn placed_words(words: &[Word], frame: Frame, size: (f32, f32)) -> Vec<PlacedWord> {
    let placed = |word: &Word| PlacedWord {
        text: word.text.clone(),
        bbox: place(bounds(std::slice::from_ref(word)), frame, size),
    };
    words.iter().flat_map(Word::parts).map(placed).collect()
}

/// The table that a line is a row of, when it is nothing else.
fn table_of(words: &[Word]) -> Option<usize> {
    match words {
        [
            Word {
                table: Some(row), ..
            },
        ] => Some(row.table),
        _ => None,
    }
}

/// The words of a line in reading order: those of a right-to-left line turned around, cell by cell if it is a row of a table.
pub(super) fn reading_text(words: &Words) -> String {
    /// White space between cells, as a share of the font size.
    const CELL_GAP: f32 = 1.0;
    if let [
        Word {
            table: Some(_),
            text,
            ..
        },
    ] = &words[..]
    {
        return text.clone();
    }
    let visual = joined(words);
    if !is_mostly_right_to_left(&visual) {
        return to_logical(&visual);
    }
    let cells = words.chunk_by(|a, b| b.u0 - a.u1 < CELL_GAP * a.size.min(b.size));
    let read: Vec<String> = cells.rev().map(|cell| to_logical(&joined(cell))).collect();
    read.join(" ")
}

fn joined(words: &[Word]) -> String {
    words
        .iter()
        .map(|word| word.text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// `12.Text` is an item of a list whose number leaves no room for a gap.
fn spaced_list_number(mut line: String) -> String {
    /// Longer numbers are not those of a list.
    const MOST_DIGITS: usize = 3;
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = line[digits..].chars();
    let is_item = (1..=MOST_DIGITS).contains(&digits)
        && rest.next() == Some('.')
        && rest.next().is_some_and(char::is_uppercase)
        && rest.next().is_some_and(char::is_lowercase);
    if is_item {
        line.insert(digits + 1, ' ');
    }
    line
}

fn starts_paragraph(before: &Words, line: &Words, pitch: f32) -> bool {
    if table_of(before).is_some() || table_of(line).is_some() {
        return table_of(before) != table_of(line);
    }
    starts_paragraph_of_text(before, line, pitch)
}

fn starts_paragraph_of_text(before: &Words, line: &Words, pitch: f32) -> bool {
    /// Lines further apart than this many line distances belong to different paragraphs.
    const APART: f32 = 1.35;
    /// Lines whose font sizes differ more than this are heading and text.
    const SIZE_CHANGE: f32 = 1.2;
    let size = |words: &Words| words.iter().map(|word| word.size).fold(0.0, f32::max);
    let (before_size, line_size) = (size(before), size(line));
    let distance = line[0].v - before[0].v;
    let apart = distance > APART * pitch && distance > APART * before_size.min(line_size);
    apart || before_size > SIZE_CHANGE * line_size || line_size > SIZE_CHANGE * before_size
}

fn bounds(words: &[Word]) -> Rect {
    /// Shares of the font size above and below the baseline; fonts give their own, but rarely true, values.
    const ASCENT: f32 = 0.8;
    const DESCENT: f32 = 0.22;
    let of = |word: &Word| Rect {
        x0: word.u0,
        y0: word.v - ASCENT * word.size,
        x1: word.u1,
        y1: word.v + DESCENT * word.size,
    };
    let places = words.iter().flat_map(Word::parts).map(of);
    places.reduce(Rect::union).unwrap_or_else(|| of(&words[0]))
}

/// The lines of a cell as one.
pub(super) fn joined_lines(lines: &[String]) -> String {
    let nothing = HashSet::new();
    let mut joined = String::new();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1);
        let divided = next.and_then(|next| first_half(line, next, &nothing));
        joined.extend(
            divided
                .unwrap_or(line)
                .chars()
                .filter(|c| *c != SOFT_HYPHEN),
        );
        let is_dense = |c: Option<char>| c.is_some_and(is_written_without_spaces);
        let is_tight =
            |next: &String| is_dense(line.chars().next_back()) && is_dense(next.chars().next());
        if divided.is_none() && next.is_some_and(|next| !is_tight(next)) {
            joined.push(' ');
        }
    }
    joined
}

/// Joins lines into the text of a page that holds `tables`.
pub(super) fn compose(lines: &[ReadLine], tables: Vec<PageTable>) -> PageText {
    let vocabulary = vocabulary(lines.iter().map(|line| line.text.as_str()));
    let mut page = PageText {
        tables,
        ..PageText::default()
    };
    let mut characters = 0;
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1).filter(|next| next.lead == Lead::Line);
        let divided = next.and_then(|next| first_half(&line.text, &next.text, &vocabulary));
        let text: String = divided
            .unwrap_or(&line.text)
            .chars()
            .filter(|c| *c != SOFT_HYPHEN)
            .collect();
        let start = characters;
        characters += text.chars().count() as u32;
        page.text.push_str(&text);
        page.words.extend(word_boxes(&text, start, &line.words));
        if let Some(table) = line.table.and_then(|table| page.tables.get_mut(table)) {
            // Its rows follow each other; the first one finds it without an end.
            table.start = if table.end == 0 { start } else { table.start };
            table.end = characters;
        }
        let Rect { x0, y0, x1, y1 } = line.bbox;
        page.lines
            .push(Line::new(start, characters, [x0, y0, x1, y1]));
        let separator = match lines.get(index + 1).map(|next| next.lead) {
            _ if divided.is_some() => "",
            Some(Lead::Paragraph) => "\n\n",
            Some(Lead::Line) => "\n",
            None => "",
        };
        page.text.push_str(separator);
        characters += separator.len() as u32;
    }
    page
}

/// The text of another engine with its divided words put together.
pub(super) fn rejoined(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let vocabulary = vocabulary(lines.iter().copied());
    let mut joined = String::with_capacity(text.len());
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1);
        let divided = next.and_then(|next| first_half(line, next, &vocabulary));
        joined.extend(
            divided
                .unwrap_or(line)
                .chars()
                .filter(|c| *c != SOFT_HYPHEN),
        );
        if next.is_some() && divided.is_none() {
            joined.push('\n');
        }
    }
    joined
}

const SOFT_HYPHEN: char = '\u{AD}';

/// Words of the page that stand undivided, in lower case.
fn vocabulary<'l>(lines: impl Iterator<Item = &'l str>) -> HashSet<String> {
    let mut words = HashSet::new();
    let mut after_hyphen = false;
    for line in lines {
        let all = line
            .split(|c: char| !c.is_alphabetic() && c != '-')
            .skip(usize::from(after_hyphen));
        words.extend(
            all.filter(|word| !word.is_empty() && !word.ends_with('-'))
                .map(str::to_lowercase),
        );
        after_hyphen = line.ends_with(['-', '\u{2010}', SOFT_HYPHEN]);
    }
    words
}

/// `line` without its hyphen, when that hyphen only divides a word that goes on in `next`.
fn first_half<'l>(line: &'l str, next: &str, vocabulary: &HashSet<String>) -> Option<&'l str> {
    /// Shorter pieces are rarely half a word and often a prefix that keeps its hyphen.
    const LEAST_LETTERS: usize = 2;
    if let Some(half) = line.strip_suffix(SOFT_HYPHEN) {
        return Some(half);
    }
    let half = line.strip_suffix(['-', '\u{2010}'])?;
    let start = half.rfind(|c: char| !c.is_alphabetic()).map_or(0, |at| {
        at + half[at..].chars().next().map_or(1, char::len_utf8)
    });
    let before = &half[start..];
    let after: String = next.chars().take_while(|c| c.is_alphabetic()).collect();
    let is_compound =
        half[..start].ends_with(['-', '\u{2010}', '/']) || next[after.len()..].starts_with('-');
    let starts_lower = after.chars().next().is_some_and(char::is_lowercase);
    let ends_lower = before.chars().next_back().is_some_and(char::is_lowercase);
    let long_enough =
        before.chars().count() >= LEAST_LETTERS && after.chars().count() >= LEAST_LETTERS;
    if is_compound || !starts_lower || !ends_lower || !long_enough {
        return None;
    }
    let knows = |word: &str| vocabulary.contains(&word.to_lowercase());
    let joined = format!("{before}{after}");
    let compound = format!("{before}-{after}");
    let is_divided = knows(&joined) || !(knows(&compound) || knows(before) && knows(&after));
    is_divided.then_some(half)
}

#[cfg(test)]
mod tests {
    use super::super::geometry::Angle;
    use super::super::testing::words;
    use super::*;

    fn composed(lines: &[(&str, f32)]) -> PageText {
        let block: Block = lines
            .iter()
            .map(|(text, y)| words(text, 50.0, *y, 10.0))
            .collect();
        compose(
            &read_lines(&[block], Frame::of(Angle::UPRIGHT), (600.0, 800.0), false),
            vec![],
        )
    }

    #[test]
    fn paragraphs_are_separated_by_an_empty_line() {
        let page = composed(&[
            ("one", 100.0),
            ("two", 112.0),
            ("three", 124.0),
            ("four", 150.0),
        ]);
        assert_eq!(page.text, "one\ntwo\nthree\n\nfour");
    }

    #[test]
    fn line_offsets_count_characters_and_fit_the_text() {
        let page = composed(&[("größe", 100.0), ("zwei", 112.0), ("drei", 124.0)]);
        let characters: Vec<char> = page.text.chars().collect();
        let lines: Vec<String> = page
            .lines
            .iter()
            .map(|line| {
                characters[line.start as usize..line.end as usize]
                    .iter()
                    .collect()
            })
            .collect();
        assert_eq!(lines, ["größe", "zwei", "drei"]);
        let [x0, y0, x1, y1] = page.lines[1].bbox;
        assert_eq!(
            [x0, y0, x1, y1].map(|edge| edge.round() as u32),
            [50, 104, 70, 114]
        );
    }

    #[test]
    fn a_divided_word_is_put_together() {
        assert_eq!(
            composed(&[("the exam-", 100.0), ("ple was", 112.0)]).text,
            "the example was"
        );
        assert_eq!(
            composed(&[("the exam\u{AD}", 100.0), ("Ple was", 112.0)]).text,
            "the examPle was",
            "a soft hyphen is certain"
        );
        assert_eq!(composed(&[("co\u{AD}operate", 100.0)]).text, "cooperate");
    }

    #[test]
    fn a_compound_keeps_its_hyphen() {
        for lines in [
            [("see the state-of-the-", 100.0), ("art design", 112.0)],
            [("from 1990-", 100.0), ("bis 1995", 112.0)],
            [("the Rhine-", 100.0), ("Main area", 112.0)],
            [("a well- well known known x-", 100.0), ("ray", 112.0)],
        ] {
            assert!(composed(&lines).text.contains("-\n"), "{lines:?}");
        }
        let both_words = composed(&[
            ("well and known", 100.0),
            ("it is well-", 112.0),
            ("known that", 124.0),
        ]);
        assert!(both_words.text.contains("well-\nknown"));
    }

    #[test]
    fn divided_words_of_another_engine_are_put_together_too() {
        assert_eq!(
            rejoined("the exam-\nple was\n\nfound"),
            "the example was\n\nfound"
        );
        assert_eq!(rejoined("the Rhine-\nMain area"), "the Rhine-\nMain area");
    }

    #[test]
    fn a_tight_list_number_is_set_apart() {
        assert_eq!(composed(&[("10.Plankton", 100.0)]).text, "10. Plankton");
        assert_eq!(
            composed(&[("2.5mm and 1.NF", 100.0)]).text,
            "2.5mm and 1.NF"
        );
    }

    #[test]
    fn cells_of_a_right_to_left_table_are_read_one_by_one() {
        let mut row = words("1 296", 50.0, 100.0, 10.0);
        row.extend(words("\u{5D1}\u{5D0} \u{5D2}", 200.0, 100.0, 10.0));
        let block: Block = vec![row];
        let lines = read_lines(&[block], Frame::of(Angle::UPRIGHT), (600.0, 800.0), false);
        let page = compose(&lines, vec![]);
        assert_eq!(page.text, "\u{5D2} \u{5D0}\u{5D1} 1 296");
    }

    #[test]
    fn a_right_to_left_line_is_in_reading_order() {
        assert_eq!(
            composed(&[("\u{5D2}\u{5D1} \u{5D0}", 100.0)]).text,
            "\u{5D0} \u{5D1}\u{5D2}"
        );
    }
}
