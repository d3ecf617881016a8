//! One job on one child.
//!
//! Messages are taken as they come; a page that arrives as a picture is recognised here, while the child prepares the next one.
//! A job that ends early keeps the pages it already has: [`Ending::into_outcome`] turns them into a document with a warning.

use std::fs::File;
use std::time::Duration;

use super::assemble::Assembly;
use super::child_process::{ChildProcess, broken};
use super::pool::PoolConfig;
use super::watch::{Deadlines, Watch};
use crate::document::{Document, Page, Warning};
use crate::error::ParseError;
use crate::formats::PageImage;
use crate::frame::{FromChild, PageImageHead, ToChild};
use crate::ocr::{Ocr, OcrJob};
use crate::query::{self, QueryResult, TypedQuery};
use crate::request::{CancelFlag, ParseProgress, ParseRequest};

/// Waiting time that even the smallest file is given.
const WALL_BASE: Duration = Duration::from_secs(10);

/// Waiting time per MiB of file on top. A table is profiled at tens of MiB per second and a PDF of text at a few.
const WALL_PER_MIB: Duration = Duration::from_secs(1);

/// Waiting time that every page earns on top: a small file may hold a thousand pages.
const WALL_PER_PAGE: Duration = Duration::from_secs(1);

const MIB: u64 = 1024 * 1024;

/// Everything a job needs beside a child.
pub(super) struct Job<'a> {
    pub(super) config: &'a PoolConfig,
    pub(super) ocr: &'a Ocr,
    pub(super) file: &'a File,
    pub(super) request: &'a ParseRequest,
    /// A query over the file's table, and how many rows that has.
    pub(super) query: Option<(&'a TypedQuery, u64)>,
    pub(super) cancel: &'a CancelFlag,
}

/// How a job ended.
pub(super) struct Ending {
    assembly: Assembly,
    computed: Option<QueryResult>,
    /// Why there is no whole document.
    pub(super) error: Option<ParseError>,
    /// Whether the child may serve another job.
    pub(super) reusable: bool,
}

impl Ending {
    /// The document; what there is of it, when the job ended early for a reason that leaves the pages so far valid.
    pub(super) fn into_outcome(mut self) -> Result<Document, ParseError> {
        let Some(error) = self.error else {
            return Ok(self.assembly.finish());
        };
        let keeps_pages = matches!(
            error,
            ParseError::Timeout
                | ParseError::OutOfMemory
                | ParseError::Crashed(_)
                | ParseError::LimitExceeded(_)
                | ParseError::Damaged(_)
        );
        if !keeps_pages || !self.assembly.has_text() {
            return Err(error);
        }
        let message = format!(
            "reading stopped after {} pages: {error}",
            self.assembly.pages()
        );
        self.assembly.warning(&Warning::new("incomplete", message));
        Ok(self.assembly.finish())
    }

    /// What the query came to.
    pub(super) fn into_result(self) -> Result<QueryResult, ParseError> {
        match (self.error, self.computed) {
            (Some(error), _) => Err(error),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(broken("no result")),
        }
    }

    /// Whether the error may be the fault of an earlier job of the same child.
    pub(super) fn is_death(&self) -> bool {
        matches!(
            self.error,
            Some(ParseError::Crashed(_) | ParseError::OutOfMemory)
        )
    }
}

/// Runs `job` on `child` to its end.
pub(super) fn run(
    child: &mut ChildProcess,
    job: &Job<'_>,
    on: &mut dyn FnMut(ParseProgress),
) -> Ending {
    let assembly = Assembly::new(job.request.media, job.config.output_bytes);
    let mut course = Course {
        watch: Watch::new(job.cancel, deadlines(job)),
        ocr: job.ocr.start_job(job.request),
        progress: Progress { on, last: None },
        assembly,
        computed: None,
        child,
    };
    let last = course.drive(job);
    let (error, reusable) = match last {
        Ok(Last::Done) => (None, true),
        Ok(Last::Failed(error)) => {
            let reusable = !matches!(error, ParseError::Crashed(_));
            (Some(error), reusable)
        }
        Err(error) => (Some(error), false),
    };
    Ending {
        assembly: course.assembly,
        computed: course.computed,
        error,
        reusable,
    }
}

fn deadlines(job: &Job<'_>) -> Deadlines {
    let bytes = job.file.metadata().map_or(0, |metadata| metadata.len());
    let mebibytes = u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
    Deadlines {
        wall: WALL_BASE.saturating_add(WALL_PER_MIB.saturating_mul(mebibytes)),
        longest_wall: job.config.wall,
        silence: job.config.idle_progress,
    }
}

enum Last {
    Done,
    Failed(ParseError),
}

/// A job under way.
struct Course<'a> {
    child: &'a mut ChildProcess,
    watch: Watch<'a>,
    ocr: OcrJob<'a>,
    assembly: Assembly,
    computed: Option<QueryResult>,
    progress: Progress<'a>,
}

