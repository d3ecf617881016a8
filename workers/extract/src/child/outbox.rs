//! The child's [`Output`]: keeps a format's results within the limits and sends them to the parent.
//!
//! What is too long is cut and a warning says so; what is too much ends the job with an error. A parent that has gone away ends it
//! too, at the next call.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use crate::document::{ImageInfo, Page, Table, Warning, clean_text};
use crate::error::{ParseError, short_message};
use crate::formats::{MAX_PAGE_IMAGE_PIXELS, Output, PageImage};
use crate::frame::{self, FromChild, PageImageHead};
use crate::limits::{
    MAX_COLUMNS, MAX_FIELDS, MAX_LINKS, MAX_METADATA, MAX_METADATA_VALUE, MAX_OUTLINE,
    MAX_PAGE_CELLS, MAX_PAGE_LINES, MAX_PAGE_TABLES, MAX_PAGE_TEXT, MAX_PAGE_WORDS, MAX_PAGES,
    MAX_WARNINGS, truncate,
};
use crate::picture::Picture;
use crate::structure::Structure;

/// Sends what a format hands out.
pub(super) struct Outbox<'a> {
    socket: &'a UnixStream,
    last_page: u32,
    metadata: usize,
    /// Entries of the outline, links and fields that were sent.
    structure: [usize; 3],
    warnings: usize,
    /// A failed send of a call that returns nothing; reported by the next call that can.
    failed: Option<io::Error>,
}

impl<'a> Outbox<'a> {
    /// An outbox for one job.
    pub(super) fn new(socket: &'a UnixStream) -> Self {
        Self {
            socket,
            last_page: 0,
            metadata: 0,
            structure: [0; 3],
            warnings: 0,
            failed: None,
        }
    }

    /// Reports a send that failed quietly.
    pub(super) fn finish(mut self) -> Result<(), ParseError> {
        self.failed.take().map_or(Ok(()), |error| Err(error.into()))
    }

    fn send(&mut self, message: &FromChild) -> Result<(), ParseError> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        Ok(frame::write(&mut self.socket, message)?)
    }

    fn send_quietly(&mut self, message: &FromChild) {
        if self.failed.is_none() {
            self.failed = frame::write(&mut self.socket, message).err();
        }
    }

    fn take_page_number(&mut self, number: u32) -> Result<(), ParseError> {
        if number > MAX_PAGES {
            return Err(ParseError::LimitExceeded(format!(
                "more than {MAX_PAGES} pages"
            )));
        }
        if number <= self.last_page {
            return Err(ParseError::Crashed(format!(
                "page {number} came after page {}",
                self.last_page
            )));
        }
        self.last_page = number;
        Ok(())
    }
}

impl Output for Outbox<'_> {
    fn page(&mut self, mut page: Page) -> Result<(), ParseError> {
        self.take_page_number(page.number)?;
        if tidy_page(&mut page) {
            let message = format!(
                "page {} holds more text than is kept; its end is left out",
                page.number
            );
            self.warning(Warning::on_page("page_cut", page.number, message));
        }
        self.send(&FromChild::Page(page))
    }

    fn page_image(&mut self, number: u32, image: PageImage) -> Result<(), ParseError> {
        self.take_page_number(number)?;
        let head = picture_head(number, &image)?;
        self.send(&FromChild::PageImage(head))?;
        Ok(self.socket.write_all(&image.data)?)
    }

    fn page_part(
        &mut self,
        number: u32,
        place: [f32; 4],
        image: PageImage,
    ) -> Result<(), ParseError> {
        let head = picture_head(number, &image)?;
        self.send(&FromChild::PagePart(head, place.map(finite)))?;
        Ok(self.socket.write_all(&image.data)?)
    }

    fn table(&mut self, table: Table) -> Result<(), ParseError> {
        if table.columns.len() > MAX_COLUMNS {
            return Err(ParseError::LimitExceeded(format!(
                "more than {MAX_COLUMNS} columns"
            )));
        }
        self.send(&FromChild::Table(Box::new(table)))
    }

    fn image(&mut self, image: ImageInfo) -> Result<(), ParseError> {
        self.send(&FromChild::Image(image))
    }

    fn metadata(&mut self, key: &str, value: &str) {
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || value.is_empty() || self.metadata >= MAX_METADATA {
            return;
        }
        self.metadata += 1;
        let value = clean_text(truncate(value, MAX_METADATA_VALUE)).into_owned();
        self.send_quietly(&FromChild::Metadata(short_message(key), value));
    }

    fn structure(&mut self, mut part: Structure) {
        let (sent, most) = match &part {
            Structure::Outline(_) => (&mut self.structure[0], MAX_OUTLINE),
            Structure::Link(_) => (&mut self.structure[1], MAX_LINKS),
            Structure::Field(_) => (&mut self.structure[2], MAX_FIELDS),
        };
        if *sent < most && tidy_structure(&mut part) {
            *sent += 1;
            self.send_quietly(&FromChild::Structure(part));
        }
    }

    fn warning(&mut self, warning: Warning) {
        if self.warnings >= MAX_WARNINGS {
            return;
        }
        self.warnings += 1;
        let message = short_message(&warning.message);
        self.send_quietly(&FromChild::Warning(Warning { message, ..warning }));
    }

    fn progress(&mut self, done: u32, total: Option<u32>) -> Result<(), ParseError> {
        self.send(&FromChild::Progress { done, total })
    }
}

