//! A document as Markdown, and as plain text: for people, and for language models, which read Markdown best.
//!
//! The same document gives the same bytes. Text out of a file is escaped where it could be taken for markup, so that no page brings in a
//! link, an image or HTML; what a line begins with is left where it is a list. Pages are parted by comments, which no renderer shows.

mod escape;
mod page;
mod parts;
mod table;

use std::fmt::Write;

use crate::document::{Document, EmptyReason, ImageInfo, Page, Warning};

use escape::escaped;
use parts::{fields, links, outline};
use table::{kept_rows, plain_rows};

/// Raised when the same document would be written otherwise.
pub const MARKDOWN_VERSION: u32 = 1;

/// The whole document as Markdown.
pub fn document(document: &Document) -> String {
    let mut out = format!(
        "<!-- quire {}, extractor {}, markdown {MARKDOWN_VERSION} -->\n",
        document.media.name(),
        document.version
    );
    for (key, value) in &document.metadata {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "<!-- {}: {} -->", comment(key), comment(value));
    }
    block(&mut out, &outline(&document.outline));
    if let Some(image) = &document.image {
        block(&mut out, &picture(image));
    }
    if let Some(table) = &document.table {
        block(&mut out, &kept_rows(table));
    }
    for page in &document.pages {
        block(&mut out, &format!("<!-- page {} -->", page.number));
        block(&mut out, &content(page));
    }
    block(&mut out, &links(&document.links));
    block(&mut out, &fields(&document.fields));
    warnings(&mut out, &document.warnings);
    out
}

/// The text alone: pages parted by form feeds, rows of a table with tabs between their cells.
pub fn plain(document: &Document) -> String {
    let mut out = String::new();
    if let Some(table) = &document.table {
        plain_rows(&mut out, table);
    }
    for (index, page) in document.pages.iter().enumerate() {
        if index > 0 || !out.is_empty() {
            out.push('\u{c}');
        }
        out.push_str(page.text.trim_end());
        out.push('\n');
    }
    out
}

/// Text that cannot end the comment that it stands in.
fn comment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, word) in text.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(word);
    }
    // `-->` and `--!>` end one, and a dash at the end would be part of the end.
    while out.contains("--") {
        out = out.replace("--", "- -");
    }
    out.replace('>', "\u{203a}")
}

/// Adds a block behind an empty line.
fn block(out: &mut String, text: &str) {
    let text = text.trim_end();
    if !text.is_empty() {
        out.push('\n');
        out.push_str(text);
        out.push('\n');
    }
}

fn picture(image: &ImageInfo) -> String {
    let frames = match image.frames {
        0 | 1 => String::new(),
        frames => format!(", {frames} frames of which the first is read"),
    };
    format!(
        "*{} image, {} x {} pixels, {}{frames}*",
        image.format.to_uppercase(),
        image.width,
        image.height,
        escaped(&image.color)
    )
}

fn content(page: &Page) -> String {
    if !page.text.trim().is_empty() || !page.tables.is_empty() {
        return page::body(page);
    }
    let why = page.empty_reason.map_or("no text", in_words);
    format!("*{why}*")
}

fn in_words(reason: EmptyReason) -> &'static str {
    match reason {
        EmptyReason::NoTextLayer => "no text, and no picture of the page could be made",
        EmptyReason::OcrUnavailable => "a picture, and character recognition is not installed",
        EmptyReason::OcrFailed => "a picture in which no text was recognised",
        EmptyReason::Limit => "not read: a limit was reached before",
        EmptyReason::Blank => "blank",
    }
}

fn warnings(out: &mut String, warnings: &[Warning]) {
    if warnings.is_empty() {
        return;
    }
    let mut list = String::new();
    for warning in warnings {
        let page = warning
            .page
            .map_or_else(String::new, |page| format!("page {page}: "));
        // Writing to a string cannot fail.
        let _ = writeln!(
            list,
            "> - {page}{} ({})",
            escaped(&warning.message),
            escaped(&warning.code)
        );
    }
    block(out, "<!-- notes of the reader -->");
    block(out, &list);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaType;

    fn page(number: u32, text: &str) -> Page {
        Page {
            text: text.to_owned(),
            ..Page::empty(number, (595.0, 842.0))
        }
    }

    #[test]
    fn pages_notes_and_what_could_not_be_read() {
        let mut given = Document::empty(MediaType::Pdf);
        given.version = 2;
        let title = "Tolls --> <script>".to_owned();
        given.metadata.insert("title".into(), title);
        given.pages = vec![
            page(1, "Tolls\n\n\n\n- a cog\n- a hulk\n"),
            Page {
                empty_reason: Some(EmptyReason::OcrUnavailable),
                ..page(2, "")
            },
        ];
        given.warnings = vec![Warning::on_page("page_damaged", 2, "it is <torn>")];
        assert_eq!(
            document(&given),
            "<!-- quire pdf, extractor 2, markdown 1 -->\n<!-- title: Tolls - -\u{203a} <script\u{203a} -->\n\n<!-- page 1 -->\n\nTolls\n\n- a cog\n- a hulk\n\n<!-- page 2 -->\n\n\
             *a picture, and character recognition is not installed*\n\n<!-- notes of the reader -->\n\n\
             > - page 2: it is \\<torn> (page_damaged)\n"
        );
        assert_eq!(plain(&given), "Tolls\n\n\n\n- a cog\n- a hulk\n\u{c}\n");
    }
}
