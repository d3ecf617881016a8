//! An engine that says what a test wants, at the pace it wants, and misbehaves on request.
//!
//! Only builds with debug assertions contain it: no released program can be made to answer with it.

use std::{
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    cancel::CancelFlag,
    engine::{Answer, AnswerEngine, AnswerRequest, AnswerSink},
    error::ModelError,
};

/// Longest wait between two looks at the cancel flag.
const LOOK: Duration = Duration::from_millis(5);

/// What the engine does with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// Says this many sentences, each after a pause, and stops when it is told to.
    Speak {
        /// Sentences.
        sentences: u32,
        /// Before each.
        pause: Duration,
    },
    /// Says one sentence, then nothing for this long, and stops when it is told to.
    FallSilent(Duration),
    /// Says one sentence, then nothing for this long, and does not care what it is told.
    Hang(Duration),
    /// Says one sentence and panics.
    Panic,
}

impl Scripted {
    /// The sentence that comes at this place, counted from 1.
    pub fn sentence(number: u32) -> String {
        format!("This is sentence {number}. ")
    }

    /// The whole answer of an engine that speaks.
    pub fn text(sentences: u32) -> String {
        (1..=sentences).map(Self::sentence).collect()
    }
}

impl AnswerEngine for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn answer(
        &self,
        _request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        let (sentences, pause) = match *self {
            Self::Speak { sentences, pause } => (sentences, pause),
            Self::FallSilent(_) | Self::Hang(_) | Self::Panic => (1, Duration::ZERO),
        };
        for number in 1..=sentences {
            wait(pause, cancel)?;
            sink.chunk(&Self::sentence(number));
            sink.progress(number, sentences);
        }
        match *self {
            Self::Speak { .. } => {}
            Self::FallSilent(time) => wait(time, cancel)?,
            Self::Hang(time) => sleep(time),
            Self::Panic => panic!("as the script has it"),
        }
        Ok(Answer {
            text: Self::text(sentences),
            answered: true,
            citations: Vec::new(),
            engine: self.name().to_owned(),
            model: None,
            notes: Vec::new(),
            ..Answer::default()
        })
    }
}

fn wait(time: Duration, cancel: &CancelFlag) -> Result<(), ModelError> {
    let end = Instant::now() + time;
    loop {
        cancel.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(LOOK));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an engine has a thread of its own and no runtime"
)]
fn sleep(time: Duration) {
    thread::sleep(time);
}

/// `speak 20 100` (sentences, milliseconds), `fall-silent 1000`, `hang 1000`, `panic`.
impl FromStr for Scripted {
    type Err = String;

    fn from_str(script: &str) -> Result<Self, String> {
        let words: Vec<&str> = script.split_whitespace().collect();
        let number = |word: &str| word.parse().map_err(|error| format!("{script:?}: {error}"));
        let millis = |word: &str| number(word).map(Duration::from_millis);
        match words[..] {
            ["speak", sentences, pause] => Ok(Self::Speak {
                sentences: number(sentences)? as u32,
                pause: millis(pause)?,
            }),
            ["fall-silent", time] => Ok(Self::FallSilent(millis(time)?)),
            ["hang", time] => Ok(Self::Hang(millis(time)?)),
            ["panic"] => Ok(Self::Panic),
            _ => Err(format!("{script:?} is no script")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sink(String);

    impl AnswerSink for Sink {
        fn progress(&mut self, _done: u32, _total: u32) {}

        fn chunk(&mut self, text: &str) {
            self.0.push_str(text);
        }
    }

    const REQUEST: AnswerRequest<'static> = AnswerRequest {
        prompt: "?",
        passages: &[],
        table: None,
        image: None,
        left_out: None,
        query: None,
        vectors: None,
    };

    #[test]
    fn what_it_says_is_its_answer() {
        let engine: Scripted = "speak 3 1".parse().unwrap();
        let mut sink = Sink(String::new());
        let answer = engine
            .answer(&REQUEST, &CancelFlag::default(), &mut sink)
            .unwrap();
        assert_eq!(answer.text, sink.0);
        assert_eq!(answer.text, Scripted::text(3));
    }

    #[test]
    fn it_stops_when_told() {
        let cancel = CancelFlag::default();
        cancel.cancel();
        let engine = Scripted::FallSilent(Duration::from_hours(1));
        let stopped = engine.answer(&REQUEST, &cancel, &mut Sink(String::new()));
        assert!(matches!(stopped, Err(ModelError::Cancelled)));
        assert!("speak up".parse::<Scripted>().is_err());
    }
}