/// Sends the one result of a job that draws.
pub(super) fn send_picture(mut socket: &UnixStream, picture: &Picture) -> Result<(), ParseError> {
    let head = FromChild::Picture {
        width: picture.width,
        height: picture.height,
    };
    frame::write(&mut socket, &head)?;
    Ok(socket.write_all(&picture.data)?)
}

fn picture_head(number: u32, image: &PageImage) -> Result<PageImageHead, ParseError> {
    let pixels = u64::from(image.width) * u64::from(image.height);
    if pixels == 0 || pixels > MAX_PAGE_IMAGE_PIXELS || pixels != image.data.len() as u64 {
        let size = format!("{} x {}", image.width, image.height);
        return Err(ParseError::LimitExceeded(format!(
            "the picture of page {number} has {size} pixels"
        )));
    }
    Ok(PageImageHead {
        number,
        width: image.width,
        height: image.height,
        dpi: finite(image.dpi),
        page_width: finite(image.page_width),
        page_height: finite(image.page_height),
    })
}

/// Brings a page within the limits; true when text was cut.
fn tidy_page(page: &mut Page) -> bool {
    let cut = page.text.len() > MAX_PAGE_TEXT;
    if cut {
        let end = page.text.floor_char_boundary(MAX_PAGE_TEXT);
        page.text.truncate(end);
    }
    // One character for one, so that the lines keep pointing at theirs.
    page.text = clean_text(&page.text).into_owned();
    if page.text.len() > MAX_PAGE_TEXT {
        let end = page.text.floor_char_boundary(MAX_PAGE_TEXT);
        page.text.truncate(end);
    }
    let characters = page.text.chars().count() as u32;
    page.lines.retain(|line| {
        line.start <= line.end
            && line.end <= characters
            && line.bbox.iter().all(|edge| edge.is_finite())
    });
    page.lines.truncate(MAX_PAGE_LINES);
    page.words.retain(|word| {
        word.start <= word.end
            && word.end <= characters
            && word.bbox.iter().all(|edge| edge.is_finite())
    });
    page.words.truncate(MAX_PAGE_WORDS);
    tidy_tables(page, characters);
    page.width = finite(page.width);
    page.height = finite(page.height);
    page.score = finite(page.score).clamp(0.0, 1.0);
    page.confidence = page
        .confidence
        .map(|confidence| finite(confidence).clamp(0.0, 1.0));
    cut
}

/// Leaves out tables that are too much, and points those whose text was cut at what is left of it.
fn tidy_tables(page: &mut Page, characters: u32) {
    page.tables.truncate(MAX_PAGE_TABLES);
    let mut cells = 0;
    page.tables.retain_mut(|table| {
        cells += table.rows.iter().map(Vec::len).sum::<usize>();
        table.end = table.end.min(characters);
        table.start = table.start.min(table.end);
        let is_placed = table
            .bbox
            .is_none_or(|bbox| bbox.iter().all(|edge| edge.is_finite()));
        cells <= MAX_PAGE_CELLS && is_placed
    });
}

