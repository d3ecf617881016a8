//! Builds a document from what a child says, believing none of it.
//!
//! A child may have been taken over by the file it read. Nothing it sends can harm the parent's memory (lengths are checked before),
//! but it must not harm the reader either: pages out of order, lines outside their text, a table with more sample than rows, or more
//! output than the budget end the job.

use super::child_process::broken;
use super::{page_check, recognised};
use crate::document::{
    Column, DRAWN_ROWS, Document, ImageInfo, Page, Row, SAMPLE_ROWS, Table, Warning, clean_text,
};
use crate::error::{ParseError, short_message};
use crate::formats::MAX_PAGE_IMAGE_PIXELS;
use crate::frame::PageImageHead;
use crate::limits::{
    MAX_COLUMNS, MAX_FIELDS, MAX_LINKS, MAX_METADATA, MAX_METADATA_VALUE, MAX_OUTLINE, MAX_PAGES,
    MAX_TOP, MAX_WARNINGS, truncate,
};
use crate::media::MediaType;
use crate::roles;
use crate::structure::{FormField, Link, OutlineItem, Structure};

/// Bytes that a page, row or column costs beside its text.
const ITEM_BYTES: u64 = 64;

/// A document under construction.
#[derive(Debug)]
pub(super) struct Assembly {
    document: Document,
    budget: u64,
    last_page: u32,
}

impl Assembly {
    /// Nothing yet, and at most `budget` bytes of it.
    pub(super) fn new(media: MediaType, budget: u64) -> Self {
        Self {
            document: Document::empty(media),
            budget,
            last_page: 0,
        }
    }

    /// Pages so far.
    pub(super) fn pages(&self) -> usize {
        self.document.pages.len()
    }

    /// Whether any page has text.
    pub(super) fn has_text(&self) -> bool {
        self.document
            .pages
            .iter()
            .any(|page| !page.text.trim().is_empty())
    }

    /// What was built, with what only the whole document tells.
    pub(super) fn finish(mut self) -> Document {
        roles::mark(&mut self.document);
        self.document
    }

    /// Takes the number of the next page, whether it comes as text or as an image.
    pub(super) fn page_number(&mut self, number: u32) -> Result<(), ParseError> {
        if number <= self.last_page || number > MAX_PAGES {
            return Err(broken("a page out of order"));
        }
        self.last_page = number;
        Ok(())
    }

    /// Adds a page whose number was taken.
    pub(super) fn page(&mut self, mut page: Page) -> Result<(), ParseError> {
        self.spend(page_check::size_of_page(&page))?;
        if !page_check::is_plausible(&page) {
            return Err(broken("an impossible page"));
        }
        remove_nul(&mut page.text);
        let cells = page.tables.iter_mut().flat_map(|table| &mut table.rows);
        cells.flatten().for_each(remove_nul);
        self.document.pages.push(page);
        Ok(())
    }

    /// Checks the announcement of a page's picture and gives its size in bytes.
    pub(super) fn page_image(&mut self, head: &PageImageHead) -> Result<usize, ParseError> {
        self.page_number(head.number)?;
        picture_size(head)
    }

    /// Checks the announcement of a picture on the last page and gives its size in bytes.
    pub(super) fn page_part(
        &self,
        head: &PageImageHead,
        place: &[f32; 4],
    ) -> Result<usize, ParseError> {
        let is_last = self
            .document
            .pages
            .last()
            .is_some_and(|page| page.number == head.number);
        if !is_last || place.iter().any(|edge| !edge.is_finite()) {
            return Err(broken("a picture of another page"));
        }
        picture_size(head)
    }

    /// Adds what was recognised in a part of the last page that begins at `origin`.
    pub(super) fn recognised(&mut self, found: Page, origin: (f32, f32)) -> Result<(), ParseError> {
        self.spend(page_check::size_of_page(&found))?;
        if let Some(page) = self.document.pages.last_mut() {
            recognised::insert(page, found, origin);
        }
        Ok(())
    }

