//! Many files at once: the parser pool as a library, without server, database or queue.
//!
//! Threads read files beside one another and the results are handed out in the order of the input, so that the same files give the
//! same output. How far the threads may be ahead of the file that is handed out next is bounded: one slow file at the front does not
//! fill the memory with the documents behind it.
//!
//! ```no_run
//! use quire_extract::{CancelFlag, Many, ParserPool, PoolConfig, Update, find_program, markdown};
//!
//! # fn main() -> Result<(), quire_extract::ParseError> {
//! let pool = ParserPool::start(PoolConfig::with_program(find_program()?, 4))?;
//! let files = ["minutes.pdf", "prices.csv", "letter.docx"];
//! Many::new(&pool, 4).read(&files, &CancelFlag::default(), &mut |file, update| match update {
//!     Update::Progress(_) => {}
//!     Update::Done(Ok(document)) => println!("{}", markdown::document(&document)),
//!     Update::Done(Err(error)) => eprintln!("{}: {error} ({})", files[file], error.code()),
//! });
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use parking_lot::{Condvar, Mutex};

use crate::document::Document;
use crate::error::ParseError;
use crate::media::{SNIFF_BYTES, sniff};
use crate::request::{CancelFlag, ParseProgress, ParseRequest};
use crate::sandbox::ParserPool;

/// Files that each thread may be ahead of the one that is handed out next.
const AHEAD: usize = 4;

/// What happens to a file.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "each is made once and handed on at once"
)]
pub enum Update {
    /// It is being read.
    Progress(ParseProgress),
    /// It was read, or cannot be. Files are done in the order of the input.
    Done(Result<Document, ParseError>),
}

/// How many files are read.
#[derive(Clone, Debug)]
pub struct Many<'a> {
    pool: &'a ParserPool,
    threads: usize,
    password: Option<String>,
    ocr_languages: Option<Vec<String>>,
    word_boxes: bool,
}

impl<'a> Many<'a> {
    /// Reads `at_once` files at a time; the pool should have as many slots.
    pub fn new(pool: &'a ParserPool, at_once: usize) -> Self {
        Self {
            pool,
            threads: at_once.max(1),
            password: None,
            ocr_languages: None,
            word_boxes: false,
        }
    }

    /// Opens encrypted files.
    #[must_use]
    pub fn password(mut self, password: Option<String>) -> Self {
        self.password = password;
        self
    }

    /// Tesseract's names of the languages to recognise, most likely first; English when not given.
    #[must_use]
    pub fn ocr_languages(mut self, languages: Vec<String>) -> Self {
        self.ocr_languages = Some(languages);
        self
    }

    /// Whether pages tell the places of their words.
    #[must_use]
    pub fn word_boxes(mut self, wanted: bool) -> Self {
        self.word_boxes = wanted;
        self
    }

