//! What the person in front of the terminal sees: a progress line on standard error, the answer on standard output.
//!
//! Without a terminal the progress line does not exist. Once standard output is closed, as by `| head`, nothing more is
//! written, but the job is followed to its end.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{client::follow::Said, report, say},
    printer::{Piece, Printer},
};

/// How often the progress line moves by itself.
const TICK: Duration = Duration::from_millis(120);

/// Characters of a source's quote that are shown.
const QUOTE_SHOWN: usize = 160;

/// The progress line and the answer.
pub(super) struct Screen {
    line: ProgressBar,
    printer: Printer,
    /// Standard output gets JSON at the end and nothing before.
    json: bool,
    /// The last character printed, if any.
    printed: Option<char>,
}

impl Screen {
    /// An empty screen.
    pub(super) fn new(json: bool) -> Self {
        // Draws only when standard error is a terminal.
        let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self {
            line,
            printer: Printer::default(),
            json,
            printed: None,
        }
    }

    /// Shows what is being done.
    pub(super) fn status(&self, text: &'static str) {
        self.line.set_style(style("{spinner} {msg}"));
        self.line.enable_steady_tick(TICK);
        self.line.set_message(text);
    }

    /// Shows an upload; the result is told how many bytes went out.
    pub(super) fn upload(&self, file: &Path) -> impl Fn(u64) + Send + Sync + 'static {
        let line = self.line.clone();
        line.disable_steady_tick();
        line.set_style(style(
            "{spinner} uploading {wide_bar} {bytes}/{total_bytes}",
        ));
        line.set_length(file.metadata().map_or(0, |metadata| metadata.len()));
        move |bytes| line.inc(bytes)
    }

    /// Shows what the server said.
    pub(super) fn show(&mut self, said: &Said) {
        match said {
            Said::JobUpdate { progress, stage } => self.progress(*progress, stage),
            Said::QueuePosition {
                position: Some(position),
            } => {
                self.line.set_style(style("{spinner} {msg}"));
                self.line
                    .set_message(format!("waiting, number {position} in the queue"));
            }
            Said::Restarted => self.printer.restart(),
            Said::AiChunk { .. } | Said::JobCompleted { .. } | Said::Resync { .. } if self.json => {
            }
            Said::AiChunk { offset, chunk } => {
                let piece = self.printer.add(*offset, chunk);
                print(&self.line, &mut self.printed, &piece);
            }
            Said::JobCompleted { ai_response: text } => {
                let piece = self.printer.finish(text);
                print(&self.line, &mut self.printed, &piece);
            }
            Said::Resync { partial, .. } => {
                self.printer.restart();
                let piece = self.printer.add(0, partial);
                print(&self.line, &mut self.printed, &piece);
            }
            Said::QueuePosition { position: None }
            | Said::JobFailed { .. }
            | Said::Error { .. }
            | Said::Other => {}
        }
    }

    /// Ends the output of a job that has an answer.
    pub(super) fn completed(&mut self, result: &Value) {
        self.clear();
        if self.json {
            say(format!("{result:#}"));
            return;
        }
        // An answer that never came as a stream.
        let piece = self
            .printer
            .finish(result["answer"].as_str().unwrap_or_default());
        print(&self.line, &mut self.printed, &piece);
        if self.printed.is_some_and(|last| last != '\n') {
            say("");
        }
        let sources = sources(result);
        if !sources.is_empty() {
            say(format!("\n{sources}"));
        }
    }

    /// Ends the output of a job that has none.
    pub(super) fn failed(&mut self, job: Uuid, error: &str) {
        self.clear();
        if self.json {
            say(format!(
                "{:#}",
                json!({"job_id": job, "status": "failed", "error": error})
            ));
        } else if self.printed.is_some_and(|last| last != '\n') {
            say("");
        }
        report(&Failed(error.to_owned()));
    }

    /// Takes the progress line away.
    pub(super) fn clear(&self) {
        self.line.finish_and_clear();
    }

    fn progress(&self, progress: u8, stage: &str) {
        // The answer itself shows how far it is.
        if self.printed.is_some() {
            return;
        }
        self.line.set_length(100);
        self.line.set_position(u64::from(progress));
        let work = if stage == "extract" {
            "reading"
        } else {
            "answering"
        };
        self.line.set_message(work);
        // Last, so that the bar never shows the bytes of the upload as per cent.
        self.line
            .set_style(style("{spinner} {msg} {wide_bar} {pos} %"));
    }
}

/// A job's own error, on its way to standard error.
#[derive(Debug, thiserror::Error)]
#[error("the job failed: {0}")]
struct Failed(String);

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates are constants")
        .progress_chars("=> ")
}

/// Prints a piece of the answer; the progress line gives way to the first one.
fn print(line: &ProgressBar, printed: &mut Option<char>, piece: &Piece<'_>) {
    let (text, gap) = match piece {
        Piece::Nothing => return,
        Piece::More(text) => (text, ""),
        Piece::Anew(text) => (text, if printed.is_some() { "\n\n" } else { "" }),
    };
    line.finish_and_clear();
    *printed = text.chars().next_back().or(*printed);
    let mut out = io::stdout().lock();
    // A reader that went away has had enough.
    let _ = write!(out, "{gap}{text}").and_then(|()| out.flush());
}

/// The places that the answer rests on, one line each.
fn sources(result: &Value) -> String {
    let mut lines = String::new();
    for citation in result["citations"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
    {
        let (Some(marker), Some(quote)) = (citation["marker"].as_str(), citation["quote"].as_str())
        else {
            continue;
        };
        let line = format!("  {marker} {}", shortened(quote));
        if !lines.lines().any(|known| known == line) {
            let _ = write!(lines, "\n{line}");
        }
    }
    if lines.is_empty() {
        lines
    } else {
        format!("Sources:{lines}")
    }
}

/// The quote on one line, cut at a length that fits two lines of a terminal.
fn shortened(quote: &str) -> String {
    let words = quote.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(QUOTE_SHOWN) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_listed_once_each_and_on_one_line() {
        let long = "word ".repeat(100);
        let result = json!({"citations": [
            {"marker": "[p. 2]", "quote": "It was opened\nin 1932."},
            {"marker": "[p. 2]", "quote": "It was opened in  1932."},
            {"marker": "[row 17]", "quote": long},
            {"marker": "[image]"},
        ]});
        let listed = sources(&result);
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines[..2], ["Sources:", "  [p. 2] It was opened in 1932."]);
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("  [row 17] word word") && lines[2].ends_with('…'));
        assert_eq!(
            lines[2].chars().count(),
            "  [row 17] ".len() + QUOTE_SHOWN + 1
        );
    }

    #[test]
    fn an_answer_without_sources_lists_none() {
        assert_eq!(sources(&json!({"citations": []})), "");
        assert_eq!(sources(&json!({})), "");
    }
}
