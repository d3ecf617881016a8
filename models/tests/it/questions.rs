//! Question sets: a text, questions about it, and the words that an answering sentence holds.
//!
//! Shared by the test that guards the rates and by `examples/eval_extractive.rs`, which prints them.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic like tests"
)]

use std::path::{Path, PathBuf};

use quire_models::passage::passages_from_page;
use quire_models::{
    Answer, AnswerEngine, AnswerRequest, AnswerSink, CancelFlag, Extractive, Passage,
};
use serde::Deserialize;

/// A document with its questions.
#[derive(Deserialize)]
pub(crate) struct QuestionSet {
    /// Path of the text, beside the file of the set. Pages are parted by form feeds.
    pub text: PathBuf,
    /// Language of the text when it is not English, the only one the embedding model knows.
    pub language: Option<String>,
    pub question: Vec<Question>,
    #[serde(skip)]
    pub passages: Vec<Passage>,
}

/// A prompt and what an answer to it must hold.
#[derive(Deserialize)]
pub(crate) struct Question {
    pub prompt: String,
    #[serde(default)]
    pub expect: Vec<String>,
    #[serde(default)]
    pub unanswerable: bool,
    /// Unanswerable, but about the subject of the text.
    #[serde(default)]
    pub near: bool,
}

impl QuestionSet {
    pub(crate) fn read(path: &Path) -> Self {
        let mut set: Self = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let text = std::fs::read_to_string(path.with_file_name(&set.text)).unwrap();
        set.passages = (1..)
            .zip(text.split('\u{c}'))
            .flat_map(|(number, page)| passages_from_page(number, page))
            .collect();
        set
    }

    /// All sets of a directory, by name.
    pub(crate) fn read_all(dir: &Path) -> Vec<Self> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        });
        files.sort();
        files.iter().map(|path| Self::read(path)).collect()
    }

    pub(crate) fn ask(&self, engine: &Extractive, prompt: &str) -> Answer {
        let request = AnswerRequest {
            prompt,
            passages: &self.passages,
            table: None,
            image: None,
            left_out: None,
            query: None,
            vectors: None,
        };
        engine
            .answer(&request, &CancelFlag::default(), &mut Ignore)
            .unwrap()
    }
}

impl Question {
    /// Place of the first item of the answer, context included, that holds what is expected, from 0.
    pub(crate) fn place(&self, answer: &Answer) -> Option<usize> {
        let holds = |item: &str| self.expect.iter().all(|part| item.contains(part.as_str()));
        answer
            .text
            .split("\n- ")
            .position(holds)
            .filter(|_| answer.answered)
    }
}

/// How often an engine was right.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub answerable: usize,
    pub at_1: usize,
    pub at_3: usize,
    pub at_5: usize,
    /// Answerable questions that were declined.
    pub declined: usize,
    pub unanswerable: usize,
    /// Unanswerable questions that were declined.
    pub refused: usize,
    /// The same for those about the subject of the text.
    pub near: usize,
    pub near_refused: usize,
}

impl Rates {
    pub(crate) fn of(
        set: &QuestionSet,
        engine: &Extractive,
        mut each: impl FnMut(&Question, &Answer),
    ) -> Self {
        let mut rates = Self::default();
        for question in &set.question {
            let answer = set.ask(engine, &question.prompt);
            each(question, &answer);
            let refused = usize::from(!answer.answered);
            if question.near {
                rates.near += 1;
                rates.near_refused += refused;
                continue;
            }
            if question.unanswerable {
                rates.unanswerable += 1;
                rates.refused += refused;
                continue;
            }
            let place = question.place(&answer);
            rates.answerable += 1;
            rates.declined += refused;
            rates.at_1 += usize::from(place.is_some_and(|place| place < 1));
            rates.at_3 += usize::from(place.is_some_and(|place| place < 3));
            rates.at_5 += usize::from(place.is_some_and(|place| place < 5));
        }
        rates
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.answerable += other.answerable;
        self.at_1 += other.at_1;
        self.at_3 += other.at_3;
        self.at_5 += other.at_5;
        self.declined += other.declined;
        self.unanswerable += other.unanswerable;
        self.refused += other.refused;
        self.near += other.near;
        self.near_refused += other.near_refused;
    }
}

struct Ignore;

impl AnswerSink for Ignore {
    fn progress(&mut self, _: u32, _: u32) {}
    fn chunk(&mut self, _: &str) {}
}
