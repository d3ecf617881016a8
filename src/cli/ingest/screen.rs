//! What the person in front of the terminal sees: one bar on standard error, or without a terminal a line every few seconds.

use std::{
    io::{IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::cli::client::batch::Counts;

/// How often the bar moves.
const TICK: Duration = Duration::from_millis(200);

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far the run is.
#[derive(Debug)]
pub(super) struct Progress {
    total: u64,
    /// Files that the server has.
    sent: AtomicU64,
    /// Files that could not be sent.
    unsent: AtomicU64,
    bytes: AtomicU64,
    /// What the server said last.
    counts: Mutex<Counts>,
}

impl Progress {
    /// Nothing is done yet.
    pub(super) fn new(total: usize) -> Self {
        Self {
            total: total as u64,
            sent: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            counts: Mutex::default(),
        }
    }

    /// Files that the server has.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn add_sent(&self, files: usize) {
        self.sent.fetch_add(files as u64, Ordering::Relaxed);
    }

    pub(super) fn add_unsent(&self, files: usize) {
        self.unsent.fetch_add(files as u64, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What the server said.
    pub(super) fn show(&self, counts: Counts) {
        *self.counts.lock() = counts;
    }

    /// `120 of 300 sent, 80 read, 70 answered, 2 failed`
    fn text(&self) -> String {
        let counts = *self.counts.lock();
        let failed =
            counts.failed + counts.refused + counts.cancelled + self.unsent.load(Ordering::Relaxed);
        format!(
            "{} of {} sent ({}), {} read, {} answered, {failed} failed",
            self.sent(),
            self.total,
            HumanBytes(self.bytes.load(Ordering::Relaxed)),
            counts.extracted,
            counts.completed,
        )
    }

    /// Files that are over.
    fn ended(&self) -> u64 {
        let counts = *self.counts.lock();
        counts.completed + counts.failed + counts.refused + counts.cancelled
    }
}

/// The bar, or the lines.
pub(super) struct Screen {
    progress: Arc<Progress>,
    bar: ProgressBar,
    drawing: Option<JoinHandle<()>>,
}

impl Screen {
    /// An empty screen.
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        // Draws only when standard error is a terminal.
        let bar = ProgressBar::with_draw_target(Some(progress.total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {bar:30} {msg} {elapsed}")
            .expect("the template is a constant");
        bar.set_style(style.progress_chars("=> "));
        Self {
            progress,
            bar,
            drawing: None,
        }
    }

    /// Shows what is being done before files are sent.
    pub(super) fn say(&self, text: &'static str) {
        self.bar.set_message(text);
        self.bar.tick();
    }

    /// Begins to show the progress.
    pub(super) fn start(&mut self) {
        let progress = Arc::clone(&self.progress);
        let drawing = if std::io::stderr().is_terminal() {
            tokio::spawn(draw(progress, self.bar.clone()))
        } else {
            tokio::spawn(print(progress))
        };
        self.drawing = Some(drawing);
    }

    /// Takes the bar away.
    pub(super) fn end(&mut self) {
        if let Some(drawing) = self.drawing.take() {
            drawing.abort();
        }
        self.bar.finish_and_clear();
    }
}

async fn draw(progress: Arc<Progress>, bar: ProgressBar) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        bar.set_position(progress.ended());
        bar.set_message(progress.text());
    }
}

async fn print(progress: Arc<Progress>) {
    let mut tick = tokio::time::interval(LINE_EVERY);
    let mut last = String::new();
    // The first tick comes at once, when there is nothing to tell.
    tick.tick().await;
    loop {
        tick.tick().await;
        let text = progress.text();
        if text != last {
            note(&text);
            last = text;
        }
    }
}

/// A line on standard error.
pub(super) fn note(line: &str) {
    // Nothing is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "quire: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_is_told_in_one_line() {
        let progress = Progress::new(300);
        progress.add_sent(120);
        progress.add_unsent(1);
        progress.add_bytes(2048);
        progress.show(Counts {
            extracted: 80,
            completed: 70,
            failed: 1,
            refused: 2,
            ..Counts::default()
        });
        assert_eq!(
            progress.text(),
            "120 of 300 sent (2.00 KiB), 80 read, 70 answered, 4 failed"
        );
    }
}