    /// Sets the table, once.
    pub(super) fn table(&mut self, mut table: Table) -> Result<(), ParseError> {
        if self.document.table.is_some()
            || table.columns.len() > MAX_COLUMNS
            || table.sample.len() > SAMPLE_ROWS
            || table.drawn.len() > DRAWN_ROWS
        {
            return Err(broken("an impossible table"));
        }
        let rows = table.sample.len() as u64;
        if table.rows.checked_sub(rows) != Some(table.rows_left_out)
            || table.ragged_rows > table.rows
        {
            return Err(broken("a table that does not add up"));
        }
        self.rows(&mut table.sample, table.rows)?;
        self.rows(&mut table.drawn, table.rows)?;
        self.parts(&mut table)?;
        for column in &mut table.columns {
            self.column(column)?;
        }
        remove_nul(&mut table.encoding);
        if let Some(sheet) = &mut table.sheet {
            sheet.name = short_message(&no_nul(std::mem::take(&mut sheet.name)));
        }
        self.document.table = Some(table);
        Ok(())
    }

    /// Checks rows of a table that has `count` of them.
    fn rows(&mut self, rows: &mut [Row], count: u64) -> Result<(), ParseError> {
        let mut last = 0;
        for row in rows {
            if row.number <= last || row.number > count || row.cells.len() > MAX_COLUMNS {
                return Err(broken("a row out of order"));
            }
            last = row.number;
            self.spend(row.cells.iter().map(String::len).sum())?;
            row.cells.iter_mut().for_each(remove_nul);
        }
        Ok(())
    }

    fn parts(&mut self, table: &mut Table) -> Result<(), ParseError> {
        let mut last = 0;
        for part in &mut table.parts {
            let names = part.names.len();
            let in_order = part.first_row > last && part.last_row >= part.first_row;
            if !in_order || part.last_row > table.rows || names > MAX_COLUMNS {
                return Err(broken("a table out of order"));
            }
            last = part.last_row;
            self.spend(part.names.iter().map(String::len).sum())?;
            part.names.iter_mut().for_each(remove_nul);
        }
        Ok(())
    }

    fn column(&mut self, column: &mut Column) -> Result<(), ParseError> {
        let figures = [column.mean, column.sum, column.stddev];
        let quantiles = column.quantiles.map_or([0.0; 5], |found| {
            [found.p05, found.p25, found.p50, found.p75, found.p95]
        });
        let length = column.lengths.map_or(0.0, |lengths| lengths.mean);
        let mut numbers = figures
            .into_iter()
            .flatten()
            .chain(quantiles)
            .chain([length]);
        if column.top.len() > MAX_TOP
            || !quantiles.is_sorted()
            || numbers.any(|number| !number.is_finite())
        {
            return Err(broken("an impossible column"));
        }
        let texts = column
            .min
            .iter_mut()
            .chain(&mut column.max)
            .chain(column.top.iter_mut().map(|(value, _)| value));
        let mut bytes = column.name.len();
        for text in texts {
            bytes += text.len();
            remove_nul(text);
        }
        remove_nul(&mut column.name);
        self.spend(bytes)
    }

