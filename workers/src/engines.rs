//! The answering engine in use, exchangeable while jobs run.
//!
//! A job keeps the engine it began with: loading a model swaps the engine for later jobs and loses none.

use std::sync::Arc;

use parking_lot::RwLock;
use quire_models::AnswerEngine;

/// Hands out the current engine.
pub struct Engines {
    current: RwLock<Arc<dyn AnswerEngine>>,
}

impl Engines {
    /// Starts with `default`.
    pub fn new(default: Arc<dyn AnswerEngine>) -> Self {
        Self {
            current: RwLock::new(default),
        }
    }

    /// Later jobs use `engine`.
    pub fn replace(&self, engine: Arc<dyn AnswerEngine>) {
        *self.current.write() = engine;
    }

    /// The engine for a job that starts now.
    pub fn current(&self) -> Arc<dyn AnswerEngine> {
        Arc::clone(&self.current.read())
    }
}