    /// Reads one file.
    pub fn read_one(
        &self,
        path: &Path,
        cancel: &CancelFlag,
        on: &mut dyn FnMut(ParseProgress),
    ) -> Result<Document, ParseError> {
        if cancel.is_cancelled() {
            return Err(ParseError::Cancelled);
        }
        let file = File::open(path)?;
        let kind = file.metadata()?.file_type();
        if !kind.is_file() {
            return Err(ParseError::NotSupported(
                "this is no regular file".to_owned(),
            ));
        }
        let mut head = Vec::new();
        (&file).take(SNIFF_BYTES as u64).read_to_end(&mut head)?;
        if head.is_empty() {
            return Err(ParseError::Damaged("the file is empty".to_owned()));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let media = sniff(&head, &name)
            .ok_or_else(|| ParseError::NotSupported("this type of file".to_owned()))?;
        let mut request = ParseRequest::new(media);
        request.password.clone_from(&self.password);
        request.word_boxes = self.word_boxes;
        if let Some(languages) = &self.ocr_languages {
            request.ocr_languages.clone_from(languages);
        }
        self.pool.parse(&file, &request, cancel, on)
    }

    /// Reads all of `paths` and tells `on`, on this thread, what happens to each by its index. A cancel ends those that are being read
    /// and those that are not begun with [`ParseError::Cancelled`].
    pub fn read<P: AsRef<Path> + Sync>(
        &self,
        paths: &[P],
        cancel: &CancelFlag,
        on: &mut dyn FnMut(usize, Update),
    ) {
        let course = Course::new(self.threads * AHEAD);
        let (sender, receiver) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.threads.min(paths.len()) {
                let (sender, course) = (sender.clone(), &course);
                scope.spawn(move || self.work(paths, course, cancel, &sender));
            }
            drop(sender);
            hand_out(&receiver, &course, on);
        });
    }

    fn work<P: AsRef<Path>>(
        &self,
        paths: &[P],
        course: &Course,
        cancel: &CancelFlag,
        sender: &Sender<(usize, Update)>,
    ) {
        while let Some(index) = course.next(paths.len()) {
            // Fails only when the caller has panicked, and then nobody listens.
            let tell = |update| drop(sender.send((index, update)));
            let done = self.read_one(paths[index].as_ref(), cancel, &mut |progress| {
                tell(Update::Progress(progress));
            });
            tell(Update::Done(done));
        }
    }
}

/// Hands out what comes, the documents in order.
fn hand_out(
    receiver: &Receiver<(usize, Update)>,
    course: &Course,
    on: &mut dyn FnMut(usize, Update),
) {
    // Were the caller to panic, the threads that wait for it would wait for ever.
    let _open = OpenWhenDropped(course);
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (index, update) in receiver {
        let Update::Done(done) = update else {
            on(index, update);
            continue;
        };
        early.insert(index, done);
        while let Some(done) = early.remove(&next) {
            on(next, Update::Done(done));
            next += 1;
            course.handed_out(next);
        }
    }
}

/// Which file comes next, and how far ahead it may be.
struct Course {
    ahead: usize,
    state: Mutex<State>,
    moved: Condvar,
}

struct State {
    /// The next file that nobody has taken.
    next: usize,
    /// Files that were handed out.
    handed_out: usize,
}

impl Course {
    fn new(ahead: usize) -> Self {
        Self {
            ahead,
            state: Mutex::new(State {
                next: 0,
                handed_out: 0,
            }),
            moved: Condvar::new(),
        }
    }

    /// Takes the next of `count` files, once it is not too far ahead. The file that is handed out next never is.
    fn next(&self, count: usize) -> Option<usize> {
        let mut state = self.state.lock();
        while state.next < count && state.next >= state.handed_out.saturating_add(self.ahead) {
            self.moved.wait(&mut state);
        }
        (state.next < count).then(|| {
            state.next += 1;
            state.next - 1
        })
    }

    fn handed_out(&self, files: usize) {
        self.state.lock().handed_out = files;
        self.moved.notify_all();
    }
}

/// Lets the threads run to their end when nobody counts for them any more.
struct OpenWhenDropped<'a>(&'a Course);

impl Drop for OpenWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.handed_out(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_too_far_ahead_of_a_slow_file() {
        let course = Course::new(2);
        assert_eq!((course.next(9), course.next(9)), (Some(0), Some(1)));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| course.next(9));
            course.handed_out(1);
            assert_eq!(waiting.join().unwrap(), Some(2));
        });
        assert_eq!(course.next(3), None);
    }

    #[test]
    fn results_are_handed_out_in_order() {
        let (sender, receiver) = mpsc::channel();
        let done = |index| (index, Update::Done(Err(ParseError::Timeout)));
        for index in [2, 0, 3, 1] {
            sender.send(done(index)).unwrap();
        }
        drop(sender);
        let mut seen = Vec::new();
        hand_out(&receiver, &Course::new(9), &mut |index, _| seen.push(index));
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}
