//! What a format says about some bytes, for tests.

use std::collections::BTreeMap;

use super::{FORMATS, Input, Output, PageImage, find};
use crate::document::{ImageInfo, Page, Table, Warning};
use crate::error::ParseError;
use crate::media::MediaType;
use crate::request::ParseRequest;
use crate::structure::Structure;

/// Everything that a format has put out.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) pages: Vec<Page>,
    pub(crate) page_images: Vec<u32>,
    pub(crate) table: Option<Table>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) structure: Vec<Structure>,
    pub(crate) warnings: Vec<Warning>,
}

impl Collected {
    /// Reads `bytes`, which must succeed.
    pub(crate) fn of(media: MediaType, bytes: &[u8]) -> Self {
        Self::try_of(media, bytes).unwrap()
    }

    /// Reads `bytes`.
    pub(crate) fn try_of(media: MediaType, bytes: &[u8]) -> Result<Self, ParseError> {
        let mut out = Self::default();
        let mut input = Input::from_bytes(bytes.to_vec());
        find(FORMATS, media)
            .unwrap()
            .parse(&mut input, &ParseRequest::new(media), &mut out)?;
        Ok(out)
    }

    /// The texts of the pages.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.pages.iter().map(|page| page.text.clone()).collect()
    }

    /// The codes of the warnings.
    pub(crate) fn codes(&self) -> Vec<&str> {
        self.warnings
            .iter()
            .map(|warning| warning.code.as_str())
            .collect()
    }
}

impl Output for Collected {
    fn page(&mut self, page: Page) -> Result<(), ParseError> {
        self.pages.push(page);
        Ok(())
    }

    fn page_image(&mut self, number: u32, _: PageImage) -> Result<(), ParseError> {
        self.page_images.push(number);
        Ok(())
    }

    fn page_part(&mut self, _: u32, _: [f32; 4], _: PageImage) -> Result<(), ParseError> {
        Ok(())
    }

    fn table(&mut self, table: Table) -> Result<(), ParseError> {
        assert!(self.table.replace(table).is_none(), "at most one table");
        Ok(())
    }

    fn image(&mut self, _: ImageInfo) -> Result<(), ParseError> {
        Ok(())
    }

    fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.to_owned());
    }

    fn structure(&mut self, part: Structure) {
        self.structure.push(part);
    }

    fn warning(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }

    fn progress(&mut self, _: u32, _: Option<u32>) -> Result<(), ParseError> {
        Ok(())
    }
}
