//! Character recognition with Tesseract, as a program beside the parent.
//!
//! A sandboxed child cannot start programs, so it sends pictures of pages and the parent has them read here. Tesseract sees only grey
//! pixels that our own decoder wrote, never the file; it runs with an empty environment, one thread and a deadline. Where it is not
//! installed a page stays empty and says so: nothing fails.

mod ladder;
mod lay;
mod prepare;
mod process;
mod script;
mod tesseract;
mod tsv;
mod turn;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::document::{EmptyReason, Page, TextEngine, Warning};
use crate::error::ParseError;
use crate::formats::PageImage;
use crate::request::{CancelFlag, ParseRequest};

use ladder::Reading;
use tesseract::Tesseract;

/// Time for all pages of one document: about 2,500 clean pages.
const JOB_BUDGET: Duration = Duration::from_mins(30);

/// Most languages at a time; each one makes recognition slower and worse.
const MAX_LANGUAGES: usize = 4;

/// Whether a picture looks like lines of text on paper. Decided without recognising anything, in a hundredth of the time.
pub(crate) fn looks_like_text(image: &PageImage) -> bool {
    !prepare::is_blank(image) && prepare::is_paper(image) && lay::lay(image).is_lines()
}

/// Character recognition, if this machine has it.
#[derive(Debug)]
pub struct Ocr {
    installed: OnceLock<Option<Tesseract>>,
}

impl Ocr {
    /// Looks for Tesseract on the first use, not before: most files need none.
    pub fn find() -> Self {
        Self {
            installed: OnceLock::new(),
        }
    }

    /// A machine without Tesseract.
    #[cfg(test)]
    fn missing() -> Self {
        Self {
            installed: OnceLock::from(None),
        }
    }

    /// Prepares for the pages of one document, in the languages of `request`.
    pub fn start_job<'a>(&'a self, request: &'a ParseRequest) -> OcrJob<'a> {
        OcrJob {
            ocr: self,
            wanted: &request.ocr_languages,
            word_boxes: request.word_boxes,
            languages: None,
            warned: false,
            budget: JOB_BUDGET,
        }
    }

    /// The languages that are installed; `None` without Tesseract.
    pub fn languages(&self) -> Option<Vec<String>> {
        Some(self.tesseract()?.languages().map(str::to_owned).collect())
    }

    fn tesseract(&self) -> Option<&Tesseract> {
        self.installed.get_or_init(Tesseract::find).as_ref()
    }
}

/// The recognition of one document's pages.
#[derive(Debug)]
pub struct OcrJob<'a> {
    ocr: &'a Ocr,
    wanted: &'a [String],
    word_boxes: bool,
    /// What Tesseract is called with, once known.
    languages: Option<String>,
    /// Whether a reason why nothing is recognised was already given.
    warned: bool,
    budget: Duration,
}

impl<'a> OcrJob<'a> {
    /// The page in `image`. The only error is a cancel; everything else is a page that says why it is empty.
    pub fn recognise(
        &mut self,
        number: u32,
        image: &PageImage,
        cancel: &CancelFlag,
    ) -> Result<(Page, Vec<Warning>), ParseError> {
        let mut warnings = Vec::new();
        let reading = match self.ready(&mut warnings) {
            Ok((tesseract, languages)) => {
                let start = Instant::now();
                let reading = ladder::read(tesseract, &languages, image, self.budget, cancel)?;
                self.budget = self.budget.saturating_sub(start.elapsed());
                self.learn(&reading, &mut warnings);
                reading
            }
            Err(reason) => Reading::nothing(reason),
        };
        if reading.empty_reason == Some(EmptyReason::OcrFailed) {
            warnings.push(Warning::on_page(
                "ocr_failed",
                number,
                format!("the characters of page {number} could not be recognised"),
            ));
        }
        let engine = if reading.text.is_empty() {
            TextEngine::None
        } else {
            TextEngine::Tesseract
        };
        let page = Page {
            engine,
            score: reading.confidence.unwrap_or(0.0),
            confidence: reading.confidence,
            text: reading.text,
            lines: reading.lines,
            words: if self.word_boxes {
                reading.words
            } else {
                Vec::new()
            },
            empty_reason: reading.empty_reason,
            ..Page::empty(number, (image.page_width, image.page_height))
        };
        Ok((page, warnings))
    }

    /// Keeps the languages that a page was read in, and says once which one is missing.
    fn learn(&mut self, reading: &Reading, warnings: &mut Vec<Warning>) {
        if !reading.languages.is_empty() {
            self.languages = Some(reading.languages.clone());
        }
        if let Some(language) = reading.missing_language {
            let warning = missing_language(language);
            self.warn_once("ocr_language_missing", &warning, warnings);
        }
    }

