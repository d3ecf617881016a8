//! The attempts at one page, cheapest first, until one is good.
//!
//! 1. Automatic segmentation, on the picture in even light, without specks, turned so that its lines run across. Finding out how it
//!    lies costs a hundredth of recognising it.
//! 2. Nothing found on what looks like paper: as one block. Found, but doubtful: turned as Tesseract's detection of orientation says,
//!    with a language of the script that it sees.
//! 3. Still doubtful and the picture was changed: as it came, in case the shadow was a photograph.

use std::time::{Duration, Instant};

use super::lay::{Lay, lay};
use super::prepare;
use super::process::RunError;
use super::script;
use super::tesseract::{How, Segmentation, Tesseract};
use super::tsv::{self, Recognised};
use super::turn::Turned;
use crate::document::{EmptyReason, Line};
use crate::error::ParseError;
use crate::formats::PageImage;
use crate::request::CancelFlag;
use crate::structure::WordBox;

/// Time for one attempt. A dense A4 page takes a second of CPU; the machine may be busy.
const ATTEMPT_WITHIN: Duration = Duration::from_mins(1);

/// Mean confidence from which an attempt is good. Clean print reads at 0.95, a page on its side at 0.4.
const GOOD: f32 = 0.75;

/// What the best attempt found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) words: Vec<WordBox>,
    pub(super) confidence: Option<f32>,
    pub(super) empty_reason: Option<EmptyReason>,
    /// What it was read with; the next page is probably written in the same language.
    pub(super) languages: String,
    /// A language that it seems to be written in and that is not installed.
    pub(super) missing_language: Option<&'static str>,
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
    let cleaned = prepare::cleaned(image);
    let lay = lay(cleaned.as_ref().unwrap_or(image));
    let mut climb = Climb {
        tesseract,
        languages: languages.to_owned(),
        missing_language: None,
        end: Instant::now() + budget,
        cancel,
        best: None,
    };
    let raw = cleaned.is_some().then_some(image);
    match climb.climb(cleaned.as_ref().unwrap_or(image), raw, lay) {
        Err(RunError::Cancelled) => Err(ParseError::Cancelled),
        Err(RunError::Failed) if climb.best.is_none() => {
            Ok(Reading::nothing(EmptyReason::OcrFailed))
        }
        Ok(()) | Err(RunError::Failed) => Ok(climb.into_reading()),
    }
}

struct Climb<'a> {
    tesseract: &'a Tesseract,
    languages: String,
    /// A language that the page seems to be written in and that is not installed.
    missing_language: Option<&'static str>,
    end: Instant,
    cancel: &'a CancelFlag,
    best: Option<Recognised>,
}

impl Climb<'_> {
    fn climb(
        &mut self,
        image: &PageImage,
        raw: Option<&PageImage>,
        lay: Lay,
    ) -> Result<(), RunError> {
        let upright = Turned::by(image, lay.turns, lay.skew);
        self.attempt(&upright, Segmentation::Automatic)?;
        if self.is_good() {
            return Ok(());
        }
        if self.saw_words() || lay.is_lines() {
            self.look_again(image, &upright, lay)?;
        }
        if !self.saw_words() && prepare::is_paper(image) {
            self.attempt(&upright, Segmentation::OneBlock)?;
        }
        match raw {
            Some(raw) if !self.is_good() => {
                self.attempt(&Turned::by(raw, 0, 0.0), Segmentation::Automatic)
            }
            _ => Ok(()),
        }
    }

    /// Asks which way is up and which script it is, and reads the page again if that is news.
    fn look_again(
        &mut self,
        image: &PageImage,
        upright: &Turned,
        lay: Lay,
    ) -> Result<(), RunError> {
        let seen = self
            .tesseract
            .detect(&upright.image, self.deadline(), self.cancel)?;
        // Where nothing tells, lines of text may stand on their head; what has none is a photograph.
        let otherwise = if lay.is_lines() { 2 } else { 0 };
        let turns = seen.as_ref().map_or(otherwise, |seen| seen.turns);
        let script = seen.and_then(|seen| seen.script);
        let language = script.and_then(|script| script::language_of(&script, self.tesseract));
        if let Some(Err(missing)) = language {
            self.missing_language = Some(missing);
        }
        let is_read_already =
            |language: &str| self.languages.split('+').any(|known| known == language);
        let news = language
            .and_then(Result::ok)
            .filter(|language| !is_read_already(language));
        if turns == 0 && news.is_none() {
            return Ok(());
        }
        let before = self.best.as_ref().map_or(0.0, evidence);
        let usual = self.languages.clone();
        if let Some(language) = news {
            language.clone_into(&mut self.languages);
        }
        self.attempt(
            &Turned::by(image, lay.turns + turns, lay.skew),
            Segmentation::Automatic,
        )?;
        if self.best.as_ref().map_or(0.0, evidence) <= before {
            self.languages = usual;
        }
        Ok(())
    }

    fn deadline(&self) -> Duration {
        ATTEMPT_WITHIN.min(self.end.saturating_duration_since(Instant::now()))
    }

    fn attempt(&mut self, picture: &Turned, segmentation: Segmentation) -> Result<(), RunError> {
        let how = How {
            languages: &self.languages,
            segmentation,
            deadline: self.deadline(),
        };
        let table = self.tesseract.read(&picture.image, &how, self.cancel)?;
        let found = tsv::parse(&table, &picture.places);
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
        let (languages, missing_language) = (self.languages, self.missing_language);
        match self.best {
            Some(best) if best.characters > 0 => Reading {
                text: best.text,
                lines: best.lines,
                words: best.words,
                confidence: Some(best.confidence),
                empty_reason: None,
                languages,
                missing_language,
            },
            _ => Reading {
                languages,
                missing_language,
                ..Reading::nothing(EmptyReason::Blank)
            },
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
