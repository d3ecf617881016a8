//! The integration tests of `quire-models`, in one binary.

mod answers;
mod bert;
mod minilm;
mod pull;
mod questions;
