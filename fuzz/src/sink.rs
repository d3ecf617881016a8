//! Takes everything that a format puts out and forgets it, up to the limit of a real job.

use quire_extract::formats::{Output, PageImage};
use quire_extract::structure::Structure;
use quire_extract::{ImageInfo, Page, ParseError, Table, Warning};

/// Most bytes that a job may put out; a bomb ends here, as it does at the outbox of the child.
const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// What a job has put out so far.
#[derive(Default)]
pub(crate) struct Sink {
    bytes: usize,
}

impl Sink {
    fn take(&mut self, bytes: usize) -> Result<(), ParseError> {
        self.bytes += bytes;
        if self.bytes > MAX_OUTPUT {
            return Err(ParseError::LimitExceeded("output".to_owned()));
        }
        Ok(())
    }
}

impl Output for Sink {
    fn page(&mut self, page: Page) -> Result<(), ParseError> {
        self.take(page.text.len())
    }

    fn page_image(&mut self, _: u32, image: PageImage) -> Result<(), ParseError> {
        self.take(image.data.len())
    }

    fn page_part(&mut self, _: u32, _: [f32; 4], image: PageImage) -> Result<(), ParseError> {
        self.take(image.data.len())
    }

    fn table(&mut self, table: Table) -> Result<(), ParseError> {
        self.take(table.columns.len())
    }

    fn image(&mut self, _: ImageInfo) -> Result<(), ParseError> {
        Ok(())
    }

    fn metadata(&mut self, _: &str, _: &str) {}

    fn structure(&mut self, _: Structure) {}

    fn warning(&mut self, _: Warning) {}

    fn progress(&mut self, _: u32, _: Option<u32>) -> Result<(), ParseError> {
        Ok(())
    }
}