    /// Sets the image properties, once.
    pub(super) fn image(&mut self, image: ImageInfo) -> Result<(), ParseError> {
        let exif_bytes = image
            .exif
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        let plausible = self.document.image.is_none()
            && (1..=8).contains(&image.orientation)
            && image.exif.len() <= MAX_METADATA
            && image.width > 0
            && image.height > 0
            && image.difference_hash.as_ref().is_none_or(|hash| {
                hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
        if !plausible {
            return Err(broken("an impossible image"));
        }
        self.spend(exif_bytes)?;
        self.document.image = Some(ImageInfo {
            format: no_nul(image.format),
            color: no_nul(image.color),
            color_profile: image
                .color_profile
                .map(|name| no_nul(truncate(&name, MAX_METADATA_VALUE).to_owned())),
            exif: image
                .exif
                .into_iter()
                .map(|(key, value)| (no_nul(key), no_nul(value)))
                .collect(),
            // No format has one: it comes from a model, after this.
            caption: None,
            ..image
        });
        Ok(())
    }

    /// Adds a fact that the file states about itself.
    pub(super) fn metadata(&mut self, key: &str, value: &str) -> Result<(), ParseError> {
        if self.document.metadata.len() >= MAX_METADATA {
            return Err(broken("too much metadata"));
        }
        let value = clean_text(truncate(value, MAX_METADATA_VALUE)).into_owned();
        self.spend(value.len())?;
        self.document.metadata.insert(short_message(key), value);
        Ok(())
    }

    /// Adds an entry of the outline, a link or a field. Pages may be named before they come, but never such that cannot be.
    pub(super) fn structure(&mut self, part: Structure) -> Result<(), ParseError> {
        let page = match &part {
            Structure::Outline(OutlineItem { page, .. })
            | Structure::Field(FormField { page, .. }) => *page,
            Structure::Link(Link { page, .. }) => Some(*page),
        };
        if page.is_some_and(|page| page == 0 || page > MAX_PAGES) {
            return Err(broken("a page that cannot be"));
        }
        match part {
            Structure::Outline(item) => self.outline(item),
            Structure::Link(link) => self.link(link),
            Structure::Field(field) => self.field(field),
        }
    }

    fn outline(&mut self, mut item: OutlineItem) -> Result<(), ParseError> {
        if self.document.outline.len() >= MAX_OUTLINE || item.level == 0 {
            return Err(broken("an impossible outline"));
        }
        item.title = self.short_text(&item.title)?;
        self.document.outline.push(item);
        Ok(())
    }

    fn link(&mut self, mut link: Link) -> Result<(), ParseError> {
        let is_placed = link.bbox.iter().all(|edge| edge.is_finite());
        if self.document.links.len() >= MAX_LINKS || !is_placed {
            return Err(broken("an impossible link"));
        }
        link.uri = self.short_text(&link.uri)?;
        self.document.links.push(link);
        Ok(())
    }

    fn field(&mut self, mut field: FormField) -> Result<(), ParseError> {
        if self.document.fields.len() >= MAX_FIELDS {
            return Err(broken("too many fields"));
        }
        field.name = self.short_text(&field.name)?;
        if let Some(value) = &mut field.value {
            *value = self.short_text(value)?;
        }
        self.document.fields.push(field);
        Ok(())
    }

    fn short_text(&mut self, text: &str) -> Result<String, ParseError> {
        let text = clean_text(truncate(text, MAX_METADATA_VALUE)).into_owned();
        self.spend(text.len())?;
        Ok(text)
    }

    /// Adds a warning; more than anyone reads are dropped.
    pub(super) fn warning(&mut self, warning: &Warning) {
        if self.document.warnings.len() < MAX_WARNINGS {
            let (code, message) = (
                short_message(&warning.code),
                short_message(&warning.message),
            );
            self.document.warnings.push(Warning {
                code,
                message,
                page: warning.page,
            });
        }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), ParseError> {
        let left = self.budget.checked_sub(bytes as u64 + ITEM_BYTES);
        self.budget = left.ok_or_else(|| {
            ParseError::LimitExceeded("the document holds more text than is kept".to_owned())
        })?;
        Ok(())
    }
}

fn picture_size(head: &PageImageHead) -> Result<usize, ParseError> {
    let pixels = u64::from(head.width) * u64::from(head.height);
    let sizes = [head.dpi, head.page_width, head.page_height];
    let is_possible = (1..=MAX_PAGE_IMAGE_PIXELS).contains(&pixels)
        && sizes.iter().all(|size| size.is_finite() && *size >= 0.0);
    if is_possible {
        Ok(pixels as usize)
    } else {
        Err(broken("an impossible picture"))
    }
}

fn no_nul(mut text: String) -> String {
    remove_nul(&mut text);
    text
}

fn remove_nul(text: &mut String) {
    if text.contains('\0') {
        *text = clean_text(text).into_owned();
    }
}

#[cfg(test)]
mod tests;
