//! What was recognised in a part of a page, put into the text of the page.

use crate::document::{Line, Page};
use crate::limits::MAX_PAGE_TEXT;
use crate::structure::WordBox;

/// Confidence below which a picture is taken to hold no text worth having beside that of the page: scans of print have 0.93 and more,
/// screenshots of menus 0.82, and a photograph gives a few doubtful words.
const LEAST_CONFIDENCE: f32 = 0.88;

/// Fewer letters than this are no text.
const LEAST_LETTERS: usize = 12;

/// Puts `found`, read from the part of `page` that begins at `origin`, in front of the paragraph that stands below it; false when it
/// is nothing worth having.
pub(super) fn insert(page: &mut Page, mut found: Page, origin: (f32, f32)) -> bool {
    let letters = found.text.chars().filter(|c| c.is_alphanumeric()).count();
    let is_text = letters >= LEAST_LETTERS
        && found
            .confidence
            .is_some_and(|share| share >= LEAST_CONFIDENCE);
    if !is_text || page.text.len() + found.text.len() + 4 > MAX_PAGE_TEXT {
        return false;
    }
    move_by(&mut found, origin);
    let bottom = found
        .lines
        .iter()
        .map(|line| line.bbox[3])
        .fold(0.0, f32::max);
    let at = place_of(page, bottom);
    let (before, after) = (if at == 0 { "" } else { "\n\n" }, "\n\n");
    let is_last = at as usize >= page.text.chars().count();
    let byte = page
        .text
        .char_indices()
        .nth(at as usize)
        .map_or(page.text.len(), |(byte, _)| byte);
    let text = if is_last {
        format!("{before}{}", found.text)
    } else {
        // The paragraph in front ends with an empty line already.
        format!("{}{after}", found.text)
    };
    let lead = if is_last { before.len() as u32 } else { 0 };
    let length = text.chars().count() as u32;
    page.text.insert_str(byte, &text);
    shift(page, at, length);
    let start = at + lead;
    let end = start + found.text.chars().count() as u32;
    page.lines.extend(found.lines.iter().map(|line| Line {
        start: line.start + start,
        end: line.end + start,
        ..*line
    }));
    page.lines.sort_by_key(|line| line.start);
    page.words.extend(found.words.iter().map(|word| WordBox {
        start: word.start + start,
        end: word.end + start,
        ..*word
    }));
    page.words.sort_by_key(|word| word.start);
    page.recognised.push((start, end));
    page.confidence = found.confidence;
    true
}

fn move_by(found: &mut Page, (x, y): (f32, f32)) {
    let moved = |[x0, y0, x1, y1]: [f32; 4]| [x0 + x, y0 + y, x1 + x, y1 + y];
    for line in &mut found.lines {
        line.bbox = moved(line.bbox);
    }
    for word in &mut found.words {
        word.bbox = moved(word.bbox);
    }
}

/// The first character of the first paragraph that begins below `bottom`; the end of the text when there is none.
fn place_of(page: &Page, bottom: f32) -> u32 {
    let characters: Vec<char> = page.text.chars().collect();
    let begins_paragraph = |line: &&Line| {
        let start = line.start as usize;
        start == 0 || start >= 2 && characters[start - 2..start] == ['\n', '\n']
    };
    let is_below = |line: &&Line| f32::midpoint(line.bbox[1], line.bbox[3]) > bottom;
    let below = page.lines.iter().filter(begins_paragraph).find(is_below);
    below.map_or(characters.len() as u32, |line| line.start)
}

/// Moves everything from character `at` on by `length`.
fn shift(page: &mut Page, at: u32, length: u32) {
    let moved = |place: &mut u32, is_end: bool| {
        if *place > at || *place == at && !is_end {
            *place += length;
        }
    };
    for line in &mut page.lines {
        moved(&mut line.start, false);
        moved(&mut line.end, true);
    }
    for word in &mut page.words {
        moved(&mut word.start, false);
        moved(&mut word.end, true);
    }
    for table in page.tables.iter_mut().filter(|table| table.end > 0) {
        moved(&mut table.start, false);
        moved(&mut table.end, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: &[(&str, f32)]) -> Page {
        let mut page = Page {
            confidence: Some(0.9),
            ..Page::empty(1, (600.0, 800.0))
        };
        for (text, y) in lines {
            if !page.text.is_empty() {
                page.text.push_str("\n\n");
            }
            let start = page.text.chars().count() as u32;
            page.text.push_str(text);
            let end = page.text.chars().count() as u32;
            page.lines
                .push(Line::new(start, end, [50.0, *y, 500.0, y + 10.0]));
        }
        page
    }

    fn quoted(page: &Page) -> Vec<String> {
        let text = |line: &Line| {
            page.text
                .chars()
                .skip(line.start as usize)
                .take((line.end - line.start) as usize)
                .collect()
        };
        page.lines.iter().map(text).collect()
    }

    #[test]
    fn a_picture_between_paragraphs_is_read_between_them() {
        let mut mixed = page(&[("größe above", 100.0), ("below", 700.0)]);
        assert!(insert(
            &mut mixed,
            page(&[("text of the picture", 20.0)]),
            (0.0, 300.0)
        ));
        assert_eq!(mixed.text, "größe above\n\ntext of the picture\n\nbelow");
        assert_eq!(
            quoted(&mixed),
            ["größe above", "text of the picture", "below"]
        );
        assert_eq!(mixed.recognised, [(13, 32)]);
        assert_eq!(mixed.lines[1].bbox[1].round() as u32, 320);
    }

    #[test]
    fn a_picture_at_the_end_is_read_last() {
        let mut mixed = page(&[("heading", 100.0)]);
        assert!(insert(
            &mut mixed,
            page(&[("text of the picture", 20.0)]),
            (0.0, 300.0)
        ));
        assert_eq!(mixed.text, "heading\n\ntext of the picture");
        assert_eq!(quoted(&mixed), ["heading", "text of the picture"]);
    }

    #[test]
    fn a_photograph_adds_nothing() {
        let mut mixed = page(&[("heading", 100.0)]);
        let doubtful = Page {
            confidence: Some(0.4),
            ..page(&[("~ of waves and leaves", 20.0)])
        };
        assert!(!insert(&mut mixed, doubtful, (0.0, 300.0)));
        assert!(!insert(&mut mixed, page(&[("few", 20.0)]), (0.0, 300.0)));
        assert_eq!(mixed.text, "heading");
    }
}
