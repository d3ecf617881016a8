//! Files within a file: each is read by its own format, and its pages follow those of the files before it.
//!
//! One level only: a container within a container is named in a warning and not opened, so that no file can be larger inside than
//! the limits of one container.

use super::flow::Flow;
use super::{FORMATS, Input, Output, PageImage, find};
use crate::document::{ImageInfo, Page, Table, Warning};
use crate::error::ParseError;
use crate::media::{MediaType, SNIFF_BYTES, sniff};
use crate::request::ParseRequest;
use crate::structure::Structure;

/// Puts the content of several files into one document.
pub(super) struct Nested<'o> {
    out: &'o mut dyn Output,
    /// Pages of the files before the present one.
    pages: u32,
    has_table: bool,
    /// Names of the files that were read, with their pages.
    read: Vec<String>,
}

impl<'o> Nested<'o> {
    /// Continues after `pages` pages.
    pub(super) fn new(out: &'o mut dyn Output, pages: u32) -> Self {
        Self {
            out,
            pages,
            has_table: false,
            read: Vec::new(),
        }
    }

    /// Reads one file. What cannot be read is told in a warning; only a limit of the whole ends the document.
    pub(super) fn file(
        &mut self,
        name: &str,
        bytes: Vec<u8>,
        request: &ParseRequest,
    ) -> Result<(), ParseError> {
        let head = &bytes[..bytes.len().min(SNIFF_BYTES)];
        let found = sniff(head, name);
        if matches!(found, Some(MediaType::Zip | MediaType::Eml)) {
            self.skip(name, "a container within a container is not opened");
            return Ok(());
        }
        let read_by = found.and_then(|media| Some((media, find(FORMATS, media)?)));
        let Some((media, format)) = read_by else {
            self.skip(name, "it is of no type that is read here");
            return Ok(());
        };
        let request = ParseRequest {
            media,
            pages: None,
            ..request.clone()
        };
        let before = self.pages;
        let mut part = Part {
            nested: self,
            before,
        };
        let outcome = format.parse(&mut Input::from_bytes(bytes), &request, &mut part);
        match outcome {
            Ok(()) => {}
            Err(error @ (ParseError::Cancelled | ParseError::OutOfMemory | ParseError::Io(_))) => {
                return Err(error);
            }
            Err(error) => self.skip(name, &error.to_string()),
        }
        self.read.push(match self.pages - before {
            0 => name.to_owned(),
            1 => format!("{name} (page {})", before + 1),
            _ => format!("{name} (pages {}-{})", before + 1, self.pages),
        });
        Ok(())
    }

    /// Says what is left out and why.
    pub(super) fn skip(&mut self, name: &str, why: &str) {
        self.out.warning(Warning::new(
            "file_left_out",
            format!("{name:?} is left out: {why}"),
        ));
    }

    /// Tells which files were read.
    pub(super) fn finish(self) {
        if !self.read.is_empty() {
            self.out.metadata("files", &self.read.join("; "));
        }
    }
}

/// The output of one file.
struct Part<'n, 'o> {
    nested: &'n mut Nested<'o>,
    before: u32,
}

impl Part<'_, '_> {
    fn number(&mut self, number: u32) -> u32 {
        let number = self.before.saturating_add(number);
        self.nested.pages = self.nested.pages.max(number);
        number
    }
}

impl Output for Part<'_, '_> {
    fn page(&mut self, mut page: Page) -> Result<(), ParseError> {
        page.number = self.number(page.number);
        self.nested.out.page(page)
    }

    fn page_image(&mut self, number: u32, image: PageImage) -> Result<(), ParseError> {
        let number = self.number(number);
        self.nested.out.page_image(number, image)
    }

    fn page_part(
        &mut self,
        number: u32,
        place: [f32; 4],
        image: PageImage,
    ) -> Result<(), ParseError> {
        let number = self.number(number);
        self.nested.out.page_part(number, place, image)
    }

    /// A document has one table: the first. The rows of others that were kept become a page.
    fn table(&mut self, table: Table) -> Result<(), ParseError> {
        if !std::mem::replace(&mut self.nested.has_table, true) {
            return self.nested.out.table(table);
        }
        let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
        let mut text = names.join(" | ");
        for row in &table.sample {
            text.push('\n');
            text.push_str(&row.cells.join(" | "));
        }
        let mut flow = Flow::new(self);
        flow.paragraph(&text)?;
        flow.finish()
    }

    /// The document is no image because it holds one.
    fn image(&mut self, _: ImageInfo) -> Result<(), ParseError> {
        Ok(())
    }

    fn metadata(&mut self, _: &str, _: &str) {}

    /// Links keep their pages; the outline and the form of one file among several say nothing of the whole.
    fn structure(&mut self, part: Structure) {
        if let Structure::Link(mut link) = part {
            link.page = self.before.saturating_add(link.page);
            self.nested.out.structure(Structure::Link(link));
        }
    }

    fn warning(&mut self, mut warning: Warning) {
        warning.page = warning.page.map(|page| self.before.saturating_add(page));
        self.nested.out.warning(warning);
    }

    fn progress(&mut self, _: u32, _: Option<u32>) -> Result<(), ParseError> {
        let done = self.nested.pages;
        self.nested.out.progress(done, None)
    }
}
