//! The attempts at one page, cheapest first, until one is good.
//!
//! 1. Automatic segmentation, on the picture in even light.
//! 2. Nothing found on what looks like paper: as one block (a page that is 4 degrees askew looks empty to automatic segmentation).
//!    Found, but doubtful: with orientation, which costs half as much again and reads a page that lies on its side.
//! 3. Still doubtful and the light was evened: the picture as it came, in case the shadow was a photograph.

use std::time::{Duration, Instant};

use super::prepare;
use super::process::RunError;
use super::tesseract::{How, Segmentation, Tesseract};
use super::tsv::{self, Recognised};
use crate::document::{EmptyReason, Line};
use crate::error::ParseError;
use crate::formats::PageImage;
use crate::request::CancelFlag;

/// Time for one attempt. A dense A4 page takes a second of CPU; the machine may be busy.
const ATTEMPT_WITHIN: Duration = Duration::from_mins(1);

/// Mean confidence from which an attempt is good. Clean print reads at 0.95, a page on its side at 0.4.
const GOOD: f32 = 0.75;

/// What the best attempt found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) confidence: Option<f32>,
    pub(super) empty_reason: Option<EmptyReason>,
}

impl Reading {
    /// No text, for `reason`.
    pub(super) fn nothing(reason: EmptyReason) -> Self {
        Self {
            empty_reason: Some(reason),
            ..Self::default()
        }
    }
}

/// Reads `image`; the only error is a cancel.
pub(super) fn read(
    tesseract: &Tesseract,
    languages: &str,
    image: &PageImage,
    budget: Duration,
    cancel: &CancelFlag,
) -> Result<Reading, ParseError> {
    if prepare::is_blank(image) {
        return Ok(Reading::nothing(EmptyReason::Blank));
    }
    let scale = [
        image.page_width / image.width as f32,
        image.page_height / image.height as f32,
    ];
    let evened = prepare::even_light(image);
    let mut climb = Climb {
        tesseract,
        languages,
        scale,
        end: Instant::now() + budget,
        cancel,
        best: None,
    };
    let result = climb.climb(
        evened.as_ref().unwrap_or(image),
        evened.is_some().then_some(image),
    );
    match result {
        Err(RunError::Cancelled) => Err(ParseError::Cancelled),
        Err(RunError::Failed) if climb.best.is_none() => {
            Ok(Reading::nothing(EmptyReason::OcrFailed))
        }
        Ok(()) | Err(RunError::Failed) => Ok(climb.into_reading()),
    }
}

struct Climb<'a> {
    tesseract: &'a Tesseract,
    languages: &'a str,
    scale: [f32; 2],
    end: Instant,
    cancel: &'a CancelFlag,
    best: Option<Recognised>,
}

impl Climb<'_> {
    fn climb(&mut self, image: &PageImage, raw: Option<&PageImage>) -> Result<(), RunError> {
        self.attempt(image, Segmentation::Automatic)?;
        if self.is_good() {
            return Ok(());
        }
        if self.saw_words() {
            self.attempt(image, Segmentation::WithOrientation)?;
        } else if prepare::is_paper(image) {
            self.attempt(image, Segmentation::OneBlock)?;
        }
        match raw {
            Some(raw) if !self.is_good() => self.attempt(raw, Segmentation::Automatic),
            _ => Ok(()),
        }
    }

    fn attempt(&mut self, image: &PageImage, segmentation: Segmentation) -> Result<(), RunError> {
        if segmentation == Segmentation::WithOrientation && !self.tesseract.has("osd") {
            return Ok(());
        }
        let deadline = ATTEMPT_WITHIN.min(self.end.saturating_duration_since(Instant::now()));
        let how = How {
            languages: self.languages,
            segmentation,
            deadline,
        };
        let table = self.tesseract.read(image, &how, self.cancel)?;
        let found = tsv::parse(&table, self.scale);
        if self
            .best
            .as_ref()
            .is_none_or(|best| evidence(&found) > evidence(best))
        {
            self.best = Some(found);
        }
        Ok(())
    }

    fn is_good(&self) -> bool {
        self.best
            .as_ref()
            .is_some_and(|best| best.characters > 0 && best.confidence >= GOOD)
    }

    fn saw_words(&self) -> bool {
        self.best.as_ref().is_some_and(|best| best.saw_words)
    }

    fn into_reading(self) -> Reading {
        match self.best {
            Some(best) if best.characters > 0 => Reading {
                text: best.text,
                lines: best.lines,
                confidence: Some(best.confidence),
                empty_reason: None,
            },
            _ => Reading::nothing(EmptyReason::Blank),
        }
    }
}

/// How much an attempt found: sure characters count, doubtful ones hardly.
fn evidence(found: &Recognised) -> f32 {
    found.confidence.powi(4) * found.characters as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sure_words_beat_many_doubtful_ones() {
        let found = |confidence, characters| Recognised {
            confidence,
            characters,
            ..Recognised::default()
        };
        assert!(evidence(&found(0.95, 900)) > evidence(&found(0.4, 1_100)));
        assert!(evidence(&found(0.9, 900)) > evidence(&found(0.95, 90)));
        assert!(evidence(&Recognised::default()) <= 0.0);
    }

    #[test]
    fn a_program_that_cannot_run_is_a_page_that_says_so() {
        let tesseract = Tesseract::pretend(&["eng"]);
        let image = PageImage {
            width: 64,
            height: 64,
            dpi: 0.0,
            page_width: 64.0,
            page_height: 64.0,
            data: (0..64 * 64)
                .map(|index| if index % 7 == 0 { 0 } else { 255 })
                .collect(),
        };
        let reading = read(
            &tesseract,
            "eng",
            &image,
            Duration::from_mins(1),
            &CancelFlag::default(),
        )
        .unwrap();
        assert_eq!(reading, Reading::nothing(EmptyReason::OcrFailed));
    }
}
