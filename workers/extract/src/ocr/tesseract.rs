//! Tesseract on this machine: where it is, what languages it knows, one call.

use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::fs::MemfdFlags;

use super::process::{self, RunError};
use super::script::{self, Seen};
use crate::formats::PageImage;
use crate::request::CancelFlag;

/// File name of the program.
const PROGRAM: &str = "tesseract";

/// Where the distributions that need it set say where the language data is.
const DATA_VARIABLE: &str = "TESSDATA_PREFIX";

/// Data for telling orientation and script.
const ORIENTATION: &str = "osd";

/// Time for the list of languages.
const LIST_WITHIN: Duration = Duration::from_secs(20);

/// Page segmentation modes of Tesseract that the ladder uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segmentation {
    /// 3: automatic.
    Automatic,
    /// 6: one block of text; finds lines where automatic segmentation finds none.
    OneBlock,
}

impl Segmentation {
    fn argument(self) -> &'static str {
        match self {
            Self::Automatic => "3",
            Self::OneBlock => "6",
        }
    }
}

/// How a picture is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    /// Names for which [`Tesseract::has`] holds, joined by `+`.
    pub(super) languages: &'a str,
    pub(super) segmentation: Segmentation,
    /// Time until the program is killed.
    pub(super) deadline: Duration,
}

/// An installed Tesseract.
#[derive(Debug)]
pub(super) struct Tesseract {
    program: PathBuf,
    languages: BTreeSet<String>,
}

impl Tesseract {
    /// Looks along `PATH` and asks for the languages.
    pub(super) fn find() -> Option<Self> {
        let path = env::var_os("PATH")?;
        let program = env::split_paths(&path)
            .map(|folder| folder.join(PROGRAM))
            .find(|path| path.is_file())?;
        let mut found = Self {
            program,
            languages: BTreeSet::new(),
        };
        let mut command = found.command();
        command.arg("--list-langs").stdin(Stdio::null());
        let streams = process::run(&mut command, LIST_WITHIN, &CancelFlag::default()).ok()?;
        // Version 4 lists on standard error, version 5 on standard output.
        let text = [streams.out, streams.err].concat();
        let lines = String::from_utf8_lossy(&text)
            .lines()
            .map(|line| line.trim().to_owned())
            .collect::<Vec<_>>();
        found.languages = lines
            .into_iter()
            .filter(|line| is_language_name(line))
            .collect();
        Some(found)
    }

    /// One that was not looked for, for tests that do not call it.
    #[cfg(test)]
    pub(super) fn pretend(languages: &[&str]) -> Self {
        let languages = languages.iter().map(|&name| name.to_owned()).collect();
        Self {
            program: PathBuf::from("/no/such/program"),
            languages,
        }
    }

    /// What can be recognised, by name.
    pub(super) fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(String::as_str)
    }

    /// Whether `language` can be recognised.
    pub(super) fn has(&self, language: &str) -> bool {
        self.languages.contains(language)
    }

    /// Recognises `image` and gives Tesseract's table of words.
    pub(super) fn read(
        &self,
        image: &PageImage,
        how: &How<'_>,
        cancel: &CancelFlag,
    ) -> Result<String, RunError> {
        let picture = pgm_in_memory(image).map_err(|_| RunError::Failed)?;
        let mut command = self.command();
        command.args(["stdin", "stdout", "-l", how.languages]);
        command.args(["--psm", how.segmentation.argument()]);
        if let Some(dpi) = resolution(image) {
            command.args(["--dpi", &format!("{dpi:.0}")]);
        }
        command.arg("tsv").stdin(Stdio::from(picture));
        let streams = process::run(&mut command, how.deadline, cancel)?;
        Ok(String::from_utf8_lossy(&streams.out).into_owned())
    }

    /// Which way up `image` is and in which script it is written; `None` where that cannot be told.
    pub(super) fn detect(
        &self,
        image: &PageImage,
        deadline: Duration,
        cancel: &CancelFlag,
    ) -> Result<Option<Seen>, RunError> {
        if !self.has(ORIENTATION) {
            return Ok(None);
        }
        let picture = pgm_in_memory(image).map_err(|_| RunError::Failed)?;
        let mut command = self.command();
        command.args(["stdin", "stdout", "-l", ORIENTATION, "--psm", "0"]);
        command.stdin(Stdio::from(picture));
        match process::run(&mut command, deadline, cancel) {
            Ok(streams) => Ok(script::parse(&String::from_utf8_lossy(&streams.out))),
            // It ends with an error when there are too few letters to tell.
            Err(RunError::Failed) => Ok(None),
            Err(RunError::Cancelled) => Err(RunError::Cancelled),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("OMP_THREAD_LIMIT", "1")
            .env("LC_ALL", "C");
        if let Some(folder) = env::var_os(DATA_VARIABLE) {
            command.env(DATA_VARIABLE, folder);
        }
        command
    }
}

/// Whether `name` is shaped like a language of Tesseract (`eng`, `chi_sim`, `script/Latin`) and like nothing else.
pub(super) fn is_language_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let parts: Vec<&str> = name.split('/').collect();
    let whole = parts.len() <= 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(plain));
    whole && name.len() <= 40
}

/// The resolution of a picture. One that states none, and has the size of a scanned page, is taken for one: Tesseract's own guess goes
/// wrong on Chinese and Japanese, whose characters it takes for columns then.
fn resolution(image: &PageImage) -> Option<f32> {
    /// Longer side of A4, in inches.
    const A4: f32 = 11.69;
    /// Longer sides of pages scanned at 100 to 600 dpi.
    const PAGE_SIDES: std::ops::RangeInclusive<u32> = 1_150..=7_100;
    let side = image.width.max(image.height);
    if image.dpi >= 1.0 {
        return Some(image.dpi);
    }
    PAGE_SIDES.contains(&side).then(|| side as f32 / A4)
}

/// The picture as a PGM in an anonymous file: in memory, gone with the descriptor, no name on any disk.
fn pgm_in_memory(image: &PageImage) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("page", MemfdFlags::CLOEXEC)?);
    write!(file, "P5\n{} {}\n255\n", image.width, image.height)?;
    file.write_all(&image.data)?;
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn language_names_cannot_be_anything_else() {
        for name in ["eng", "chi_sim", "script/Latin", "deu_latf"] {
            assert!(is_language_name(name), "{name}");
        }
        for name in [
            "",
            "-l",
            "../eng",
            "a b",
            "eng;",
            "/etc",
            "a/b/c",
            "List of available languages (2):",
        ] {
            assert!(!is_language_name(name), "{name}");
        }
    }

    #[test]
    fn a_page_without_a_resolution_is_taken_for_a4() {
        let image = |height, dpi| PageImage {
            width: 100,
            height,
            dpi,
            page_width: 1.0,
            page_height: 1.0,
            data: vec![],
        };
        assert_eq!(resolution(&image(2_338, 0.0)).map(f32::round), Some(200.0));
        assert_eq!(resolution(&image(2_338, 150.0)), Some(150.0));
        assert_eq!(resolution(&image(400, 0.0)), None);
    }

    #[test]
    fn a_picture_is_written_as_pgm() {
        let image = PageImage {
            width: 2,
            height: 1,
            dpi: 0.0,
            page_width: 2.0,
            page_height: 1.0,
            data: vec![0, 255],
        };
        let mut bytes = Vec::new();
        pgm_in_memory(&image)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(bytes, b"P5\n2 1\n255\n\x00\xff");
    }
}
