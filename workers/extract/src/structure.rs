//! The parts of a document beside its text: tables on pages, places of words, outline, links, form fields.
//!
//! They are told apart from [`crate::document`] because most documents have none of them. A field that a document does not have is
//! not written, so that what was stored before there were such fields is read and stays as short as it was.

use serde::{Deserialize, Serialize};

/// A table that stands on a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageTable {
    /// First character of the table in [`crate::Page::text`]. Equal to `end` when another engine's text was taken for the page.
    pub start: u32,
    /// One past its last character.
    pub end: u32,
    /// x0, y0, x1, y1 with the origin at the top left, in the unit of [`crate::Page::width`]; absent where the file has no places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f32; 4]>,
    /// The rows from top to bottom, all of the same length, each from its first cell on. What a merged cell covers beside its first
    /// place is empty.
    pub rows: Vec<Vec<String>>,
    /// The merged cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<CellSpan>,
}

/// A cell that covers more than one place of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellSpan {
    /// Its first row, from 0.
    pub row: u32,
    /// Its first column, from 0.
    pub column: u32,
    /// Rows that it covers.
    pub rows: u32,
    /// Columns that it covers.
    pub columns: u32,
}

impl PageTable {
    /// The table in Markdown (GitHub's dialect), the first row as its head.
    pub fn to_markdown(&self) -> String {
        let mut markdown = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            markdown.push('|');
            for cell in row {
                markdown.push(' ');
                markdown.push_str(&markdown_cell(cell));
                markdown.push_str(" |");
            }
            markdown.push('\n');
            if index == 0 {
                markdown.push('|');
                markdown.push_str(&" --- |".repeat(row.len()));
                markdown.push('\n');
            }
        }
        markdown
    }
}

/// A cell has one line and no bar of its own.
fn markdown_cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('\n', "<br>")
}

/// The place of a word: characters `start` to `end` of [`crate::Page::text`].
///
/// A page has some 400 of them, so they are written as `[start,end,x0,y0,x1,y1]` with places in tenths of a unit: 30 bytes a word.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Flat", into = "Flat")]
pub struct WordBox {
    /// First character of the word, counted in characters.
    pub start: u32,
    /// One past its last character.
    pub end: u32,
    /// x0, y0, x1, y1, as in [`crate::Line::bbox`].
    pub bbox: [f32; 4],
}

type Flat = (u32, u32, f64, f64, f64, f64);

impl From<WordBox> for Flat {
    fn from(word: WordBox) -> Self {
        let [x0, y0, x1, y1] = word
            .bbox
            .map(|edge| (f64::from(edge) * 10.0).round() / 10.0);
        (word.start, word.end, x0, y0, x1, y1)
    }
}

impl From<Flat> for WordBox {
    fn from((start, end, x0, y0, x1, y1): Flat) -> Self {
        Self {
            start,
            end,
            bbox: [x0, y0, x1, y1].map(|edge| edge as f32),
        }
    }
}

/// One entry of a table of contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineItem {
    /// What it says.
    pub title: String,
    /// 1 for a chapter, 2 for what is in it, and so on.
    pub level: u8,
    /// 1-based number of the page that it leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// A place on a page that leads out of the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// 1-based number of the page.
    pub page: u32,
    /// x0, y0, x1, y1, as in [`crate::Line::bbox`].
    pub bbox: [f32; 4],
    /// Where it leads. Not to be followed without a look: the file may say anything, scripts included.
    pub uri: String,
}

/// A field of a form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FormField {
    /// Its full name; the parts are joined by dots.
    pub name: String,
    /// What is put into it.
    pub kind: FieldKind,
    /// What was put into it; absent when nothing was. Several choices stand on lines of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// 1-based number of the page on which it stands first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

/// What is put into a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Text.
    Text,
    /// A mark or none.
    Checkbox,
    /// One mark of several.
    Radio,
    /// One or several of a list.
    Choice,
    /// A signature.
    Signature,
    /// Nothing: it is to be pressed.
    Button,
}

/// One part of the structure, as a format hands it out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    /// The next entry of the outline.
    Outline(OutlineItem),
    /// A link; in the order of the pages.
    Link(Link),
    /// A field of the form.
    Field(FormField),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_becomes_markdown() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let table = PageTable {
            start: 0,
            end: 0,
            bbox: None,
            rows: vec![row(["Item", "a|b"]), row(["two\nlines", ""])],
            spans: vec![],
        };
        assert_eq!(
            table.to_markdown(),
            "| Item | a\\|b |\n| --- | --- |\n| two<br>lines |  |\n"
        );
    }

    #[test]
    fn a_word_is_written_shortly_and_read_back() {
        let word = WordBox {
            start: 12,
            end: 17,
            bbox: [72.04, 88.26, 99.0, 100.2],
        };
        let written = serde_json::to_string(&word).unwrap();
        assert_eq!(written, "[12,17,72.0,88.3,99.0,100.2]");
        let read: WordBox = serde_json::from_str(&written).unwrap();
        assert_eq!((read.start, read.end), (12, 17));
        assert!((read.bbox[1] - 88.3).abs() < 1e-4);
    }
}
