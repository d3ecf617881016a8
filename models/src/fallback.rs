//! One engine in the place of another that is not available, and never silently.

use std::sync::Arc;

use crate::cancel::CancelFlag;
use crate::engine::{Answer, AnswerEngine, AnswerRequest, AnswerSink};
use crate::error::ModelError;
use crate::schema::Schema;

/// Asks the wanted engine, and another when that one cannot begin. The answer then says so in its first note.
pub struct Fallback {
    wanted: Wanted,
    instead: Arc<dyn AnswerEngine>,
}

/// The engine that should answer.
enum Wanted {
    There(Arc<dyn AnswerEngine>),
    /// It is not set up.
    Missing {
        name: &'static str,
        reason: String,
    },
}

impl Fallback {
    /// `wanted`, and `instead` when it is not available at the moment.
    pub fn new(wanted: Arc<dyn AnswerEngine>, instead: Arc<dyn AnswerEngine>) -> Self {
        Self {
            wanted: Wanted::There(wanted),
            instead,
        }
    }

    /// `instead`, because the engine of this name is not there.
    pub fn missing(
        name: &'static str,
        reason: impl Into<String>,
        instead: Arc<dyn AnswerEngine>,
    ) -> Self {
        Self {
            wanted: Wanted::Missing {
                name,
                reason: reason.into(),
            },
            instead,
        }
    }

    fn run(
        &self,
        work: &mut dyn FnMut(&dyn AnswerEngine) -> Result<Answer, ModelError>,
    ) -> Result<Answer, ModelError> {
        let (name, reason) = match &self.wanted {
            Wanted::Missing { name, reason } => (*name, reason.clone()),
            Wanted::There(engine) => match work(engine.as_ref()) {
                Err(ModelError::Unavailable { engine, reason }) => (engine, reason),
                Err(ModelError::NotInstalled { model }) => {
                    (engine.name(), format!("model {model} is not installed"))
                }
                outcome => return outcome,
            },
        };
        tracing::warn!(
            engine = name,
            reason,
            instead = self.instead.name(),
            "another engine answers"
        );
        let mut answer = work(self.instead.as_ref())?;
        let note = format!(
            "answered by the {} engine, because {name} is not available: {reason}",
            answer.engine
        );
        answer.notes.insert(0, note);
        Ok(answer)
    }
}

impl AnswerEngine for Fallback {
    fn name(&self) -> &'static str {
        match &self.wanted {
            Wanted::There(engine) => engine.name(),
            Wanted::Missing { name, .. } => name,
        }
    }

    fn answer(
        &self,
        request: &AnswerRequest<'_>,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        self.run(&mut |engine| engine.answer(request, cancel, sink))
    }

    fn record(
        &self,
        request: &AnswerRequest<'_>,
        schema: &Schema,
        cancel: &CancelFlag,
        sink: &mut dyn AnswerSink,
    ) -> Result<Answer, ModelError> {
        self.run(&mut |engine| engine.record(request, schema, cancel, sink))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extractive::Extractive;
    use crate::passage::passages_from_page;

    struct Away(fn() -> ModelError);

    impl AnswerEngine for Away {
        fn name(&self) -> &'static str {
            "remote"
        }

        fn answer(
            &self,
            _: &AnswerRequest<'_>,
            _: &CancelFlag,
            _: &mut dyn AnswerSink,
        ) -> Result<Answer, ModelError> {
            Err((self.0)())
        }
    }

    struct Text(String);

    impl AnswerSink for Text {
        fn progress(&mut self, _: u32, _: u32) {}
        fn chunk(&mut self, text: &str) {
            self.0.push_str(text);
        }
    }

    fn ask(engine: &Fallback) -> Result<Answer, ModelError> {
        let passages = passages_from_page(1, "The rent is 900 euros.");
        let request = AnswerRequest {
            prompt: "What is the rent?",
            passages: &passages,
            table: None,
            image: None,
            left_out: None,
            query: None,
            vectors: None,
        };
        engine.answer(&request, &CancelFlag::default(), &mut Text(String::new()))
    }

    fn extractive() -> Arc<dyn AnswerEngine> {
        Arc::new(Extractive::new(None))
    }

    #[test]
    fn another_engine_answers_and_says_so() {
        let away = || ModelError::Unavailable {
            engine: "remote",
            reason: "it answered 503".into(),
        };
        for engine in [
            Fallback::new(Arc::new(Away(away)), extractive()),
            Fallback::missing("remote", "it answered 503", extractive()),
        ] {
            let answer = ask(&engine).unwrap();
            assert_eq!(answer.engine, "extractive");
            assert_eq!(
                answer.notes[0],
                "answered by the extractive engine, because remote is not available: it answered 503"
            );
            assert_eq!(engine.name(), "remote");
        }
    }

    #[test]
    fn what_began_is_not_begun_again_by_another() {
        let engine = Fallback::new(
            Arc::new(Away(|| ModelError::Remote("it broke off".into()))),
            extractive(),
        );
        assert!(matches!(ask(&engine), Err(ModelError::Remote(_))));
    }
}
