//! Tesseract's table of words, made into lines of text with their places.

use super::turn::Places;
use crate::document::Line;
use crate::formats::pdf::is_written_without_spaces;
use crate::structure::WordBox;

/// Words below this confidence are noise: specks, rules, edges of pictures.
const MIN_WORD_CONFIDENCE: f32 = 0.20;

/// Lines below this mean confidence are noise as well: leaves and waves read as letters at 0.4, bad print at 0.7.
const MIN_LINE_CONFIDENCE: f32 = 0.50;

/// Columns of the table.
const COLUMNS: usize = 12;

/// Level of a row that is a word.
const WORD: &str = "5";

/// The text of a page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Recognised {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) words: Vec<WordBox>,
    /// Mean over characters, 0 to 1.
    pub(super) confidence: f32,
    /// Characters of words in `text`.
    pub(super) characters: usize,
    /// Whether Tesseract saw any word, noise included.
    pub(super) saw_words: bool,
}

/// Place of a line in the table: block, paragraph, line.
type Place = (u32, u32, u32);

#[derive(Clone, Copy)]
struct Word<'a> {
    place: Place,
    /// x0, y0, x1, y1 in pixels.
    bbox: [f32; 4],
    confidence: f32,
    text: &'a str,
}

/// Reads a table; `places` lead from the picture to the page.
pub(super) fn parse(table: &str, places: &Places) -> Recognised {
    let words: Vec<Word<'_>> = table.lines().filter_map(parse_word).collect();
    let mut page = Builder {
        places,
        page: Recognised::default(),
        length: 0,
        weight: 0.0,
        last: None,
    };
    page.page.saw_words = !words.is_empty();
    for line in words.chunk_by(|a, b| a.place == b.place) {
        page.add(&without_noise(line));
    }
    page.finish()
}

/// The words of a line that are words. In a line that is sure otherwise a doubtful word is one too, when it is made of letters: a name,
/// a word of another language.
fn without_noise<'t>(line: &[Word<'t>]) -> Vec<Word<'t>> {
    /// Mean confidence of a line that is sure.
    const SURE: f32 = 0.85;
    /// Letters of a word that is not a speck.
    const LEAST_LETTERS: usize = 3;
    let is_sure = |word: &&Word<'_>| word.confidence >= MIN_WORD_CONFIDENCE;
    let sum: f32 = line
        .iter()
        .filter(is_sure)
        .map(|word| word.confidence)
        .sum();
    let count = line.iter().filter(is_sure).count();
    let is_sure_line = count > 0 && sum / count as f32 >= SURE;
    let is_word = |word: &&Word<'_>| {
        let letters = word.text.chars().filter(|c| c.is_alphabetic()).count();
        is_sure(word) || is_sure_line && letters >= LEAST_LETTERS
    };
    line.iter().filter(is_word).copied().collect()
}

fn parse_word(row: &str) -> Option<Word<'_>> {
    let cells: Vec<&str> = row.splitn(COLUMNS, '\t').collect();
    let [
        level,
        _page,
        block,
        paragraph,
        line,
        _word,
        left,
        top,
        width,
        height,
        confidence,
        text,
    ] = cells[..]
    else {
        return None;
    };
    if level != WORD || text.trim().is_empty() {
        return None;
    }
    let confidence = confidence.parse::<f32>().ok()? / 100.0;
    let [left, top, width, height] =
        [left, top, width, height].map(|cell| cell.parse::<f32>().unwrap_or(0.0));
    Some(Word {
        place: (
            block.parse().ok()?,
            paragraph.parse().ok()?,
            line.parse().ok()?,
        ),
        bbox: [left, top, left + width, top + height],
        confidence: confidence.clamp(0.0, 1.0),
        text: text.trim(),
    })
}

/// Whether no space belongs between two pieces: Tesseract tells Chinese characters apart as words.
fn is_tight(before: &str, after: &str) -> bool {
    let is_dense = |c: Option<char>| c.is_some_and(is_written_without_spaces);
    is_dense(before.chars().next_back()) && is_dense(after.chars().next())
}

struct Builder<'p> {
    page: Recognised,
    places: &'p Places,
    /// Characters in `page.text`.
    length: u32,
    /// Sum of confidence over characters.
    weight: f32,
    last: Option<Place>,
}

