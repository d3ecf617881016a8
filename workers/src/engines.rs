//! The answering engines in use, exchangeable while jobs run.
//!
//! A job keeps the engine it began with: loading a model swaps the engine for later jobs and loses none. A job may name the
//! engine it wants; what is not there, or turns out not to be available, is replaced by the extractive engine, which
//! always is, and the answer says so.

use std::sync::Arc;

use parking_lot::RwLock;
use quire_models::{AnswerEngine, Captioner, EngineChoice, Fallback};

/// Hands out the engine for each job.
pub struct Engines {
    inner: RwLock<Inner>,
}

struct Inner {
    /// What jobs get that name none.
    usual: EngineChoice,
    extractive: Arc<dyn AnswerEngine>,
    generate: Slot,
    /// The model behind `generate`, when it is there.
    generate_model: Option<String>,
    remote: Slot,
    /// Describes pictures, when its model is installed.
    captioner: Option<Arc<dyn Captioner>>,
}

/// An engine that may not be there.
pub enum Slot {
    /// It is.
    There(Arc<dyn AnswerEngine>),
    /// It is not, and why, as the end of a sentence.
    Missing(String),
}

impl Engines {
    /// Starts with the engine that is always there; all jobs get it until others are put beside it.
    pub fn new(extractive: Arc<dyn AnswerEngine>) -> Self {
        let missing = || Slot::Missing("it is not set up".to_owned());
        Self {
            inner: RwLock::new(Inner {
                usual: EngineChoice::Auto,
                extractive,
                generate: missing(),
                generate_model: None,
                remote: missing(),
                captioner: None,
            }),
        }
    }

    /// What jobs get that name no engine.
    pub fn set_usual(&self, usual: EngineChoice) {
        self.inner.write().usual = usual;
    }

    /// Later jobs use this extractive engine.
    pub fn replace(&self, engine: Arc<dyn AnswerEngine>) {
        self.inner.write().extractive = engine;
    }

    /// Later jobs use this engine that runs `model` in this process.
    pub fn set_generate(&self, model: &str, slot: Slot) {
        let mut inner = self.inner.write();
        inner.generate_model = matches!(slot, Slot::There(_)).then(|| model.to_owned());
        inner.generate = slot;
    }

    /// Later jobs use this engine that asks a model elsewhere.
    pub fn set_remote(&self, slot: Slot) {
        self.inner.write().remote = slot;
    }

    /// Pictures that are read from now on are described by this model.
    pub fn set_captioner(&self, captioner: Arc<dyn Captioner>) {
        self.inner.write().captioner = Some(captioner);
    }

    /// What describes pictures now.
    pub(crate) fn captioner(&self) -> Option<Arc<dyn Captioner>> {
        self.inner.read().captioner.clone()
    }

    /// The engine for a job that starts now and names this one, or none.
    pub fn for_job(&self, named: Option<&str>) -> Arc<dyn AnswerEngine> {
        let inner = self.inner.read();
        // A name that an upload was accepted with, by a version that knew it.
        let unknown = |name: &str| format!("{name:?} is not known here");
        let choice = match named.map(|name| name.parse().map_err(|_| unknown(name))) {
            None => inner.usual.clone(),
            Some(Ok(choice)) => choice,
            Some(Err(reason)) => return inner.instead("the named model", &reason),
        };
        inner.choose(&choice)
    }
}

impl Inner {
    fn choose(&self, choice: &EngineChoice) -> Arc<dyn AnswerEngine> {
        match choice {
            EngineChoice::Extractive => Arc::clone(&self.extractive),
            EngineChoice::Generate(Some(model))
                if self.generate_model.as_ref().is_some_and(|id| id != model) =>
            {
                self.instead("generate", &format!("it runs another model than {model}"))
            }
            EngineChoice::Generate(_) => self.or_extractive(&self.generate, "generate"),
            EngineChoice::Remote => self.or_extractive(&self.remote, "remote"),
            EngineChoice::Auto => match (&self.remote, &self.generate) {
                (Slot::There(_), _) => self.or_extractive(&self.remote, "remote"),
                (_, Slot::There(_)) => self.or_extractive(&self.generate, "generate"),
                _ => Arc::clone(&self.extractive),
            },
        }
    }

    fn or_extractive(&self, slot: &Slot, name: &'static str) -> Arc<dyn AnswerEngine> {
        match slot {
            Slot::There(engine) => Arc::new(Fallback::new(
                Arc::clone(engine),
                Arc::clone(&self.extractive),
            )),
            Slot::Missing(reason) => self.instead(name, reason),
        }
    }

    fn instead(&self, name: &'static str, reason: &str) -> Arc<dyn AnswerEngine> {
        Arc::new(Fallback::missing(
            name,
            reason,
            Arc::clone(&self.extractive),
        ))
    }
}

#[cfg(test)]
mod tests {
    use quire_models::{Answer, AnswerRequest, AnswerSink, CancelFlag, ModelError};

    use super::*;

    struct Named(&'static str);

    impl AnswerEngine for Named {
        fn name(&self) -> &'static str {
            self.0
        }

        fn answer(
            &self,
            _: &AnswerRequest<'_>,
            _: &CancelFlag,
            _: &mut dyn AnswerSink,
        ) -> Result<Answer, ModelError> {
            Ok(Answer {
                engine: self.0.to_owned(),
                ..Answer::default()
            })
        }
    }

    struct Deaf;

    impl AnswerSink for Deaf {
        fn progress(&mut self, _: u32, _: u32) {}
        fn chunk(&mut self, _: &str) {}
    }

    fn answered(engines: &Engines, named: Option<&str>) -> (String, usize) {
        let request = AnswerRequest {
            prompt: "?",
            passages: &[],
            table: None,
            image: None,
            left_out: None,
            query: None,
            vectors: None,
        };
        let answer = engines
            .for_job(named)
            .answer(&request, &CancelFlag::default(), &mut Deaf)
            .unwrap();
        (answer.engine, answer.notes.len())
    }

    #[test]
    fn a_job_gets_what_it_names_or_a_note() {
        let engines = Engines::new(Arc::new(Named("extractive")));
        let extractive = |notes| ("extractive".to_owned(), notes);
        assert_eq!(answered(&engines, None), extractive(0));
        assert_eq!(answered(&engines, Some("remote")), extractive(1));
        assert_eq!(
            answered(&engines, Some("of another version")),
            extractive(1)
        );
        engines.set_remote(Slot::There(Arc::new(Named("remote"))));
        assert_eq!(answered(&engines, Some("remote")), ("remote".to_owned(), 0));
        assert_eq!(answered(&engines, None), ("remote".to_owned(), 0));
        assert_eq!(answered(&engines, Some("extractive")), extractive(0));
        engines.set_usual(EngineChoice::Extractive);
        assert_eq!(answered(&engines, None), extractive(0));
    }
}
