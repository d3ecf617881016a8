//! The line on standard error that shows how far it is; without a terminal there is none, only complaints.

use std::{io, path::Path, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quire_extract::{ParseError, ParseProgress};

use crate::cli::report;

/// How often the line moves by itself.
const TICK: Duration = Duration::from_millis(120);

/// The progress line.
pub(super) struct Screen {
    line: ProgressBar,
}

impl Screen {
    /// A line for `files` files.
    pub(super) fn new(files: usize) -> Self {
        let line = ProgressBar::with_draw_target(Some(files as u64), ProgressDrawTarget::stderr());
        // The template is fixed; were it refused, the plain bar would do.
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {bar:24} {pos}/{len} files  {msg}")
        {
            line.set_style(style);
        }
        line.enable_steady_tick(TICK);
        Self { line }
    }

    /// Shows how far one of the files is.
    pub(super) fn progress(&self, path: &Path, progress: ParseProgress) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.replace(char::is_control, " ");
        self.line.set_message(match progress.total {
            Some(total) if total > 1 => format!("{name}: page {} of {total}", progress.done),
            _ => name,
        });
    }

    /// Counts a file.
    pub(super) fn done(&self) {
        self.line.inc(1);
    }

    /// Names a file that could not be read.
    pub(super) fn complain(&self, path: &Path, error: &ParseError) {
        let text = format!("{}: {error} ({})", path.display(), error.code());
        self.aside(|| report(&io::Error::other(text)));
    }

    /// The output is lost; nobody is told who closed it himself.
    pub(super) fn cannot_write(&self, error: &io::Error) {
        if !super::is_gone(error) {
            self.aside(|| report(error));
        }
    }

    /// Does something that writes, with the line out of the way.
    pub(super) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.line.suspend(write)
    }

    /// Takes the line away.
    pub(super) fn finish(&self) {
        self.line.finish_and_clear();
    }
}
