//! What a caller asks of the pool, and how it stops asking.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use crate::media::MediaType;

/// One file to read.
#[derive(Clone, Serialize, Deserialize)]
pub struct ParseRequest {
    /// What to read it as; [`crate::sniff`] finds out.
    pub media: MediaType,
    /// Opens an encrypted PDF. Not part of the debug output, so that no log can hold it.
    pub password: Option<String>,
    /// Tesseract's names of the languages to recognise, most likely first.
    pub ocr_languages: Vec<String>,
    /// Whether each page brings the place of every word. They make a document about six times as long, so they are not for storing.
    #[serde(default)]
    pub word_boxes: bool,
    /// The first and the last page to read, 1-based; all pages when absent. Formats without pages of their own read everything.
    #[serde(default)]
    pub pages: Option<(u32, u32)>,
}

impl ParseRequest {
    /// A request for `media` without a password, in English.
    pub fn new(media: MediaType) -> Self {
        Self {
            media,
            password: None,
            ocr_languages: vec!["eng".to_owned()],
            word_boxes: false,
            pages: None,
        }
    }
}

impl fmt::Debug for ParseRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParseRequest")
            .field("media", &self.media)
            .field("ocr_languages", &self.ocr_languages)
            .field("word_boxes", &self.word_boxes)
            .field("pages", &self.pages)
            .finish_non_exhaustive()
    }
}

/// How far a job is: pages, or megabytes of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseProgress {
    /// Units that are done; never goes down within a job.
    pub done: u32,
    /// Units in all, when known.
    pub total: Option<u32>,
}

/// Set once, from any thread, to stop a job. Copies share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the job was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let request = ParseRequest {
            password: Some("s3cret".to_owned()),
            ..ParseRequest::new(MediaType::Pdf)
        };
        assert!(!format!("{request:?}").contains("s3cret"));
    }

    #[test]
    fn copies_of_a_flag_are_one_flag() {
        let flag = CancelFlag::default();
        let copy = flag.clone();
        copy.cancel();
        assert!(flag.is_cancelled());
    }
}
