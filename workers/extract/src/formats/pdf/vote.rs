//! Which engine's reading of a page is taken.
//!
//! Taking the second engine only when the first fails is not enough: pdf-extract is often successful and wrong (measured on 225 real
//! files: 19 bad ones that way, 7 by vote). Both texts are scored and the better one wins; hayro, which was right more often, wins
//! when they are close, and brings the places of its lines.

use std::collections::HashMap;

use super::compose::PageText;
use super::score::Score;
use crate::document::{Line, TextEngine};
use crate::structure::{PageTable, WordBox};

/// The reading that was taken.
#[derive(Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) words: Vec<WordBox>,
    pub(super) tables: Vec<PageTable>,
    pub(super) engine: TextEngine,
    pub(super) score: f32,
}

/// Chooses between hayro's and pdf-extract's reading of a page.
pub(super) fn choose(hayro: PageText, named: Option<String>) -> Chosen {
    /// How much better pdf-extract must be to win: torn words and text drawn twice raise a score by a few per cent.
    const MARGIN: f32 = 0.05;
    let score = Score::of(&hayro.text);
    if let Some(named) = named {
        let named_score = Score::of(&named);
        let needed = score.value() + MARGIN * score.value().abs() + 1.0;
        if named_score.value() > needed {
            let lines = place_lines(&named, &hayro);
            return Chosen {
                text: named,
                lines,
                words: Vec::new(),
                tables: hayro.tables.into_iter().map(without_place).collect(),
                engine: TextEngine::PdfExtract,
                score: named_score.share(),
            };
        }
    }
    Chosen {
        text: hayro.text,
        lines: hayro.lines,
        words: hayro.words,
        tables: hayro.tables,
        engine: TextEngine::Hayro,
        score: score.share(),
    }
}

/// Hayro's table beside the text of another engine, which has its characters elsewhere.
fn without_place(table: PageTable) -> PageTable {
    PageTable {
        start: 0,
        end: 0,
        ..table
    }
}

/// The lines of `text` that hayro has read too, in hayro's places.
fn place_lines(text: &str, hayro: &PageText) -> Vec<Line> {
    let characters: Vec<char> = hayro.text.chars().collect();
    let mut places: HashMap<String, Vec<[f32; 4]>> = HashMap::new();
    for line in hayro.lines.iter().rev() {
        let key = characters[line.start as usize..line.end as usize]
            .iter()
            .filter(|c| !c.is_whitespace())
            .collect();
        places.entry(key).or_default().push(line.bbox);
    }
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        let end = start + line.chars().count() as u32;
        let key: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        if let Some(bbox) = places.get_mut(&key).and_then(Vec::pop) {
            lines.push(Line::new(start, end, bbox));
        }
        start = end + 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(lines: &[&str]) -> PageText {
        let mut page = PageText::default();
        for (index, line) in lines.iter().enumerate() {
            let start = page.text.chars().count() as u32;
            page.text.push_str(line);
            let end = page.text.chars().count() as u32;
            page.lines.push(Line::new(
                start,
                end,
                [0.0, index as f32, 1.0, index as f32 + 1.0],
            ));
            page.text.push('\n');
        }
        page
    }

    #[test]
    fn hayro_wins_when_the_readings_are_close() {
        let chosen = choose(
            reading(&["The bridge was opened in May"]),
            Some("The bridge was opened in May 1932".to_owned()),
        );
        assert_eq!(chosen.engine, TextEngine::Hayro);
        assert_eq!(choose(reading(&["text"]), None).engine, TextEngine::Hayro);
    }

    #[test]
    fn pdf_extract_wins_over_junk_and_over_nothing() {
        let plain = "The bridge was opened in May".to_owned();
        assert_eq!(
            choose(
                reading(&["\u{FFFD}\u{FFFD}\u{FFFD} \u{FFFD}"]),
                Some(plain.clone())
            )
            .engine,
            TextEngine::PdfExtract
        );
        let chosen = choose(PageText::default(), Some(plain));
        assert_eq!(
            (chosen.engine, chosen.lines.len()),
            (TextEngine::PdfExtract, 0)
        );
        assert!(chosen.score > 0.9);
    }

    #[test]
    fn lines_that_both_have_read_keep_their_place() {
        let lines = place_lines(
            "new line\nThe bridge\nwas opened",
            &reading(&["Thebridge", "was opened"]),
        );
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], Line::new(9, 19, [0.0, 0.0, 1.0, 1.0]));
        assert_eq!(lines[1], Line::new(20, 30, [0.0, 1.0, 1.0, 2.0]));
    }
}
