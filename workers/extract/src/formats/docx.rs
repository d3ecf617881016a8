//! Word documents (DOCX): paragraphs, lists and tables in their order, with the page breaks that the file records.
//!
//! A word processor lays pages out when it opens a file. Where it has noted its last layout (`lastRenderedPageBreak`) or the
//! author has set a break, a page ends here too; a file without either is one page.

use super::flow::{CELL, Flow};
use super::ooxml::{self, Mark, attribute};
use super::parts::Parts;
use crate::document::Warning;
use crate::error::ParseError;
use crate::formats::{Format, Input, Output};
use crate::media::MediaType;
use crate::request::ParseRequest;

const BODY: &str = "word/document.xml";

/// Parts whose text follows that of the body.
const NOTES: [&str; 2] = ["word/footnotes.xml", "word/endnotes.xml"];

/// Reads DOCX.
#[derive(Debug)]
pub(super) struct Docx;

impl Format for Docx {
    fn media(&self) -> &[MediaType] {
        &[MediaType::Docx]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let mut parts = Parts::open(input)?;
        ooxml::metadata(&mut parts, out)?;
        let body = parts
            .read(BODY)?
            .ok_or_else(|| ParseError::Damaged(format!("{BODY} is missing")))?;
        let mut flow = Flow::new(out);
        let mut reading = Reading::default();
        ooxml::read(&body, |mark| reading.take(&mark, &mut flow))?;
        for part in NOTES {
            if let Some(notes) = parts.read(part)? {
                ooxml::read(&notes, |mark| reading.take(&mark, &mut flow))?;
            }
        }
        if reading.deleted_runs > 0 {
            flow.out().warning(Warning::new(
                "tracked_changes",
                "deleted text of tracked changes is left out",
            ));
        }
        flow.finish()
    }
}

/// The paragraph or table that is being read.
#[derive(Default)]
struct Reading {
    block: String,
    /// Whether the place is within a text element: white space elsewhere is formatting of the XML.
    in_text: bool,
    /// Tables around the present place.
    tables: usize,
    in_row: bool,
    /// Level of the heading that is being read.
    heading: Option<u8>,
    /// Text that a tracked change has deleted.
    deleted_runs: usize,
}

impl Reading {
    fn take(&mut self, mark: &Mark<'_>, flow: &mut Flow<'_>) -> Result<(), ParseError> {
        match mark {
            Mark::Open("t", _) => self.in_text = true,
            Mark::Open("delText", _) => self.deleted_runs += 1,
            Mark::Open("tab", _) => self.block.push('\t'),
            Mark::Open("br", element) if attribute(element, "type").as_deref() == Some("page") => {
                self.end_page(flow)?;
            }
            // A line in a cell is no row.
            Mark::Open("br" | "cr", _) if self.tables > 0 => self.block.push(' '),
            Mark::Open("br" | "cr", _) => self.block.push('\n'),
            Mark::Open("pStyle", element) if self.tables == 0 => {
                self.heading = attribute(element, "val").and_then(|style| heading_level(&style));
            }
            Mark::Open("lastRenderedPageBreak", _) => self.end_page(flow)?,
            Mark::Open("numPr", _) if self.block.is_empty() => self.block.push_str("- "),
            Mark::Open("tbl", _) => self.tables += 1,
            Mark::Open("tr", _) => self.line(false),
            Mark::Open("tc", _) if std::mem::replace(&mut self.in_row, true) => {
                self.trim();
                self.block.push(CELL);
            }
            Mark::Close("t") => self.in_text = false,
            Mark::Close("p") if self.tables == 0 => self.end_block(flow)?,
            Mark::Close("p") => self.block.push(' '),
            Mark::Close("tc") => self.trim(),
            Mark::Close("tbl") => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    self.end_block(flow)?;
                }
            }
            Mark::Text(text) if self.in_text => self.block.push_str(text),
            _ => {}
        }
        Ok(())
    }

    fn line(&mut self, in_row: bool) {
        self.in_row = in_row;
        self.trim();
        if !self.block.is_empty() {
            self.block.push('\n');
        }
    }

    fn trim(&mut self) {
        let end = self.block.trim_end().len();
        self.block.truncate(end);
    }

    fn end_block(&mut self, flow: &mut Flow<'_>) -> Result<(), ParseError> {
        let block = std::mem::take(&mut self.block);
        let heading = self.heading.take();
        if block.trim() == "-" {
            return Ok(());
        }
        match heading {
            Some(level) => flow.heading(level, block.trim_start_matches("- ")),
            None => flow.block(&block),
        }
    }

    /// A break within a table waits for the end of the table.
    fn end_page(&mut self, flow: &mut Flow<'_>) -> Result<(), ParseError> {
        if self.tables > 0 {
            return Ok(());
        }
        self.end_block(flow)?;
        flow.break_page()
    }
}

/// The level that a style of headings has by its name, which some programs translate.
fn heading_level(style: &str) -> Option<u8> {
    let name = style.to_lowercase();
    if name == "title" {
        return Some(1);
    }
    let names = ["heading", "berschrift", "titre", "titolo", "ttulo"];
    let is_heading = names.iter().any(|known| name.starts_with(known));
    let level = name.chars().last()?.to_digit(10)?;
    is_heading.then_some(level as u8)
}

#[cfg(test)]
mod tests {
    use crate::error::ParseError;
    use crate::formats::parts::container;
    use crate::formats::testing::Collected;
    use crate::media::MediaType;

    fn docx(body: &str) -> Vec<u8> {
        let document = format!("<w:document><w:body>{body}</w:body></w:document>");
        container(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("word/document.xml", document.as_bytes()),
            (
                "docProps/core.xml",
                b"<cp:coreProperties><dc:title>Tolls &amp; ships</dc:title></cp:coreProperties>",
            ),
        ])
    }

    fn p(text: &str) -> String {
        format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
    }

    #[test]
    fn paragraphs_lists_tables_and_pages() {
        let body = [
            p("The toll"),
            "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>cog</w:t></w:r></w:p>".to_owned(),
            "<w:p><w:r><w:t>four</w:t><w:tab/><w:t>crowns</w:t></w:r><w:r><w:delText>five</w:delText></w:r></w:p>".to_owned(),
            format!(
                "<w:tbl><w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr>\n <w:tr><w:tc>{}</w:tc><w:tc>{}{}</w:tc></w:tr></w:tbl>",
                p("ship"), p("toll"), p("cog"), p("4"), p("5")
            ),
            "<w:p><w:r><w:br w:type=\"page\"/></w:r></w:p>".to_owned(),
            "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Page 2</w:t></w:r></w:p>".to_owned(),
        ]
        .concat();
        let out = Collected::of(MediaType::Docx, &docx(&body));
        assert_eq!(
            out.texts(),
            [
                "The toll\n\n- cog\n\nfour\tcrowns\n\nship | toll\ncog | 4 5",
                "Page 2"
            ]
        );
        assert_eq!(out.metadata["title"], "Tolls & ships");
        assert_eq!(out.codes(), ["tracked_changes"]);
    }

    #[test]
    fn a_container_without_a_document_is_damaged() {
        let other = container(&[("word/other.xml", b"<a/>")]);
        assert!(matches!(
            Collected::try_of(MediaType::Docx, &other),
            Err(ParseError::Damaged(_))
        ));
    }
}
