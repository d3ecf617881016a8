//! `quire extract FILE..`: what is in files, without server and database.
//!
//! The work is done by `quire_extract::Many`; here are the options, where the output goes, and the line that shows how far it is. Output
//! is in the order of the files, whatever their size, and is written as soon as it is its turn.

mod output;
mod screen;

use std::{path::PathBuf, process::ExitCode, thread};

use clap::{Args, ValueEnum};
use quire_extract::{
    Budget, CancelFlag, ChunkOptions, Many, ParseError, ParserPool, PoolConfig, Update,
    find_program,
};

use self::{
    output::{Output, Writer},
    screen::Screen,
};
use super::{
    password::{PasswordArgs, PasswordError},
    report,
};
use crate::config::Config;

/// Exit code when some file could not be read.
const EXIT_FAILED: u8 = 1;

/// Exit code of wrong use.
const EXIT_USAGE: u8 = 2;

/// Exit code of a program that Ctrl-C ended, as shells have it: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// More children than this only compete for the memory of one machine.
const MAX_JOBS: usize = 64;

const EXAMPLES: &str = "Examples:
  quire extract report.pdf                            Markdown on standard output
  quire extract *.pdf --format json > all.jsonl       one line of JSON for each file
  quire extract scans/*.png --languages deu,eng --format text --out texts/
  quire extract contract.pdf --password-file secret   an encrypted PDF
  quire extract *.docx --format chunks --tokens 256   pieces for a vector store, as JSON lines

Formats: md, text (pages parted by form feeds), json (the document with pages, tables and places), chunks (one JSON object
a line: file, index, page or rows, start, end, text; the text is exactly those characters of the page).

Exit code 0: every file was read. 1: some were not; each is named on standard error, the others are there.
2: wrong use. 130: Ctrl-C.";

/// Options of `quire extract`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ExtractArgs {
    /// PDF, CSV, image, office, mail, HTML, Markdown or text files, and ZIP archives of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t = Format::Md)]
    format: Format,
    /// Write a file for each into this directory instead of standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Tesseract's names of the languages in scans, most likely first [default: those of the settings]
    #[arg(long, value_delimiter = ',', value_name = "LANG,..")]
    languages: Vec<String>,
    /// Tell the place of every word, for --format json
    #[arg(long)]
    word_boxes: bool,
    /// Files read at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS as i64))]
    jobs: Option<u16>,
    /// Most characters of a piece, for --format chunks
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = positive)]
    characters: usize,
    /// Most tokens of a piece, as far as they can be told without a model, in place of characters
    #[arg(long, value_name = "N", conflicts_with = "characters", value_parser = positive)]
    tokens: Option<usize>,
    /// What neighbouring pieces share at most, in the same unit [default: a tenth]
    #[arg(long, value_name = "N")]
    overlap: Option<usize>,
}

/// How a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Markdown
    Md,
    /// The document as JSON
    Json,
    /// Text alone
    Text,
    /// Pieces for retrieval, JSON lines
    Chunks,
}

impl ExtractArgs {
    fn chunk_options(&self) -> ChunkOptions {
        let budget = self
            .tokens
            .map_or(Budget::Characters(self.characters), Budget::Tokens);
        let size = self.tokens.unwrap_or(self.characters);
        ChunkOptions {
            budget,
            overlap: self.overlap.unwrap_or(size / 10),
        }
    }

    fn threads(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let wanted = self.jobs.map_or(cores, usize::from);
        wanted.min(self.files.len()).clamp(1, MAX_JOBS)
    }
}

/// Why nothing can be read, or written.
#[derive(Debug, thiserror::Error)]
enum ExtractError {
    /// The file with the password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The directory for the output.
    #[error("cannot write to {path}: {source}")]
    Output {
        path: PathBuf,
        source: std::io::Error,
    },
    /// No parser.
    #[error(transparent)]
    Parser(#[from] ParseError),
}

/// What became of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    read: usize,
    failed: usize,
    /// Ctrl-C, or nobody reads the output any more.
    stopped: bool,
}

/// Runs the command.
pub(super) async fn run(args: ExtractArgs, config: Config) -> ExitCode {
    let cancel = CancelFlag::default();
    stop_on_ctrl_c(cancel.clone());
    let reading = tokio::task::spawn_blocking(move || extract(&args, &config, &cancel));
    match reading.await {
        Ok(Ok(tally)) => tally.exit_code(),
        Ok(Err(error)) => {
            report(&error);
            ExitCode::from(match error {
                ExtractError::Parser(_) => EXIT_FAILED,
                ExtractError::Password(_) | ExtractError::Output { .. } => EXIT_USAGE,
            })
        }
        Err(error) => {
            report(&error);
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn extract(
    args: &ExtractArgs,
    config: &Config,
    cancel: &CancelFlag,
) -> Result<Tally, ExtractError> {
    let password = args.password.read()?;
    let writer = Writer::new(args.format, args.chunk_options(), args.files.len() > 1);
    let mut output = Output::open(args.out.as_deref(), writer)?;
    let threads = args.threads();
    let pool = ParserPool::start(PoolConfig {
        require_sandbox: config.require_sandbox,
        ..PoolConfig::with_program(find_program()?, threads)
    })?;
    let languages = if args.languages.is_empty() {
        config.ocr_languages.clone()
    } else {
        args.languages.clone()
    };
    let many = Many::new(&pool, threads)
        .password(password)
        .ocr_languages(languages)
        .word_boxes(args.word_boxes);
    let screen = Screen::new(args.files.len());
    let mut tally = Tally::default();
    many.read(&args.files, cancel, &mut |index, update| {
        let path = &args.files[index];
        let done = match update {
            Update::Progress(progress) => return screen.progress(path, progress),
            Update::Done(done) => done,
        };
        // After Ctrl-C the others are not named one by one.
        let interrupted = matches!(done, Err(ParseError::Cancelled));
        if !interrupted && !tally.stopped {
            tally.count(done.is_ok());
            screen.done();
            if let Err(error) = &done {
                screen.complain(path, error);
            }
            if let Err(error) = screen.aside(|| output.write(path, &done)) {
                screen.cannot_write(&error);
                tally.stopped = true;
                tally.failed += usize::from(!is_gone(&error));
                cancel.cancel();
            }
        }
        tally.stopped |= interrupted;
    });
    screen.finish();
    Ok(tally)
}

/// Whoever read standard output has enough, as `head` has.
fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
}

impl Tally {
    fn count(&mut self, read: bool) {
        self.read += usize::from(read);
        self.failed += usize::from(!read);
    }

    fn exit_code(self) -> ExitCode {
        ExitCode::from(if self.failed > 0 {
            EXIT_FAILED
        } else if self.stopped {
            EXIT_INTERRUPTED
        } else {
            0
        })
    }
}

fn stop_on_ctrl_c(cancel: CancelFlag) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_err() {
            return;
        }
        cancel.cancel();
        // Whoever reads the output may have stopped reading, and the write waits for it.
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        }
    });
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("it is no number above 0".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        args: ExtractArgs,
    }

    fn args(line: &[&str]) -> ExtractArgs {
        Program::try_parse_from([&["extract"], line].concat())
            .unwrap()
            .args
    }

    #[test]
    fn the_options_are_read() {
        let all = args(&[
            "a.pdf",
            "b.pdf",
            "--format",
            "chunks",
            "--tokens",
            "200",
            "--languages",
            "deu,eng",
            "--jobs",
            "2",
        ]);
        assert_eq!(all.languages, ["deu", "eng"]);
        assert_eq!((all.format, all.threads()), (Format::Chunks, 2));
        let expected = ChunkOptions {
            budget: Budget::Tokens(200),
            overlap: 20,
        };
        assert_eq!(all.chunk_options(), expected);
        let refused: [&[&str]; 5] = [
            &[],
            &["a", "--jobs", "0"],
            &["a", "--characters", "0"],
            &["a", "--password", "x", "--password-file", "y"],
            &["a", "--format", "docx"],
        ];
        for line in refused {
            assert!(
                Program::try_parse_from([&["extract"], line].concat()).is_err(),
                "{line:?}"
            );
        }
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), " pass word \r\nsecond\n").unwrap();
        let path = file.path().to_str().unwrap();
        let password = args(&["a", "--password-file", path])
            .password
            .read()
            .unwrap();
        assert_eq!(password.as_deref(), Some(" pass word "));
        let missing = args(&["a", "--password-file", "/nowhere/at/all"])
            .password
            .read();
        assert!(missing.unwrap_err().to_string().contains("/nowhere/at/all"));
    }
}