    /// Tesseract and the languages to call it with, or why this page stays empty.
    fn ready(
        &mut self,
        warnings: &mut Vec<Warning>,
    ) -> Result<(&'a Tesseract, String), EmptyReason> {
        let ocr: &'a Ocr = self.ocr;
        let Some(tesseract) = ocr.tesseract() else {
            let message = "pages without text were not read: tesseract is not installed (package tesseract-ocr)";
            self.warn_once("ocr_unavailable", message, warnings);
            return Err(EmptyReason::OcrUnavailable);
        };
        if self.budget.is_zero() {
            self.warn_once(
                "ocr_limit",
                "recognition of this document took too long; later pages were not read",
                warnings,
            );
            return Err(EmptyReason::Limit);
        }
        if self.languages.is_none() {
            self.languages = Some(choose_languages(tesseract, self.wanted, warnings));
        }
        match self.languages.as_deref() {
            Some(languages) if !languages.is_empty() => Ok((tesseract, languages.to_owned())),
            _ => Err(EmptyReason::OcrUnavailable),
        }
    }

    fn warn_once(&mut self, code: &str, message: &str, warnings: &mut Vec<Warning>) {
        if !self.warned {
            self.warned = true;
            warnings.push(Warning::new(code, message));
        }
    }
}

/// The wanted languages that are installed, as Tesseract wants them; English when none is; empty when not even that.
fn choose_languages(
    tesseract: &Tesseract,
    wanted: &[String],
    warnings: &mut Vec<Warning>,
) -> String {
    let (found, missing): (Vec<&String>, Vec<&String>) = wanted
        .iter()
        .take(MAX_LANGUAGES)
        .partition(|language| tesseract.has(language));
    for language in missing {
        // A name that is not even shaped like one is not repeated to the user.
        let name = if tesseract::is_language_name(language) {
            language.as_str()
        } else {
            "?"
        };
        warnings.push(Warning::new("ocr_language_missing", missing_language(name)));
    }
    let mut names: Vec<&str> = found.into_iter().map(String::as_str).collect();
    if names.is_empty() && tesseract.has("eng") {
        names.push("eng");
    }
    names.join("+")
}

fn missing_language(name: &str) -> String {
    let package = name.replace('_', "-");
    format!("recognition language {name} is not installed (package tesseract-ocr-{package})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaType;

    fn white(side: u32) -> PageImage {
        PageImage {
            width: side,
            height: side,
            dpi: 0.0,
            page_width: 595.0,
            page_height: 842.0,
            data: vec![255; (side * side) as usize],
        }
    }

    #[test]
    fn without_tesseract_a_page_says_why_it_is_empty_and_the_document_says_it_once() {
        let (ocr, request) = (Ocr::missing(), ParseRequest::new(MediaType::Png));
        let mut job = ocr.start_job(&request);
        let cancel = CancelFlag::default();
        let (page, warnings) = job.recognise(4, &white(100), &cancel).unwrap();
        assert_eq!(page.empty_reason, Some(EmptyReason::OcrUnavailable));
        assert_eq!((page.number, page.width, page.height), (4, 595.0, 842.0));
        assert_eq!(warnings[0].code, "ocr_unavailable");
        assert!(warnings[0].message.contains("tesseract-ocr"));
        let (_, warnings) = job.recognise(5, &white(100), &cancel).unwrap();
        assert!(warnings.is_empty());
    }

    #[test]
    fn a_spent_budget_leaves_later_pages_empty() {
        let tesseract = Tesseract::pretend(&["eng"]);
        let ocr = Ocr {
            installed: OnceLock::from(Some(tesseract)),
        };
        let request = ParseRequest::new(MediaType::Png);
        let mut job = ocr.start_job(&request);
        job.budget = Duration::ZERO;
        let (page, warnings) = job
            .recognise(1, &white(100), &CancelFlag::default())
            .unwrap();
        assert_eq!(page.empty_reason, Some(EmptyReason::Limit));
        assert_eq!(warnings[0].code, "ocr_limit");
    }

    #[test]
    fn only_installed_languages_reach_the_command_line() {
        let tesseract = Tesseract::pretend(&["eng", "deu", "chi_sim"]);
        let choose = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            let mut warnings = Vec::new();
            let languages = choose_languages(&tesseract, &wanted, &mut warnings);
            (
                languages,
                warnings
                    .into_iter()
                    .map(|warning| warning.message)
                    .collect::<String>(),
            )
        };
        assert_eq!(choose(&["deu", "eng"]).0, "deu+eng");
        let (languages, messages) = choose(&["chi_tra", "deu"]);
        assert_eq!(languages, "deu");
        assert!(messages.contains("tesseract-ocr-chi-tra"), "{messages}");
        let (languages, messages) = choose(&["--oem;rm"]);
        assert_eq!(languages, "eng");
        assert!(!messages.contains("rm"), "{messages}");
    }
}