impl Builder<'_> {
    /// Adds the words of one line.
    fn add(&mut self, words: &[Word<'_>]) {
        let characters: usize = words.iter().map(|word| word.text.chars().count()).sum();
        let weight: f32 = words
            .iter()
            .map(|word| word.confidence * word.text.chars().count() as f32)
            .sum();
        if characters == 0 || weight / (characters as f32) < MIN_LINE_CONFIDENCE {
            return;
        }
        let place = words[0].place;
        match self.last {
            None => {}
            Some(last) if (last.0, last.1) == (place.0, place.1) => self.push("\n"),
            Some(_) => self.push("\n\n"),
        }
        self.last = Some(place);
        let start = self.length;
        for (index, word) in words.iter().enumerate() {
            if index > 0 && !is_tight(words[index - 1].text, word.text) {
                self.push(" ");
            }
            let start = self.length;
            self.push(word.text);
            self.page.words.push(WordBox {
                start,
                end: self.length,
                bbox: self.places.rect(word.bbox),
            });
        }
        self.page
            .lines
            .push(Line::new(start, self.length, self.bbox(words)));
        self.page.characters += characters;
        self.weight += weight;
    }

    fn bbox(&self, words: &[Word<'_>]) -> [f32; 4] {
        let all = words.iter().map(|word| word.bbox).reduce(|a, b| {
            [
                a[0].min(b[0]),
                a[1].min(b[1]),
                a[2].max(b[2]),
                a[3].max(b[3]),
            ]
        });
        self.places.rect(all.unwrap_or_default())
    }

    fn push(&mut self, text: &str) {
        self.page.text.push_str(text);
        self.length += text.chars().count() as u32;
    }

    fn finish(mut self) -> Recognised {
        if self.page.characters > 0 {
            self.page.confidence = self.weight / self.page.characters as f32;
        }
        self.page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n";

    fn word(
        block: u32,
        paragraph: u32,
        line: u32,
        left: u32,
        confidence: f32,
        text: &str,
    ) -> String {
        format!(
            "5\t1\t{block}\t{paragraph}\t{line}\t1\t{left}\t{}\t10\t8\t{confidence}\t{text}\n",
            line * 10
        )
    }

    #[test]
    fn words_become_lines_and_paragraphs_with_places() {
        let table = [
            HEAD.to_owned(),
            "4\t1\t1\t1\t1\t0\t0\t0\t100\t100\t-1\t\n".to_owned(),
            word(1, 1, 1, 0, 90.0, "Größe"),
            word(1, 1, 1, 20, 80.0, "zwei"),
            word(1, 1, 2, 0, 90.0, "drei"),
            word(1, 2, 1, 0, 90.0, "vier"),
        ]
        .concat();
        let page = parse(&table, &Places::scaled(0.5, 2.0));
        assert_eq!(page.text, "Größe zwei\ndrei\n\nvier");
        assert_eq!(page.lines[0], Line::new(0, 10, [0.0, 20.0, 15.0, 36.0]));
        let quoted: Vec<String> = page
            .lines
            .iter()
            .map(|line| {
                page.text
                    .chars()
                    .skip(line.start as usize)
                    .take((line.end - line.start) as usize)
                    .collect()
            })
            .collect();
        assert_eq!(quoted, ["Größe zwei", "drei", "vier"]);
        assert!((page.confidence - (13.0 * 0.9 + 4.0 * 0.8) / 17.0).abs() < 1e-5);
    }

    #[test]
    fn a_doubtful_word_in_a_sure_line_is_kept() {
        let table = [
            word(1, 1, 1, 0, 95.0, "Der"),
            word(1, 1, 1, 20, 5.0, "schnelle"),
            word(1, 1, 1, 30, 5.0, "|~"),
            word(1, 1, 1, 40, 95.0, "Fuchs"),
        ]
        .concat();
        assert_eq!(
            parse(&table, &Places::scaled(1.0, 1.0)).text,
            "Der schnelle Fuchs"
        );
    }

    #[test]
    fn no_spaces_stand_between_chinese_characters() {
        let table = [
            word(1, 1, 1, 0, 90.0, "人人"),
            word(1, 1, 1, 20, 90.0, "生而"),
            word(1, 1, 1, 40, 90.0, "ABC"),
        ]
        .concat();
        assert_eq!(
            parse(&table, &Places::scaled(1.0, 1.0)).text,
            "人人生而 ABC"
        );
    }

    #[test]
    fn noise_is_left_out() {
        let table = [
            HEAD.to_owned(),
            word(1, 1, 1, 0, 12.0, "|~"),
            word(1, 1, 2, 0, 42.0, "~~"),
            word(1, 1, 3, 0, 95.0, "text"),
        ]
        .concat();
        assert_eq!(parse(&table, &Places::scaled(1.0, 1.0)).text, "text");
        assert_eq!(parse("", &Places::scaled(1.0, 1.0)), Recognised::default());
        assert_eq!(
            parse("5\tx\n\t\t\t\t\t\t\t\t\t\t\t\n", &Places::scaled(1.0, 1.0)),
            Recognised::default()
        );
    }
}