/// Shortens what is too long; false when there is nothing to send.
fn tidy_structure(part: &mut Structure) -> bool {
    let shorten = |text: &mut String| {
        *text = clean_text(truncate(text.trim(), MAX_METADATA_VALUE)).into_owned();
        !text.is_empty()
    };
    match part {
        Structure::Outline(item) => shorten(&mut item.title) && item.level > 0,
        Structure::Link(link) => {
            shorten(&mut link.uri) && link.bbox.iter().all(|edge| edge.is_finite())
        }
        Structure::Field(field) => {
            field.value = field.value.take().filter(|value| !value.is_empty());
            if let Some(value) = &mut field.value {
                shorten(value);
            }
            shorten(&mut field.name)
        }
    }
}

/// JSON has no infinity and no NaN.
fn finite(number: f32) -> f32 {
    if number.is_finite() { number } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Line, TextEngine};
    use crate::structure::{FieldKind, FormField, PageTable};

    fn page(text: &str) -> Page {
        Page {
            text: text.to_owned(),
            engine: TextEngine::Hayro,
            score: f32::NAN,
            confidence: Some(f32::INFINITY),
            ..Page::empty(1, (595.0, 842.0))
        }
    }

    #[test]
    fn a_page_is_brought_within_the_limits() {
        let mut page = page("é\0x");
        page.lines = vec![
            Line::new(0, 3, [0.0; 4]),
            Line::new(0, 4, [0.0; 4]),
            Line::new(0, 1, [f32::NAN, 0.0, 0.0, 0.0]),
        ];
        assert!(!tidy_page(&mut page));
        assert_eq!(page.text, "é\u{FFFD}x");
        assert_eq!(page.lines.len(), 1);
        assert_eq!((page.score, page.confidence), (0.0, Some(0.0)));
    }

    #[test]
    fn structure_is_brought_within_the_limits() {
        let field = |name: &str, value: &str| {
            let (kind, page) = (FieldKind::Text, None);
            let (name, value) = (name.to_owned(), Some(value.to_owned()));
            Structure::Field(FormField {
                name,
                kind,
                value,
                page,
            })
        };
        let mut long = field(" a ", &"é".repeat(MAX_METADATA_VALUE));
        assert!(tidy_structure(&mut long));
        let half = "é".repeat(MAX_METADATA_VALUE / 2);
        assert_eq!(long, field("a", &half));
        assert!(!tidy_structure(&mut field(" ", "value without a name")));
    }

    #[test]
    fn tables_over_the_limit_are_left_out_and_others_point_at_the_text_that_is_left() {
        let mut page = page("text");
        let table = |columns: usize| PageTable {
            start: 2,
            end: 90,
            bbox: None,
            rows: vec![vec![String::new(); columns]],
            spans: vec![],
        };
        page.tables = vec![table(2), table(MAX_PAGE_CELLS)];
        tidy_page(&mut page);
        assert_eq!((page.tables.len(), page.tables[0].end), (1, 4));
    }

    #[test]
    fn text_over_the_limit_is_cut_between_characters() {
        let mut page = page(&"é".repeat(MAX_PAGE_TEXT));
        assert!(tidy_page(&mut page));
        assert_eq!(page.text.len(), MAX_PAGE_TEXT);
    }

    #[test]
    fn pages_go_up() {
        let (socket, _other) = UnixStream::pair().unwrap();
        let mut outbox = Outbox::new(&socket);
        outbox.page(page("one")).unwrap();
        assert!(matches!(
            outbox.page(page("one")),
            Err(ParseError::Crashed(_))
        ));
        let number = MAX_PAGES + 1;
        assert!(matches!(
            outbox.page(Page {
                number,
                ..page("x")
            }),
            Err(ParseError::LimitExceeded(_))
        ));
    }
}