impl Course<'_> {
    /// An error means that the child is lost.
    fn drive(&mut self, job: &Job<'_>) -> Result<Last, ParseError> {
        let message = match job.query {
            None => ToChild::Parse(job.request.clone()),
            Some((query, _)) => ToChild::Compute(job.request.clone(), query.clone()),
        };
        self.child.send_job(job.file, &message)?;
        loop {
            match self.child.receive(&mut self.watch)? {
                FromChild::Done => return Ok(Last::Done),
                FromChild::Failed { code, detail } => {
                    return Ok(Last::Failed(ParseError::from_wire(&code, &detail)));
                }
                FromChild::Computed(result) => self.computed(*result, job)?,
                FromChild::Progress { done, total } => self.progress.report(done, total),
                _ if job.query.is_some() => return Err(broken("a document in place of a result")),
                FromChild::PageImage(head) => {
                    let size = self.assembly.page_image(&head)?;
                    let page = self.recognise(head, size, job.cancel)?;
                    self.assembly.page(page)?;
                    let total = self.progress.last.and_then(|progress| progress.total);
                    self.progress.report(head.number, total);
                }
                FromChild::PagePart(head, place) => {
                    let size = self.assembly.page_part(&head, &place)?;
                    let page = self.recognise(head, size, job.cancel)?;
                    self.assembly.recognised(page, (place[0], place[1]))?;
                }
                other => self.take(other)?,
            }
        }
    }

    fn take(&mut self, message: FromChild) -> Result<(), ParseError> {
        match message {
            FromChild::Page(page) => {
                self.assembly.page_number(page.number)?;
                self.watch.extend(WALL_PER_PAGE);
                self.assembly.page(page)
            }
            FromChild::Table(table) => self.assembly.table(*table),
            FromChild::Image(image) => self.assembly.image(image),
            FromChild::Metadata(key, value) => self.assembly.metadata(&key, &value),
            FromChild::Structure(part) => self.assembly.structure(part),
            FromChild::Warning(warning) => {
                self.assembly.warning(&warning);
                Ok(())
            }
            FromChild::Hello { .. }
            | FromChild::Computed(_)
            | FromChild::Progress { .. }
            | FromChild::PageImage(_)
            | FromChild::Picture { .. }
            | FromChild::PagePart(..)
            | FromChild::Done
            | FromChild::Failed { .. } => Err(broken("a message out of order")),
        }
    }

    fn computed(&mut self, result: QueryResult, job: &Job<'_>) -> Result<(), ParseError> {
        let (query, rows) = job
            .query
            .filter(|_| self.computed.is_none())
            .ok_or_else(|| broken("a result that nobody asked for"))?;
        self.computed = Some(query::check(result, query, rows).map_err(broken)?);
        Ok(())
    }

    /// Takes the picture of `size` bytes that was announced and reads it.
    fn recognise(
        &mut self,
        head: PageImageHead,
        size: usize,
        cancel: &CancelFlag,
    ) -> Result<Page, ParseError> {
        let mut data = vec![0; size];
        self.child.receive_exact(&mut data, &mut self.watch)?;
        self.watch.heard();
        self.watch.extend(WALL_PER_PAGE);
        let image = PageImage {
            width: head.width,
            height: head.height,
            dpi: head.dpi,
            page_width: head.page_width,
            page_height: head.page_height,
            data,
        };
        let (page, warnings) = self.ocr.recognise(head.number, &image, cancel)?;
        for warning in warnings {
            self.assembly.warning(&warning);
        }
        Ok(page)
    }
}

/// Passes progress on, never backwards.
struct Progress<'a> {
    on: &'a mut dyn FnMut(ParseProgress),
    last: Option<ParseProgress>,
}

impl Progress<'_> {
    fn report(&mut self, done: u32, total: Option<u32>) {
        let done = self.last.map_or(done, |last| done.max(last.done));
        let progress = ParseProgress { done, total };
        if self.last != Some(progress) {
            self.last = Some(progress);
            (self.on)(progress);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::TextEngine;
    use crate::media::MediaType;

    fn ending(error: ParseError, text: &str) -> Ending {
        let mut assembly = Assembly::new(MediaType::Pdf, 1_000);
        let page = Page {
            text: text.to_owned(),
            engine: TextEngine::Hayro,
            score: 1.0,
            ..Page::empty(1, (1.0, 1.0))
        };
        assembly.page(page).unwrap();
        Ending {
            assembly,
            computed: None,
            error: Some(error),
            reusable: false,
        }
    }

    #[test]
    fn pages_survive_the_death_of_their_parser() {
        let document = ending(ParseError::Timeout, "text").into_outcome().unwrap();
        assert_eq!(document.pages.len(), 1);
        assert_eq!(document.warnings[0].code, "incomplete");
    }

    #[test]
    fn a_cancel_or_an_empty_document_is_an_error() {
        assert!(matches!(
            ending(ParseError::Cancelled, "text").into_outcome(),
            Err(ParseError::Cancelled)
        ));
        assert!(matches!(
            ending(ParseError::Timeout, " ").into_outcome(),
            Err(ParseError::Timeout)
        ));
    }

    #[test]
    fn progress_never_goes_back_and_is_not_repeated() {
        let mut seen = Vec::new();
        let mut on = |progress: ParseProgress| seen.push(progress.done);
        let mut progress = Progress {
            on: &mut on,
            last: None,
        };
        for done in [1, 3, 2, 3, 4] {
            progress.report(done, None);
        }
        assert_eq!(seen, [1, 3, 4]);
    }
}
