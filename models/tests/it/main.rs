//! The integration tests of `quire-models`, in one binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod answers;
mod bert;
mod injection;
mod minilm;
mod pull;
mod questions;
